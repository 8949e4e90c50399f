// The door from JavaScript. Arguments are trusted: host/cuda.ts and index.ts check what comes from outside.
#define NAPI_VERSION 8
#include <napi.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "device.h"

namespace {

Napi::Error toError(Napi::Env env, const CudaFailure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.what());
  error.Set("code", Napi::String::New(env, failure.code));
  return error;
}

/** Runs `body` and turns its CudaFailure into an Error with a `code`. */
template <class Body>
auto guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const CudaFailure& failure) {
    throw toError(env, failure);
  }
}

/** probe(library) → { version, devices: { name, major, minor, multiprocessors, memory }[] } */
Napi::Value probe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Driver& driver = Driver::open(info[0].As<Napi::String>());
    Napi::Object result = Napi::Object::New(env);
    result["version"] = Napi::Number::New(env, driver.version());
    Napi::Array devices = Napi::Array::New(env);
    for (const DeviceInfo& device : driver.devices()) {
      Napi::Object one = Napi::Object::New(env);
      one["name"] = Napi::String::New(env, device.name);
      one["major"] = Napi::Number::New(env, device.major);
      one["minor"] = Napi::Number::New(env, device.minor);
      one["multiprocessors"] = Napi::Number::New(env, device.multiprocessors);
      one["memory"] = Napi::Number::New(env, static_cast<double>(device.memory));
      devices[devices.Length()] = one;
    }
    result["devices"] = devices;
    return result;
  });
}

/** A kernel, and how each number is passed: p an address, i an i32, l an i64, f an f32, d an f64. */
struct Kernel {
  CuFunction function;
  std::string kinds;
  unsigned shared;
};

struct Answer {
  Napi::Promise::Deferred deferred;
  std::vector<unsigned char> bytes;
  std::unique_ptr<CudaFailure> failure;
};

