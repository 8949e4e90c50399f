// What the driver without a GPU gives the mocks of other libraries, which are linked with it.
#pragma once
#include <functional>
#include <string>

#include "../src/driver_api.h"

namespace mock {

/** Work of a stream, as kernels are: it runs when it is waited for. */
CuResult enqueue(CuStream stream, std::function<CuResult()> work);
bool isCapturing(CuStream stream);
/** Whether all of it lies in one buffer. */
bool isBuffer(CuAddress address, size_t bytes);
/** The error of a launch, with a message. */
CuResult broken(const std::string& message);
/** An object of a library takes memory of the devices, so that one which is left open shows. */
void take();
void give();
/** A number from the environment. */
long setting(const char* name, long otherwise);

}  // namespace mock
