// A device with its memory and one stream, and the thread that feeds it.
#pragma once
#include <array>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "blaslt.h"
#include "driver.h"
#include "nccl.h"

/** Arguments of a kernel: each in a slot of its own, whatever its size. */
constexpr size_t MOST_ARGUMENTS = 20;

struct Launch {
  CuFunction kernel;
  unsigned gridX, gridY, threads, shared;
  std::array<unsigned long long, MOST_ARGUMENTS> arguments;
};

/** Called on the device's thread with the bytes read, or with what went wrong. */
using OnRead = std::function<void(std::vector<unsigned char> bytes, const CudaFailure* failure)>;

/**
 * Work is queued by one thread and given to the driver, in order, by another. What fails there is told by every `read`
 * from then on, and nothing else is run.
 */
class Device {
 public:
  /** @param image a fatbin, or PTX that ends with a 0 */
  Device(const Driver& driver, int index, const void* image);
  ~Device();
  Device(const Device&) = delete;

  /** @param shared bytes of dynamic shared memory that it will be launched with */
  CuFunction kernel(const std::string& name, unsigned shared);
  CuAddress allocate(size_t bytes);
  /** Free and all bytes. */
  std::pair<size_t, size_t> memory();

  void launch(const Launch& launch);
  void write(CuAddress to, std::vector<unsigned char> bytes);
  void copy(CuAddress to, CuAddress from, size_t bytes);
  void read(CuAddress from, size_t bytes, OnRead onRead);
  /** Launches and copies from here to `endRecording` are kept as a graph, by a rank as a list, and not run. */
  void beginRecording();
  /** The n-th call makes graph n, from 0. */
  void endRecording();
  void replay(size_t graph);
  /** While held, nothing is taken from the queue. */
  void hold(bool held);
  /** Whether `gemm` can be called; opens cuBLASLt at the first question. */
  bool hasGemm();
  void gemm(const Product& product);
  /** From now on this is a rank among others, before anything has been queued. */
  void join(std::shared_ptr<Group> group, size_t rank);
  /** Sums over all ranks, in place (nccl.h). */
  void sum(CuAddress address, size_t count);
  int index() const { return index_; }
  /** Gives up what is queued and frees everything. Reads that wait are told so. */
  void close();

 private:
  struct Job {
    enum Kind { LAUNCH, WRITE, COPY, READ, RECORD, RECORDED, REPLAY, GEMM, SUM } kind;
    Launch launch;
    Product product;
    CuAddress to, from;
    size_t count;
    std::vector<unsigned char> bytes;
    OnRead onRead;
  };

  void push(Job job);
  void push(Job::Kind kind, size_t count = 0);
  void run();
  void perform(Job& job);
  void letGo();

  const Driver& driver_;
  const int index_;
  CuDevice device_ = 0;
  CuContext context_ = nullptr;
  CuModule module_ = nullptr;
  CuStream stream_ = nullptr;
  std::vector<CuAddress> allocated_;
  bool closed_ = false;
  /** Used by the device's thread once there is one. */
  std::unique_ptr<Gemm> gemm_;
  bool soughtGemm_ = false;
  std::shared_ptr<Group> group_;
  size_t rank_ = 0;

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> queue_;
  bool stopping_ = false, held_back_ = false;
  /** Of the device's thread, until it has ended. */
  std::vector<CuGraphExec> graphs_;
  /** A rank's: a communicator whose work a graph holds cannot be ended (NCCL, commDestroySync). */
  std::vector<std::vector<Job>> lists_;
  bool listing_ = false;
  /** Bytes on their way to the device, kept until the stream has been waited for. */
  std::vector<std::vector<unsigned char>> held_;
  size_t heldBytes_ = 0;
  bool capturing_ = false;
};
