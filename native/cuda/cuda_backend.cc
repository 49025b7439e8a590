// NVIDIA GPUs as a backend: the table of backend.h over cuDNN's convolutions and our own kernels. A library of its own,
// opened by backend/registry.cc when a GPU is asked for. Exceptions end here.
#include <algorithm>

#include "backend/guard.h"
#include "cuda/device.h"
#include "cuda/pack.h"

namespace googlenet::cuda {

namespace {

constexpr int kOldestCapability = 75;  // what CUDA 13 compiles for: Turing
constexpr int kTensorCores = 80;       // those of Ampere are the first that take tf32 and bf16
constexpr const char* kDriver = "CUDA 13 needs NVIDIA's driver 580 or newer";

/** Calls may come from any thread, and CUDA's current device belongs to the thread. */
template <class Body>
gn_status on(const gn_device* device, const Body& body) {
  return guarded([&] {
    check(cudaSetDevice(device->index), "choosing the device");
    body();
  });
}

std::string text_of(int version) { return std::to_string(version / 1000) + "." + std::to_string(version / 10 % 100); }

[[noreturn]] void unavailable(const std::string& text) { throw Failure(Code::DEVICE_UNAVAILABLE, text); }

/** Throws with what is missing and how to mend it. */
cudaDeviceProp properties_of(int index) {
  int driver = 0, count = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0)
    unavailable(std::string("no NVIDIA driver was found (libcuda.so.1). ") + kDriver +
                "; in a container start it with the GPU (docker run --gpus all)");
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver)
    unavailable("the NVIDIA driver is too old: it knows CUDA " + text_of(driver) + ". " + kDriver);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
    unavailable("the NVIDIA driver sees no GPU. Is one built in, and does CUDA_VISIBLE_DEVICES hide it?");
  check(error, "counting devices");
  if (index >= count)
    unavailable("there is no device 'cuda:" + std::to_string(index) + "': " + std::to_string(count) +
                " GPUs were found, counted from 0");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "asking for the device's properties");
  if (properties.major * 10 + properties.minor < kOldestCapability)
    unavailable(std::string(properties.name) + " has compute capability " + std::to_string(properties.major) + "." +
                std::to_string(properties.minor) + ", but 7.5 (Turing) is the oldest that CUDA 13 serves");
  return properties;
}

const char* libraries() { return "CUDA 13"; }

void close(gn_device* device) {
  if (cudaSetDevice(device->index) == cudaSuccess && device->lanes) {
    device->lanes->finish();
    device->target.reset();
    device->planners.clear();
    device->pinned.reset();
    device->feed.reset();
    device->lanes.reset();
  }
  delete device;
}

gn_status open(const gn_device_options* options, gn_device** opened) {
  return guarded([&] {
    const cudaDeviceProp properties = properties_of(options->index);
    if (options->precision == GN_PRECISION_INT8)
      throw Failure(Code::UNSUPPORTED, "int8 is built for processors alone: use device 'cpu', or precision 'bf16'");
    if (options->precision != GN_PRECISION_F32 && properties.major * 10 + properties.minor < kTensorCores)
      throw Failure(Code::UNSUPPORTED, std::string(properties.name) + " has compute capability " +
                                           std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                                           "; tf32 and bf16 need 8.0 (Ampere) or newer. Use precision 'f32'");
    auto device = std::make_unique<gn_device>();
    device->index = options->index;
    device->precision = options->precision;
    check(cudaSetDevice(device->index), "choosing the device");
    device->lanes = std::make_unique<Lanes>(std::max(options->lanes, 1));
    device->stream = device->lanes->stream(0);
    device->pinned = std::make_unique<Pinned>(device->stream);
    try {
      device->target = std::make_unique<Target>(device->stream);
    } catch (...) {
      close(device.release());
      throw;
    }
    device->description = "cuda:" + std::to_string(device->index) + ", " + properties.name + ", compute capability " +
                          std::to_string(properties.major) + "." + std::to_string(properties.minor) + ", cuDNN " +
                          cudnn().version + " in " + cudnn().folder;
    device->identity = "cuDNN " + cudnn().version + ", " + properties.name + ", " +
                       std::to_string(properties.major * 10 + properties.minor);
    device->tune = options->tune;
    *opened = device.release();
  });
}

gn_geometry geometry(const gn_device* device) {
  return {GN_CHANNELS_LAST, kBlock, factors(*device), 0, 0, 1, has_lrn_pool};
}
const char* describe(const gn_device* device) { return device->description.c_str(); }

