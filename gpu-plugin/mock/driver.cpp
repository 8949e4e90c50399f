// A libcuda.so.1 without a GPU: the driver calls that the plugin makes, the kernels run on the CPU (fibers.cpp). What a
// driver forgives is refused: work runs when it is waited for and no sooner, host memory is read that late too, buffers
// begin as NaN and end at a page that nobody may touch, and copies that leave a buffer fail.
//
//     CRIA_MOCK_DEVICES   how many devices there are; 1 by default
//     CRIA_MOCK_VERSION   the driver's version; 13000 by default
//     CRIA_MOCK_MAJOR     the device's compute capability; 8 by default
//     CRIA_MOCK_MEMORY    bytes of a device; 1 GiB by default. Everything that is not freed takes some.
//     CRIA_MOCK_REFUSE    how many more allocations succeed
//     CRIA_MOCK_SEED      in which order the threads of a block take turns
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "../src/driver_api.h"
#include "fibers.h"
#include "hooks.h"

#define API extern "C" __attribute__((visibility("default"))) CuResult

namespace {

constexpr size_t PAGE = 4096;
/** What stands between a buffer and its guard page: no NaN, which would survive a sum. */
constexpr unsigned char SLACK = 0x5a;
/** Bytes that a context, module or stream takes, so that one which is left open shows. */
constexpr size_t OBJECT = 1 << 20;

struct Allocation {
  unsigned char* mapped;
  size_t mappedBytes, bytes, room;
};

using Work = std::vector<std::function<CuResult()>>;

struct Stream {
  Work work;
  CuResult failed = CU_OK;
  /** While it is captured: what was enqueued since. */
  std::unique_ptr<Work> captured;
};

using mock::setting;

std::mutex mutex;
std::map<CuAddress, Allocation> allocations;
size_t used = 0;
std::string lastError;

size_t totalMemory() { return static_cast<size_t>(setting("CRIA_MOCK_MEMORY", 1 << 30)); }

/** Whether all of it lies in one buffer. */
bool holds(CuAddress address, size_t bytes) {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin()) return false;
  const auto& [start, allocation] = *--next;
  return address + bytes <= start + allocation.bytes;
}

/** A buffer's end is 16-byte aligned: what was written between it and the guard page. */
bool overrun(CuAddress address, const Allocation& allocation) {
  const auto* bytes = reinterpret_cast<unsigned char*>(address);
  for (size_t i = allocation.bytes; i < allocation.room; i++)
    if (bytes[i] != SLACK) return true;
  return false;
}

CuResult broken(const std::string& message) {
  lastError = message;
  return CU_LAUNCH_FAILED;
}

CuResult enqueue(CuStream stream, std::function<CuResult()> work) {
  std::lock_guard<std::mutex> lock(mutex);
  auto* into = reinterpret_cast<Stream*>(stream);
  (into->captured ? *into->captured : into->work).push_back(std::move(work));
  return CU_OK;
}

/** Bytes of the host in a graph would be read again when it is launched. */
bool isCapturing(CuStream stream) { return reinterpret_cast<Stream*>(stream)->captured != nullptr; }

CuResult take() {
  std::lock_guard<std::mutex> lock(mutex);
  used += OBJECT;
  return CU_OK;
}
CuResult give() {
  std::lock_guard<std::mutex> lock(mutex);
  used -= OBJECT;
  return CU_OK;
}

CuResult checked(std::initializer_list<CuAddress> addresses, size_t bytes, CuStream stream, std::function<CuResult()> work) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    for (CuAddress address : addresses)
      if (!holds(address, bytes)) return CU_INVALID_VALUE;
  }
  return enqueue(stream, std::move(work));
}

}  // namespace

namespace mock {

CuResult enqueue(CuStream stream, std::function<CuResult()> work) { return ::enqueue(stream, std::move(work)); }
bool isCapturing(CuStream stream) { return ::isCapturing(stream); }
bool isBuffer(CuAddress address, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  return holds(address, bytes);
}
CuResult broken(const std::string& message) {
  std::lock_guard<std::mutex> lock(mutex);
  return ::broken(message);
}
void take() { ::take(); }
void give() { ::give(); }
long setting(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::atol(text) : otherwise;
}

}  // namespace mock

