#include "driver.h"

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>

namespace {

std::unique_ptr<Driver> load(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw CudaFailure("no-driver", dlerror());
  auto driver = std::make_unique<Driver>();
  std::string missing;
#define CU_FIND(name, arguments) \
  *reinterpret_cast<void**>(&driver->name) = dlsym(handle, #name); \
  if (!driver->name) missing += (missing.empty() ? "" : ", ") + std::string(#name);
  CU_DRIVER_API(CU_FIND)
#undef CU_FIND
  if (!missing.empty()) {
    dlclose(handle);
    throw CudaFailure("driver-too-old", library + " without " + missing);
  }
  if (CuResult result = driver->cuInit(0)) {
    const std::string found = "cuInit: " + driver->describe(result);
    dlclose(handle);
    throw CudaFailure(result == CU_NO_DEVICE ? "no-device" : "no-driver", found);
  }
  return driver;
}

}  // namespace

const Driver& Driver::open(const std::string& library) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Driver>> opened;
  std::lock_guard<std::mutex> lock(mutex);
  auto& driver = opened[library];
  if (!driver) driver = load(library);
  return *driver;
}

int Driver::version() const {
  int version = 0;
  check(cuDriverGetVersion(&version), "cuDriverGetVersion");
  return version;
}

std::vector<DeviceInfo> Driver::devices() const {
  int count = 0;
  check(cuDeviceGetCount(&count), "cuDeviceGetCount");
  std::vector<DeviceInfo> devices;
  for (int i = 0; i < count; i++) {
    CuDevice device;
    char name[256];
    DeviceInfo info;
    check(cuDeviceGet(&device, i), "cuDeviceGet");
    check(cuDeviceGetName(name, sizeof name, device), "cuDeviceGetName");
    info.name = name;
    check(cuDeviceGetAttribute(&info.major, CU_ATTRIBUTE_COMPUTE_MAJOR, device), "cuDeviceGetAttribute");
    check(cuDeviceGetAttribute(&info.minor, CU_ATTRIBUTE_COMPUTE_MINOR, device), "cuDeviceGetAttribute");
    check(cuDeviceGetAttribute(&info.multiprocessors, CU_ATTRIBUTE_MULTIPROCESSORS, device), "cuDeviceGetAttribute");
    check(cuDeviceTotalMem_v2(&info.memory, device), "cuDeviceTotalMem");
    devices.push_back(info);
  }
  return devices;
}

void Driver::check(CuResult result, const char* call) const {
  if (result == CU_OK) return;
  throw CudaFailure(result == CU_OUT_OF_MEMORY ? "out-of-memory" : "failed", std::string(call) + ": " + describe(result));
}

std::string Driver::describe(CuResult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  cuGetErrorName(result, &name);
  cuGetErrorString(result, &text);
  return std::string(name ? name : "error") + " (" + std::to_string(result) + (text ? std::string("): ") + text : ")");
}