/** new Device(library, index, image) */
class DeviceObject : public Napi::ObjectWrap<DeviceObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Device",
                       {InstanceMethod("kernel", &DeviceObject::kernel), InstanceMethod("allocate", &DeviceObject::allocate),
                        InstanceMethod("memory", &DeviceObject::memory), InstanceMethod("launch", &DeviceObject::launch),
                        InstanceMethod("write", &DeviceObject::write), InstanceMethod("copy", &DeviceObject::copy),
                        InstanceMethod("read", &DeviceObject::read), InstanceMethod("beginRecording", &DeviceObject::beginRecording),
                        InstanceMethod("endRecording", &DeviceObject::endRecording), InstanceMethod("replay", &DeviceObject::replay),
                        InstanceMethod("hold", &DeviceObject::hold),
                        InstanceAccessor<&DeviceObject::hasGemm>("hasGemm"), InstanceMethod("gemm", &DeviceObject::gemm),
                        InstanceMethod("sum", &DeviceObject::sum),
                        InstanceMethod("close", &DeviceObject::close)});
  }

  explicit DeviceObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DeviceObject>(info) {
    Napi::Env env = info.Env();
    guarded(env, [&] {
      const Driver& driver = Driver::open(info[0].As<Napi::String>());
      device_ = std::make_unique<Device>(driver, info[1].As<Napi::Number>(), info[2].As<Napi::Uint8Array>().Data());
    });
    answers_ = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "cria-cuda", 0, 1);
    answers_.Unref(env);
    // an environment that ends, as a worker's does, takes its device with it
    napi_add_env_cleanup_hook(env, atExit, this);
  }

  ~DeviceObject() override {
    if (!device_) return;
    napi_remove_env_cleanup_hook(Env(), atExit, this);
    shut();
  }

  /** Null when it is closed. */
  Device* device() const { return device_.get(); }

 private:
  static void atExit(void* self) { static_cast<DeviceObject*>(self)->shut(); }

  void shut() {
    if (!device_) return;
    device_->close();
    device_.reset();
    answers_.Release();
  }

  Device& open(Napi::Env env) {
    if (!device_) throw toError(env, CudaFailure("closed", "a device that is closed"));
    return *device_;
  }

  static CuAddress address(const Napi::Value& value) { return static_cast<CuAddress>(value.As<Napi::Number>().DoubleValue()); }

  /** kernel(name, kinds, shared) → its index */
  Napi::Value kernel(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    return guarded(env, [&] {
      const unsigned shared = info[2].As<Napi::Number>().Uint32Value();
      kernels_.push_back({open(env).kernel(info[0].As<Napi::String>(), shared), info[1].As<Napi::String>(), shared});
      return Napi::Number::New(env, static_cast<double>(kernels_.size() - 1));
    });
  }

  /** allocate(bytes) → its address */
  Napi::Value allocate(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    return guarded(env, [&] {
      return Napi::Number::New(env, static_cast<double>(open(env).allocate(address(info[0]))));
    });
  }

  /** memory() → [free, all] in bytes */
  Napi::Value memory(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    return guarded(env, [&] {
      auto [free, all] = open(env).memory();
      Napi::Array both = Napi::Array::New(env, 2);
      both[0u] = Napi::Number::New(env, static_cast<double>(free));
      both[1u] = Napi::Number::New(env, static_cast<double>(all));
      return both;
    });
  }

  /** launch(kernel, gridX, gridY, threads, ...arguments) */
  void launch(const Napi::CallbackInfo& info) {
    const Kernel& kernel = kernels_[info[0].As<Napi::Number>().Uint32Value()];
    Launch launch;
    launch.kernel = kernel.function;
    launch.shared = kernel.shared;
    launch.gridX = info[1].As<Napi::Number>().Uint32Value();
    launch.gridY = info[2].As<Napi::Number>().Uint32Value();
    launch.threads = info[3].As<Napi::Number>().Uint32Value();
    for (size_t i = 0; i < kernel.kinds.size(); i++) {
      const double value = info[4 + i].As<Napi::Number>().DoubleValue();
      unsigned long long& slot = launch.arguments[i];
      slot = 0;
      switch (kernel.kinds[i]) {
        case 'p': slot = static_cast<CuAddress>(value); break;
        case 'i':
          if (!(std::abs(value) < 2147483648.0)) throw Napi::RangeError::New(info.Env(), "an argument that is no i32: " + std::to_string(value));
          put(slot, static_cast<int>(value));
          break;
        case 'l': put(slot, static_cast<long long>(value)); break;
        case 'f': put(slot, static_cast<float>(value)); break;
        case 'd': put(slot, value); break;
      }
    }
    open(info.Env()).launch(launch);
  }

  template <class T>
  static void put(unsigned long long& slot, T value) {
    std::memcpy(&slot, &value, sizeof value);
  }

  /** write(address, bytes): the bytes are copied at once */
  void write(const Napi::CallbackInfo& info) {
    Napi::Uint8Array bytes = info[1].As<Napi::Uint8Array>();
    open(info.Env()).write(address(info[0]), {bytes.Data(), bytes.Data() + bytes.ByteLength()});
  }

  /** copy(to, from, bytes) */
  void copy(const Napi::CallbackInfo& info) {
    open(info.Env()).copy(address(info[0]), address(info[1]), address(info[2]));
  }

  /** read(address, bytes) → a promise of them, when all that was queued before is done */
  Napi::Value read(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Device& device = open(env);
    auto* answer = new Answer{Napi::Promise::Deferred::New(env), {}, nullptr};
    Napi::Promise promise = answer->deferred.Promise();
    if (waiting_++ == 0) {
      answers_.Ref(env);
      Ref();
    }
    device.read(address(info[0]), address(info[1]), [this, answer](std::vector<unsigned char> bytes, const CudaFailure* failure) {
      answer->bytes = std::move(bytes);
      if (failure) answer->failure = std::make_unique<CudaFailure>(*failure);
      const napi_status status = answers_.NonBlockingCall(answer, [this](Napi::Env env, Napi::Function, Answer* answer) {
        settle(env, answer);
      });
      if (status != napi_ok) delete answer;
    });
    return promise;
  }

  void beginRecording(const Napi::CallbackInfo& info) { open(info.Env()).beginRecording(); }

  /** endRecording() → what `replay` calls what was launched since `beginRecording` */
  Napi::Value endRecording(const Napi::CallbackInfo& info) {
    open(info.Env()).endRecording();
    return Napi::Number::New(info.Env(), static_cast<double>(recordings_++));
  }

  /** replay(recording) */
  void replay(const Napi::CallbackInfo& info) { open(info.Env()).replay(info[0].As<Napi::Number>().Uint32Value()); }

  /** hasGemm: whether there is cuBLASLt */
  Napi::Value hasGemm(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    return guarded(env, [&] { return Napi::Boolean::New(env, open(env).hasGemm()); });
  }

  /** gemm(type, layout, out, a, b, m, n, k, add, workspace, workspaceBytes) */
  void gemm(const Napi::CallbackInfo& info) {
    const std::string type = info[0].As<Napi::String>(), layout = info[1].As<Napi::String>();
    Product product;
    product.format = type == "f16" ? LT_HALF : LT_BF16;
    product.transposedA = layout[0] == 't';
    product.transposedB = layout[1] == 't';
    product.out = address(info[2]);
    product.a = address(info[3]);
    product.b = address(info[4]);
    product.m = info[5].As<Napi::Number>();
    product.n = info[6].As<Napi::Number>();
    product.k = info[7].As<Napi::Number>();
    product.add = info[8].As<Napi::Boolean>();
    product.workspace = address(info[9]);
    product.workspaceBytes = address(info[10]);
    open(info.Env()).gemm(product);
  }

  /** hold(held); nothing where it is closed */
  void hold(const Napi::CallbackInfo& info) {
    if (device_) device_->hold(info[0].As<Napi::Boolean>());
  }

  /** sum(address, count) */
  void sum(const Napi::CallbackInfo& info) { open(info.Env()).sum(address(info[0]), address(info[1])); }

  void settle(Napi::Env env, Answer* answer) {
    std::unique_ptr<Answer> owned(answer);
    if (static_cast<napi_env>(env) == nullptr) return;  // the environment ends
    try {
      deliver(env, *owned);
    } catch (const Napi::Error&) {
      // so it does, a little later: no more JavaScript runs
    }
  }

  void deliver(Napi::Env env, Answer& answer) {
    Napi::HandleScope scope(env);
    if (--waiting_ == 0) {
      if (device_) answers_.Unref(env);
      Unref();
    }
    if (answer.failure) {
      answer.deferred.Reject(toError(env, *answer.failure).Value());
      return;
    }
    Napi::Uint8Array bytes = Napi::Uint8Array::New(env, answer.bytes.size());
    std::memcpy(bytes.Data(), answer.bytes.data(), answer.bytes.size());
    answer.deferred.Resolve(bytes);
  }

  void close(const Napi::CallbackInfo& info) {
    if (!device_) return;
    napi_remove_env_cleanup_hook(info.Env(), atExit, this);
    shut();
  }

  std::unique_ptr<Device> device_;
  std::vector<Kernel> kernels_;
  Napi::ThreadSafeFunction answers_;
  size_t waiting_ = 0;
  size_t recordings_ = 0;
};

