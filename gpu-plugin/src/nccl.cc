#include "nccl.h"

#include <dlfcn.h>

#include <chrono>
#include <map>
#include <thread>

#include "optional.h"

/** The library, kept open to the end of the process. */
struct Nccl {
#define NCCL_DECLARE(name, arguments) NcclResult(*name) arguments = nullptr;
  NCCL_API(NCCL_DECLARE)
#undef NCCL_DECLARE
  const char* (*ncclGetErrorString)(NcclResult) = nullptr;

  void check(NcclResult result, const char* call) const {
    if (result != NCCL_OK) throw CudaFailure("failed", std::string(call) + ": " + ncclGetErrorString(result));
  }
};

namespace {

/** A call that is stuck in the library so long is what the end of its communicator frees. */
constexpr std::chrono::seconds STUCK(1);

std::unique_ptr<Nccl> load(const std::string& place) {
  const Optional found = openOptional(place, {"libnccl.so.2"}, {"nvidia/nccl/lib", "nccl/lib"});
  if (!found.handle) throw CudaFailure("no-nccl", found.tried);
  auto library = std::make_unique<Nccl>();
  std::string missing;
#define NCCL_FIND(name, ...) \
  *reinterpret_cast<void**>(&library->name) = dlsym(found.handle, #name); \
  if (!library->name) missing += (missing.empty() ? "" : ", ") + std::string(#name);
  NCCL_API(NCCL_FIND)
  NCCL_FIND(ncclGetErrorString)
#undef NCCL_FIND
  if (missing.empty()) return library;
  dlclose(found.handle);
  throw CudaFailure("no-nccl", found.tried + " without " + missing);
}

/** Looked for where the environment's CRIA_NCCL says (optional.h). */
const Nccl& openNccl() {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Nccl>> opened;
  std::lock_guard<std::mutex> lock(mutex);
  const std::string place = placeOf("CRIA_NCCL");
  auto& library = opened[place];
  if (!library) library = load(place);
  return *library;
}

}  // namespace

std::shared_ptr<Group> Group::make(const std::vector<int>& devices) {
  const Nccl& library = openNccl();
  std::shared_ptr<Group> group(new Group(library, devices.size()));
  std::vector<NcclCommunicator> made(devices.size());
  library.check(library.ncclCommInitAll(made.data(), static_cast<int>(made.size()), devices.data()), "ncclCommInitAll");
  for (size_t i = 0; i < made.size(); i++) group->ranks_[i].communicator = made[i];
  return group;
}

Group::~Group() { end(CudaFailure("closed", "a group that is closed")); }

void Group::sum(size_t rank, CuAddress address, size_t count, CuStream stream) {
  std::lock_guard<std::timed_mutex> lock(ranks_[rank].mutex);
  check();
  void* words = reinterpret_cast<void*>(address);
  library_.check(library_.ncclAllReduce(words, words, count, NCCL_UINT32, NCCL_SUM, ranks_[rank].communicator, stream), "ncclAllReduce");
}

void Group::end(const CudaFailure& why) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    ended_ = std::make_unique<CudaFailure>(why);
  }
  // side by side, since a communicator may wait for the others to be ended too
  std::vector<std::thread> threads;
  for (Rank& rank : ranks_)
    if (rank.communicator)
      threads.emplace_back([&] {
        const std::unique_lock<std::timed_mutex> lock(rank.mutex, STUCK);
        library_.ncclCommAbort(rank.communicator);
      });
  for (std::thread& thread : threads) thread.join();
}

void Group::check() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ended_) throw CudaFailure(*ended_);
}