API cuInit(unsigned) { return setting("CRIA_MOCK_DEVICES", 1) == 0 ? CU_NO_DEVICE : CU_OK; }
API cuDriverGetVersion(int* version) { return *version = static_cast<int>(setting("CRIA_MOCK_VERSION", 13000)), CU_OK; }
API cuGetErrorName(CuResult result, const char** name) {
  *name = result == CU_OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == CU_NO_DEVICE     ? "CUDA_ERROR_NO_DEVICE"
          : result == CU_NOT_FOUND     ? "CUDA_ERROR_NOT_FOUND"
          : result == CU_LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED"
          : result == CU_CAPTURE_UNSUPPORTED ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
                                       : "CUDA_ERROR_INVALID_VALUE";
  return CU_OK;
}
API cuGetErrorString(CuResult result, const char** text) {
  *text = result == CU_LAUNCH_FAILED ? lastError.c_str() : nullptr;
  return CU_OK;
}
API cuDeviceGetCount(int* count) { return *count = static_cast<int>(setting("CRIA_MOCK_DEVICES", 1)), CU_OK; }
API cuDeviceGet(CuDevice* device, int index) {
  *device = index;
  return index < setting("CRIA_MOCK_DEVICES", 1) ? CU_OK : CU_INVALID_DEVICE;
}
API cuDeviceGetName(char* name, int bytes, CuDevice) {
  std::snprintf(name, bytes, "mock: kernels run on the CPU");
  return CU_OK;
}
API cuDeviceGetAttribute(int* value, int attribute, CuDevice) {
  *value = attribute == CU_ATTRIBUTE_COMPUTE_MAJOR   ? static_cast<int>(setting("CRIA_MOCK_MAJOR", 8))
           : attribute == CU_ATTRIBUTE_COMPUTE_MINOR ? 0 : 4;
  return CU_OK;
}
API cuDeviceTotalMem_v2(size_t* bytes, CuDevice) { return *bytes = totalMemory(), CU_OK; }

API cuDevicePrimaryCtxRetain(CuContext* context, CuDevice) {
  *context = reinterpret_cast<CuContext>(1);
  return take();
}
API cuDevicePrimaryCtxRelease_v2(CuDevice) { return give(); }
API cuCtxSetCurrent(CuContext) { return CU_OK; }
API cuModuleLoadData(CuModule* module, const void*) {
  *module = reinterpret_cast<CuModule>(1);
  return take();
}
API cuModuleUnload(CuModule) { return give(); }
API cuModuleGetFunction(CuFunction* function, CuModule, const char* name) {
  auto found = fibers::kernels().find(name);
  if (found == fibers::kernels().end()) return CU_NOT_FOUND;
  *function = reinterpret_cast<CuFunction>(&found->second);
  return CU_OK;
}
API cuFuncSetAttribute(CuFunction function, int, int bytes) {
  reinterpret_cast<fibers::Kernel*>(function)->mostDynamic = static_cast<size_t>(bytes);
  return CU_OK;
}

