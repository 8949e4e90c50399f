// The driver library, opened at run time, and its errors.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

#include "driver_api.h"

/** What cannot be done, as a code that index.ts turns into advice. */
struct CudaFailure : std::runtime_error {
  const char* code;
  CudaFailure(const char* code, const std::string& found) : std::runtime_error(found), code(code) {}
};

struct DeviceInfo {
  std::string name;
  int major, minor, multiprocessors;
  size_t memory;
};

/** One driver library, kept open to the end of the process: what it started lives on in other threads. */
class Driver {
 public:
#define CU_DECLARE(name, arguments) CuResult(*name) arguments = nullptr;
  CU_DRIVER_API(CU_DECLARE)
#undef CU_DECLARE

  /** The same driver for the same name. Throws CudaFailure 'no-driver', 'driver-too-old' or 'no-device'. */
  static const Driver& open(const std::string& library);

  int version() const;
  std::vector<DeviceInfo> devices() const;
  /** Throws CudaFailure 'failed' or 'out-of-memory', naming the call, unless `result` is 0. */
  void check(CuResult result, const char* call) const;
  std::string describe(CuResult result) const;
};
