// Devices of one process that compute side by side, as ranks of NCCL.
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "driver.h"
#include "nccl_api.h"

struct Nccl;

/**
 * One communicator a device. The streams of ranks wait for each other in `sum`: where one cannot go on none must, so that a rank
 * that fails or is closed ends the group.
 */
class Group {
 public:
  /** Waits for all devices. Throws CudaFailure 'no-nccl', which says what was tried, or 'failed'. */
  static std::shared_ptr<Group> make(const std::vector<int>& devices);
  ~Group();
  Group(const Group&) = delete;

  /**
   * On every rank, in the same order: the `count` words at `address` become the sums of theirs. Where all but one rank have zeros
   * they are that one's bits. Throws CudaFailure 'failed', or why the group has ended.
   */
  void sum(size_t rank, CuAddress address, size_t count, CuStream stream);
  /** The streams wait no longer; what they hold is worth nothing then. */
  void end(const CudaFailure& why);
  /** Throws why the group has ended, if it has. */
  void check();

 private:
  struct Rank {
    NcclCommunicator communicator = nullptr;
    std::timed_mutex mutex;
  };

  Group(const Nccl& library, size_t ranks) : library_(library), ranks_(ranks) {}

  const Nccl& library_;
  std::vector<Rank> ranks_;
  std::mutex mutex_;
  std::unique_ptr<CudaFailure> ended_;
};
