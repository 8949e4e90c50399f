#include "device.h"

namespace {
/** Bytes on their way to the device that may be kept. */
constexpr size_t MOST_HELD = 64 << 20;
const CudaFailure CLOSED("closed", "the device was closed before its answer came");
}

Device::Device(const Driver& driver, int index, const void* image) : driver_(driver), index_(index) {
  driver_.check(driver_.cuDeviceGet(&device_, index), "cuDeviceGet");
  driver_.check(driver_.cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  try {
    driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
    if (CuResult result = driver_.cuModuleLoadData(&module_, image))
      throw CudaFailure(result == CU_OUT_OF_MEMORY ? "out-of-memory" : "bad-kernels", driver_.describe(result));
    driver_.check(driver_.cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING_FLAG), "cuStreamCreate");
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    close();
    throw;
  }
}

Device::~Device() { close(); }

void Device::close() {
  if (closed_) return;
  closed_ = true;
  if (group_) group_->end(CLOSED);
  if (thread_.joinable()) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  driver_.cuCtxSetCurrent(context_);
  gemm_.reset();
  for (CuGraphExec graph : graphs_) driver_.cuGraphExecDestroy(graph);
  if (stream_) driver_.cuStreamDestroy_v2(stream_);
  for (CuAddress address : allocated_) driver_.cuMemFree_v2(address);
  if (module_) driver_.cuModuleUnload(module_);
  driver_.cuDevicePrimaryCtxRelease_v2(device_);
}

CuFunction Device::kernel(const std::string& name, unsigned shared) {
  CuFunction function;
  driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
  if (CuResult result = driver_.cuModuleGetFunction(&function, module_, name.c_str()))
    throw CudaFailure("bad-kernels", "no " + name + ": " + driver_.describe(result));
  if (shared > 0)
    driver_.check(driver_.cuFuncSetAttribute(function, CU_FUNCTION_MOST_DYNAMIC_SHARED, static_cast<int>(shared)), "cuFuncSetAttribute");
  return function;
}

CuAddress Device::allocate(size_t bytes) {
  CuAddress address;
  driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
  driver_.check(driver_.cuMemAlloc_v2(&address, bytes), "cuMemAlloc");
  allocated_.push_back(address);
  return address;
}

std::pair<size_t, size_t> Device::memory() {
  size_t free, all;
  driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
  driver_.check(driver_.cuMemGetInfo_v2(&free, &all), "cuMemGetInfo");
  return {free, all};
}

void Device::launch(const Launch& launch) {
  Job job{};
  job.kind = Job::LAUNCH;
  job.launch = launch;
  push(std::move(job));
}

void Device::write(CuAddress to, std::vector<unsigned char> bytes) {
  Job job{};
  job.kind = Job::WRITE;
  job.to = to;
  job.bytes = std::move(bytes);
  push(std::move(job));
}

void Device::copy(CuAddress to, CuAddress from, size_t bytes) {
  Job job{};
  job.kind = Job::COPY;
  job.to = to;
  job.from = from;
  job.count = bytes;
  push(std::move(job));
}

void Device::read(CuAddress from, size_t bytes, OnRead onRead) {
  Job job{};
  job.kind = Job::READ;
  job.from = from;
  job.count = bytes;
  job.onRead = std::move(onRead);
  push(std::move(job));
}

void Device::beginRecording() { push(Job::RECORD); }

void Device::endRecording() { push(Job::RECORDED); }

void Device::replay(size_t graph) { push(Job::REPLAY, graph); }

bool Device::hasGemm() {
  if (!soughtGemm_) {
    driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
    gemm_ = Gemm::create();
    soughtGemm_ = true;
  }
  return gemm_ != nullptr;
}

void Device::gemm(const Product& product) {
  Job job{};
  job.kind = Job::GEMM;
  job.product = product;
  push(std::move(job));
}

void Device::join(std::shared_ptr<Group> group, size_t rank) {
  group_ = std::move(group);
  rank_ = rank;
}

void Device::sum(CuAddress address, size_t count) {
  Job job{};
  job.kind = Job::SUM;
  job.to = address;
  job.count = count;
  push(std::move(job));
}

void Device::hold(bool held) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    held_back_ = held;
  }
  if (!held) wake_.notify_one();
}

void Device::push(Job::Kind kind, size_t count) {
  Job job{};
  job.kind = kind;
  job.count = count;
  push(std::move(job));
}

void Device::push(Job job) {
  bool first;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    first = queue_.empty();
    queue_.push_back(std::move(job));
  }
  if (first) wake_.notify_one();
}