API cuMemGetInfo_v2(size_t* free, size_t* total) {
  std::lock_guard<std::mutex> lock(mutex);
  *total = totalMemory();
  *free = *total - used;
  return CU_OK;
}
API cuMemAlloc_v2(CuAddress* address, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  if (bytes == 0) return CU_INVALID_VALUE;
  const long left = setting("CRIA_MOCK_REFUSE", -1);
  if (left == 0 || used + bytes > totalMemory()) return CU_OUT_OF_MEMORY;
  if (left > 0) setenv("CRIA_MOCK_REFUSE", std::to_string(left - 1).c_str(), 1);
  const size_t room = (bytes + 15) / 16 * 16;
  const size_t pages = (room + PAGE - 1) / PAGE * PAGE;
  auto* mapped = static_cast<unsigned char*>(
      mmap(nullptr, pages + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (mapped == MAP_FAILED) return CU_OUT_OF_MEMORY;
  mprotect(mapped, PAGE, PROT_NONE);
  mprotect(mapped + PAGE + pages, PAGE, PROT_NONE);
  unsigned char* start = mapped + PAGE + pages - room;
  std::memset(start, 0xff, bytes);
  std::memset(start + bytes, SLACK, room - bytes);
  *address = reinterpret_cast<CuAddress>(start);
  allocations[*address] = {mapped, pages + 2 * PAGE, bytes, room};
  used += bytes;
  return CU_OK;
}
API cuMemFree_v2(CuAddress address) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = allocations.find(address);
  if (found == allocations.end()) return CU_INVALID_VALUE;
  munmap(found->second.mapped, found->second.mappedBytes);
  used -= found->second.bytes;
  allocations.erase(found);
  return CU_OK;
}
API cuMemcpyHtoDAsync_v2(CuAddress to, const void* from, size_t bytes, CuStream stream) {
  if (isCapturing(stream)) return CU_CAPTURE_UNSUPPORTED;
  return checked({to}, bytes, stream, [=] {
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    return CU_OK;
  });
}
API cuMemcpyDtoHAsync_v2(void* to, CuAddress from, size_t bytes, CuStream stream) {
  if (isCapturing(stream)) return CU_CAPTURE_UNSUPPORTED;
  return checked({from}, bytes, stream, [=] {
    std::memcpy(to, reinterpret_cast<void*>(from), bytes);
    return CU_OK;
  });
}
API cuMemcpyDtoDAsync_v2(CuAddress to, CuAddress from, size_t bytes, CuStream stream) {
  return checked({to, from}, bytes, stream, [=] {
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    return CU_OK;
  });
}

API cuStreamCreate(CuStream* stream, unsigned) {
  *stream = reinterpret_cast<CuStream>(new Stream);
  return take();
}
API cuStreamDestroy_v2(CuStream stream) {
  delete reinterpret_cast<Stream*>(stream);
  return give();
}
API cuStreamSynchronize(CuStream handle) {
  auto* stream = reinterpret_cast<Stream*>(handle);
  if (stream->captured) return CU_CAPTURE_UNSUPPORTED;
  Work work;
  {
    std::lock_guard<std::mutex> lock(mutex);
    work.swap(stream->work);
  }
  for (auto& step : work) {
    if (stream->failed) break;
    stream->failed = step();
  }
  std::lock_guard<std::mutex> lock(mutex);
  for (const auto& [address, allocation] : allocations)
    if (!stream->failed && overrun(address, allocation)) stream->failed = broken("a kernel wrote beyond the end of a buffer");
  return stream->failed;
}
API cuStreamBeginCapture_v2(CuStream stream, int) {
  if (isCapturing(stream)) return CU_CAPTURE_UNSUPPORTED;
  reinterpret_cast<Stream*>(stream)->captured = std::make_unique<Work>();
  return CU_OK;
}
API cuStreamEndCapture(CuStream stream, CuGraph* graph) {
  if (!isCapturing(stream)) return CU_CAPTURE_UNSUPPORTED;
  *graph = reinterpret_cast<CuGraph>(reinterpret_cast<Stream*>(stream)->captured.release());
  return take();
}
API cuGraphInstantiateWithFlags(CuGraphExec* exec, CuGraph graph, unsigned long long) {
  *exec = reinterpret_cast<CuGraphExec>(new Work(*reinterpret_cast<Work*>(graph)));
  return take();
}
API cuGraphLaunch(CuGraphExec exec, CuStream stream) {
  for (const auto& step : *reinterpret_cast<Work*>(exec)) enqueue(stream, step);
  return CU_OK;
}
API cuGraphDestroy(CuGraph graph) {
  delete reinterpret_cast<Work*>(graph);
  return give();
}
API cuGraphExecDestroy(CuGraphExec exec) {
  delete reinterpret_cast<Work*>(exec);
  return give();
}
API cuLaunchKernel(CuFunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned dynamic,
                   CuStream stream, void** arguments, void**) {
  const auto* kernel = reinterpret_cast<fibers::Kernel*>(function);
  if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || !bx || size_t(bx) * by * bz > 1024) return CU_INVALID_VALUE;
  if (dynamic > kernel->mostDynamic) return CU_INVALID_VALUE;
  auto values = std::make_shared<std::vector<std::vector<unsigned char>>>();
  for (size_t i = 0; i < kernel->sizes.size(); i++) {
    const auto* bytes = static_cast<unsigned char*>(arguments[i]);
    values->emplace_back(bytes, bytes + kernel->sizes[i]);
  }
  return enqueue(stream, [=]() -> CuResult {
    struct Call {
      const fibers::Kernel* kernel;
      std::vector<void*> arguments;
    } call{kernel, {}};
    for (auto& value : *values) call.arguments.push_back(value.data());
    try {
      fibers::launch(
          [](void* argument) {
            auto* call = static_cast<Call*>(argument);
            call->kernel->call(call->arguments.data());
          },
          &call, {gx, gy, gz}, {bx, by, bz}, dynamic, static_cast<uint64_t>(setting("CRIA_MOCK_SEED", 0)));
    } catch (const std::exception& error) {
      std::lock_guard<std::mutex> lock(mutex);
      return broken(error.what());
    }
    return CU_OK;
  });
}
