// A libnccl without a GPU. The streams of the ranks meet in what they sum: none goes on before all have come to it, and one that
// waits for too long says so. What a graph would hold is refused, since it would keep its communicator. An aborted communicator lets its stream go on with numbers that are none, as the library does.
//
//     CRIA_MOCK_NCCL_INIT      what ncclCommInitAll gives; 0 by default
//     CRIA_MOCK_NCCL_RANK      a rank whose ncclAllReduce fails; −1 by default
//     CRIA_MOCK_NCCL_SECONDS   how long a rank waits for the others; 20 by default
#include "../src/nccl_api.h"
#include "fibers.h"
#include "hooks.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>

#define API extern "C" __attribute__((visibility("default"))) NcclResult

namespace {

struct Call {
  CuAddress from, to;
  size_t count;
};

/** Where the ranks of a clique meet. */
class Meeting {
 public:
  explicit Meeting(size_t ranks) : calls_(ranks) {}

  CuResult sum(size_t rank, const Call& call) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto over = [&, met = met_] { return aborted_ || met_ != met; };
    calls_[rank] = call;
    if (!aborted_ && ++arrived_ == calls_.size()) {
      const bool alike = add();
      arrived_ = 0;
      met_++;
      met_by_.notify_all();
      return alike ? CU_OK : mock::broken("NCCL: ranks that sum different counts");
    }
    const std::chrono::seconds limit(mock::setting("CRIA_MOCK_NCCL_SECONDS", 20));
    if (!met_by_.wait_for(lock, limit, over))
      return mock::broken("NCCL: rank " + std::to_string(rank) + " of " + std::to_string(calls_.size()) + " waits for the others");
    if (aborted_) std::memset(reinterpret_cast<void*>(call.to), 0xff, 4 * call.count);
    return CU_OK;
  }

  void abort() {
    std::lock_guard<std::mutex> lock(mutex_);
    aborted_ = true;
    met_by_.notify_all();
  }

 private:
  bool add() const {
    const size_t count = calls_[0].count;
    for (const Call& call : calls_)
      if (call.count != count) return false;
    std::vector<uint32_t> sums(count);
    for (const Call& call : calls_)
      for (size_t i = 0; i < count; i++) sums[i] += reinterpret_cast<const uint32_t*>(call.from)[i];
    for (const Call& call : calls_) std::memcpy(reinterpret_cast<void*>(call.to), sums.data(), 4 * count);
    return true;
  }

  std::mutex mutex_;
  std::condition_variable met_by_;
  std::vector<Call> calls_;
  size_t arrived_ = 0, met_ = 0;
  bool aborted_ = false;
};

struct Communicator {
  std::shared_ptr<Meeting> meeting;
  size_t rank;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const char* ncclGetErrorString(NcclResult result) {
  return result == NCCL_SYSTEM_ERROR ? "unhandled system error" : "invalid argument";
}

API ncclCommInitAll(NcclCommunicator* made, int count, const int* devices) {
  if (const long result = mock::setting("CRIA_MOCK_NCCL_INIT", 0)) return static_cast<NcclResult>(result);
  const std::set<int> different(devices, devices + count);
  if (count < 1 || different.size() != static_cast<size_t>(count)) return NCCL_INVALID_ARGUMENT;
  if (*different.begin() < 0 || *different.rbegin() >= mock::setting("CRIA_MOCK_DEVICES", 1)) return NCCL_INVALID_ARGUMENT;
  auto meeting = std::make_shared<Meeting>(count);
  for (int rank = 0; rank < count; rank++) {
    made[rank] = reinterpret_cast<NcclCommunicator>(new Communicator{meeting, static_cast<size_t>(rank)});
    mock::take();
  }
  return NCCL_OK;
}

API ncclCommAbort(NcclCommunicator handle) {
  auto* communicator = reinterpret_cast<Communicator*>(handle);
  communicator->meeting->abort();
  delete communicator;
  mock::give();
  return NCCL_OK;
}

API ncclAllReduce(const void* from, void* to, size_t count, int type, int operation, NcclCommunicator handle, CuStream stream) {
  const auto [meeting, rank] = *reinterpret_cast<Communicator*>(handle);
  if (static_cast<long>(rank) == mock::setting("CRIA_MOCK_NCCL_RANK", -1)) return NCCL_SYSTEM_ERROR;
  const Call call{reinterpret_cast<CuAddress>(from), reinterpret_cast<CuAddress>(to), count};
  if (type != NCCL_UINT32 || operation != NCCL_SUM || mock::isCapturing(stream)) return NCCL_INVALID_ARGUMENT;
  if (!mock::isBuffer(call.from, 4 * count) || !mock::isBuffer(call.to, 4 * count)) return NCCL_INVALID_ARGUMENT;
  const CuResult queued = mock::enqueue(stream, [=, meeting = meeting, rank = rank] { return meeting->sum(rank, call); });
  return queued == CU_OK ? NCCL_OK : NCCL_UNHANDLED_CUDA_ERROR;
}