void Device::run() {
  std::vector<Job> jobs;
  std::unique_ptr<CudaFailure> failure;
  for (;;) {
    bool stopping;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || (!held_back_ && !queue_.empty()); });
      stopping = stopping_;
      jobs.swap(queue_);
    }
    for (Job& job : jobs) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        stopping = stopping_;
      }
      try {
        if (!failure && !stopping) perform(job);
      } catch (const CudaFailure& caught) {
        failure = std::make_unique<CudaFailure>(caught);
      } catch (const std::exception& caught) {
        failure = std::make_unique<CudaFailure>("failed", caught.what());
      }
      if (failure && group_) group_->end(*failure);
      if (job.kind != Job::READ) continue;
      const CudaFailure* told = failure ? failure.get() : stopping ? &CLOSED : nullptr;
      job.onRead(told ? std::vector<unsigned char>() : std::move(job.bytes), told);
    }
    jobs.clear();
    if (!stopping) continue;
    // what is on the device still reads the bytes held
    driver_.cuCtxSetCurrent(context_);
    CuGraph unfinished = nullptr;
    if (capturing_ && driver_.cuStreamEndCapture(stream_, &unfinished) == CU_OK && unfinished) driver_.cuGraphDestroy(unfinished);
    capturing_ = false;
    driver_.cuStreamSynchronize(stream_);
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.empty()) return;
  }
}

/** Waits for the stream, which has no use for the bytes held then. */
void Device::letGo() {
  driver_.check(driver_.cuStreamSynchronize(stream_), "cuStreamSynchronize");
  held_.clear();
  heldBytes_ = 0;
}

void Device::perform(Job& job) {
  driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
  const bool waits = job.kind == Job::READ || job.kind == Job::WRITE || job.kind == Job::RECORD || job.kind == Job::REPLAY;
  if (waits && (listing_ || capturing_)) throw CudaFailure("failed", "a list that is recorded holds more than launches and copies");
  if (listing_ && job.kind != Job::RECORDED) {
    lists_.back().push_back(job);
    return;
  }
  switch (job.kind) {
    case Job::LAUNCH: {
      Launch& launch = job.launch;
      void* arguments[MOST_ARGUMENTS];
      for (size_t i = 0; i < MOST_ARGUMENTS; i++) arguments[i] = &launch.arguments[i];
      driver_.check(
          driver_.cuLaunchKernel(launch.kernel, launch.gridX, launch.gridY, 1, launch.threads, 1, 1, launch.shared,
                                 stream_, arguments, nullptr),
          "cuLaunchKernel");
      return;
    }
    case Job::WRITE:
      // nobody may read for long
      if (heldBytes_ > MOST_HELD) letGo();
      heldBytes_ += job.bytes.size();
      held_.push_back(std::move(job.bytes));
      driver_.check(driver_.cuMemcpyHtoDAsync_v2(job.to, held_.back().data(), held_.back().size(), stream_), "cuMemcpyHtoD");
      return;
    case Job::COPY:
      driver_.check(driver_.cuMemcpyDtoDAsync_v2(job.to, job.from, job.count, stream_), "cuMemcpyDtoD");
      return;
    case Job::READ:
      job.bytes.resize(job.count);
      driver_.check(driver_.cuMemcpyDtoHAsync_v2(job.bytes.data(), job.from, job.count, stream_), "cuMemcpyDtoH");
      letGo();
      if (group_) group_->check();
      return;
    case Job::RECORD:
      if (group_) {
        lists_.emplace_back();
        listing_ = true;
        return;
      }
      driver_.check(driver_.cuStreamBeginCapture_v2(stream_, CU_CAPTURE_RELAXED), "cuStreamBeginCapture");
      capturing_ = true;
      return;
    case Job::RECORDED: {
      if (group_) {
        listing_ = false;
        return;
      }
      CuGraph graph;
      capturing_ = false;
      driver_.check(driver_.cuStreamEndCapture(stream_, &graph), "cuStreamEndCapture");
      CuGraphExec exec;
      const CuResult result = driver_.cuGraphInstantiateWithFlags(&exec, graph, 0);
      driver_.cuGraphDestroy(graph);
      driver_.check(result, "cuGraphInstantiate");
      graphs_.push_back(exec);
      return;
    }
    case Job::REPLAY:
      if (group_) {
        for (Job& listed : lists_[job.count]) perform(listed);
        return;
      }
      driver_.check(driver_.cuGraphLaunch(graphs_[job.count], stream_), "cuGraphLaunch");
      return;
    case Job::GEMM:
      gemm_->run(job.product, stream_);
      return;
    case Job::SUM:
      group_->sum(rank_, job.to, job.count, stream_);
      return;
  }
}