/** Makes ranks of devices, which takes NCCL some seconds. */
class Joining : public Napi::AsyncWorker {
 public:
  Joining(Napi::Env env, Napi::Array devices) : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)) {
    for (uint32_t i = 0; i < devices.Length(); i++) {
      objects_.push_back(Napi::Persistent(devices.Get(i).As<Napi::Object>()));
      indexes_.push_back(deviceOf(objects_.back())->index());
    }
  }
  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  static Device* deviceOf(const Napi::ObjectReference& object) { return DeviceObject::Unwrap(object.Value())->device(); }

  void Execute() override {
    try {
      group_ = Group::make(indexes_);
    } catch (const CudaFailure& failure) {
      failure_ = std::make_unique<CudaFailure>(failure);
    }
  }

  void OnOK() override {
    if (failure_) return deferred_.Reject(toError(Env(), *failure_).Value());
    for (size_t rank = 0; rank < objects_.size(); rank++)
      if (Device* device = deviceOf(objects_[rank])) device->join(group_, rank);
    deferred_.Resolve(Env().Undefined());
  }

  Napi::Promise::Deferred deferred_;
  std::vector<Napi::ObjectReference> objects_;
  std::vector<int> indexes_;
  std::shared_ptr<Group> group_;
  std::unique_ptr<CudaFailure> failure_;
};

/** join(devices) → a promise: device i is rank i then */
Napi::Value join(const Napi::CallbackInfo& info) {
  auto* joining = new Joining(info.Env(), info[0].As<Napi::Array>());
  joining->Queue();
  return joining->promise();
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  exports["probe"] = Napi::Function::New(env, probe);
  exports["join"] = Napi::Function::New(env, join);
  exports["Device"] = DeviceObject::define(env);
  return exports;
}

}  // namespace

NODE_API_MODULE(cria_cuda, start)