gn_status give(gn_device* device, int64_t bytes, void** memory) {
  return on(device, [&] {
    *memory = allocate(bytes);
    check(cudaMemsetAsync(*memory, 0, size_t(bytes), device->stream), "clearing memory");
    check(cudaStreamSynchronize(device->stream), "clearing memory");  // a worker's stream may be the first to read it
  });
}
void release(gn_device* device, void* memory) {
  if (cudaSetDevice(device->index) == cudaSuccess) cudaFree(memory);
}

const gn_recorder kRecorder{
    [](gn_device* device) { return on(device, [&] { begin_recording(device->stream); }); },
    [](gn_device* device, gn_recording** recording) {
      return on(device, [&] {
        gn_recording* const made = end_recording(device->stream, recording != nullptr);
        if (recording) *recording = made;
      });
    },
    [](gn_device* device, gn_recording* recording) { return on(device, [&] { replay(device->stream, *recording); }); },
    [](gn_device* device, gn_recording* recording) { on(device, [&] { destroy(recording); }); },
    [](gn_device* device, const gn_judgement* j) { return on(device, [&] { judge(*device, *j); }); },
};

void choose(gn_device& device, int lane) {
  device.stream = device.lanes->stream(lane);
  device.target->use(device.stream);
}

const gn_lanes kLanes{
    [](gn_device* device) { return on(device, [&] { device->lanes->fork(); }); },
    [](gn_device* device, int32_t lane) { return on(device, [&] { choose(*device, lane); }); },
    [](gn_device* device, int32_t mark) { return on(device, [&] { device->lanes->mark(device->stream, mark); }); },
    [](gn_device* device, int32_t mark) { return on(device, [&] { device->lanes->wait(device->stream, mark); }); },
    [](gn_device* device) {
      return on(device, [&] {
        choose(*device, 0);
        device->lanes->join();
      });
    },
};

const gn_backend kBackend{
    GN_BACKEND_VERSION,
    "cuda",
    libraries,
    open,
    close,
    geometry,
    describe,
    give,
    release,
    [](gn_device* device, void* to, const void* host, int64_t bytes) {
      return on(device, [&] { device->pinned->send(to, host, bytes); });
    },
    [](gn_device* device, void* host, const void* from, int64_t bytes) {
      return on(device, [&] { device->pinned->receive(host, from, bytes); });
    },
    [](gn_device* device, void* to, const gn_device* other, const void* from, int64_t bytes) {
      return on(device, [&] { pull(*device, to, *other, from, bytes); });
    },
    [](gn_device* device) {
      return on(device, [&] { check(cudaStreamSynchronize(device->stream), "waiting for the device"); });
    },
    [](gn_device* device, const gn_step* const* steps, int64_t count, gn_kernel** kernels) {
      return on(device, [&] {
        for (Kernel& kernel : make_kernels(*device, steps, count)) *kernels++ = kernel.release();
      });
    },
    [](gn_device*, gn_kernel* kernel) { delete kernel; },
    [](const gn_kernel* kernel, gn_kernel_info* info) {
      *info = {kernel->implementation.c_str(), kernel->scratch_bytes};
    },
    [](gn_device* device, gn_kernel* kernel, const gn_bindings* bindings) {
      return on(device, [&] { kernel->run(*bindings); });
    },
    [](gn_device*, gn_kernel*, const gn_bindings*) { return gn_status{}; },  // kernels read gn_bindings.weights
    [](gn_device* device, const gn_update* u) { return on(device, [&] { update(*device, *u); }); },
    [](gn_device* device, float* dst, const float* src, int64_t count, float keep, float scale) {
      return on(device, [&] { scale_add(*device, dst, src, count, keep, scale); });
    },
    [](gn_device* device, void* to, const float* from, int64_t count) {
      return on(device, [&] { convert(*device, to, from, count); });
    },
    [](const gn_device* device) {
      return device->staging.bytes() + device->partials.bytes() + (device->feed ? device->feed->bytes() : 0);
    },
    [](gn_device* device, const float* values, int64_t count, double* result) {
      return on(device, [&] { *result = square_sum(*device, values, count); });
    },
    [](gn_device* device, const gn_tensor* dst, const int32_t* map, void* arena, const void* host,
       gn_host_format format, const float mean[3]) {
      return on(device, [&] { import_tensor(*device, *dst, map, arena, host, format, mean); });
    },
    [](gn_device* device, const void* host, int64_t bytes) { return on(device, [&] { stage(*device, host, bytes); }); },
    [](gn_device* device, const gn_tensor* src, const int32_t* map, const void* arena, float* host) {
      return on(device, [&] { export_tensor(*device, *src, map, arena, host); });
    },
    &kRecorder,
    &kLanes,
};

}  // namespace

}  // namespace googlenet::cuda

extern "C" __attribute__((visibility("default"))) const gn_backend* googlenet_cuda_backend() {
  return &googlenet::cuda::kBackend;
}
