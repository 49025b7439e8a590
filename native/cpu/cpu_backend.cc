// The CPU as a backend: the table of backend.h over oneDNN and our own kernels. Exceptions end here.
#include <cstdlib>
#include <cstring>

#include "backend/guard.h"
#include "core/pages.h"
#include "cpu/onednn.h"
#include "cpu/tiles.h"
#include "cpu/tiles_weights.h"
#include "cpu/tuning.h"
#include "cpu/winograd_weights.h"

namespace googlenet::cpu {

namespace {

// Two images' values before the first modules (3 MB in bf16) stay in the second-level caches of two cores.
constexpr int kPiece = 2;

/** guarded() that also knows oneDNN's errors. */
template <class Body>
gn_status safely(const Body& body) {
  return guarded([&] {
    try {
      body();
    } catch (const dnnl::error& error) {
      throw Failure(error.status == dnnl_out_of_memory ? Code::OUT_OF_MEMORY : Code::INTERNAL, error.what());
    }
  });
}

const char* libraries() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  return text.c_str();
}

gn_status open(const gn_device_options* options, gn_device** device) {
  return safely([&] {
    if (options->precision == GN_PRECISION_TF32)
      throw Failure(Code::UNSUPPORTED, "tf32 is what tensor cores of GPUs compute in; use f32 or bf16");
    if (options->precision == GN_PRECISION_BF16 && !has_bf16())
      throw Failure(Code::UNSUPPORTED,
                    std::string("bf16 needs a processor with AVX512_BF16 (Intel from Cooper Lake and "
                                "Sapphire Rapids, AMD from Zen 4) that ONEDNN_MAX_CPU_ISA and "
                                "GOOGLENET_MAX_ISA do not limit, but this one is used as ") +
                        isa_name(effective_isa()) + "; use f32");
    auto made = std::make_unique<gn_device>();
    const int cores = available_cores();
    const int threads = options->threads > 0 ? options->threads : cores;
    made->pool = options->alone ? std::make_shared<ThreadPool>(threads) : ThreadPool::shared(threads);
    made->isa = effective_isa();
    made->int8 = options->precision == GN_PRECISION_INT8;
    made->block = made->int8 ? 16 : block_of(made->isa);
    made->exact = options->exact;
    made->tune = options->tune;
    made->tiles = tile_kernels(options->precision);
    made->type = options->precision == GN_PRECISION_F32 ? GN_F32 : GN_BF16;
    const gn_device* beside = options->beside;
    if (beside) made->copies = beside->copies;
    made->onednn = std::make_shared<Onednn>(*made, beside ? beside->onednn.get() : nullptr);
    made->description = std::string("cpu, ") + isa_name(made->isa) + (made->type == GN_BF16 ? " with bf16, " : ", ") +
                        std::to_string(made->pool->threads()) + " threads, " + libraries();
    made->identity = tuning_identity(*made, libraries());
    *device = made.release();
  });
}

void close(gn_device* device) { delete device; }
gn_geometry geometry(const gn_device* device) {
  return {GN_BLOCKED, device->block, device->type, device->int8, kPiece, 0, nullptr};
}
const char* describe(const gn_device* device) { return device->description.c_str(); }

// Touched by the threads that will use it: the first touch of a page costs more than anything done with it later.
gn_status allocate(gn_device* device, int64_t bytes, void** memory) {
  return safely([&] {
    constexpr int64_t kChunk = 1 << 22;
    void* data = allocate_pages(bytes);
    if (!data) throw Failure(Code::OUT_OF_MEMORY, std::to_string(bytes >> 20) + " MiB could not be allocated");
    device->pool->parallel((bytes + kChunk - 1) / kChunk, [&](int64_t i) {
      std::memset(static_cast<char*>(data) + i * kChunk, 0, size_t(std::min(kChunk, bytes - i * kChunk)));
    });
    *memory = data;
  });
}
void release(gn_device*, void* memory) { std::free(memory); }

gn_status copy(gn_device*, void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, size_t(bytes));
  return gn_status{};
}
gn_status finish(gn_device*) { return gn_status{}; }

Kernel make(gn_device& device, const gn_step& step) {
  switch (step.op) {
    case GN_CONV: return make_conv(device, step);
    case GN_LINEAR: return make_linear(device, step);
    case GN_POOL: return make_pool(device, step);
    case GN_LRN: return make_lrn(device, step);
    case GN_DROPOUT: return make_dropout(device, step);
    case GN_SOFTMAX:
    case GN_LOSS: return make_softmax(device, step);
    case GN_MASK:
    case GN_SUM: return make_gradient(device, step);
    default: throw Failure(Code::INTERNAL, std::string("no CPU kernel for step '") + step.name + "'");
  }
}

gn_status prepare(gn_device* device, const gn_step* const* steps, int64_t count, gn_kernel** kernels) {
  return safely([&] {
    // oneDNN divides the work when a primitive is made, for as many threads as it is told here.
    dnnl_threadpool_interop_set_max_concurrency(device->pool->threads());
    std::vector<Kernel> made;
    for (int64_t i = 0; i < count; i++) {
      try {
        made.push_back(make(*device, *steps[i]));
      } catch (const dnnl::error& error) {
        throw Failure(Code::UNSUPPORTED,
                      std::string("oneDNN cannot run layer '") + steps[i]->name + "': " + error.what());
      }
    }
    for (int64_t i = 0; i < count; i++) kernels[i] = made[size_t(i)].release();
  });
}
void destroy(gn_device*, gn_kernel* kernel) { delete kernel; }

void inspect(const gn_kernel* kernel, gn_kernel_info* info) {
  *info = {kernel->implementation.c_str(), kernel->scratch_bytes};
}
gn_status run(gn_device*, gn_kernel* kernel, const gn_bindings* bindings) {
  return safely([&] { kernel->run(*bindings); });
}
gn_status sync(gn_device*, gn_kernel* kernel, const gn_bindings* bindings) {
  return safely([&] { kernel->sync(*bindings); });
}
int64_t own_bytes(const gn_device* device) {
  const WeightCopies& copies = *device->copies;
  return copies.onednn.bytes() + copies.winograd.bytes() + copies.tiles.bytes();
}

const gn_backend kBackend{
    GN_BACKEND_VERSION,
    "cpu",
    libraries,
    open,
    close,
    geometry,
    describe,
    allocate,
    release,
    copy,
    copy,
    nullptr,  // one memory
    finish,
    prepare,
    destroy,
    inspect,
    run,
    sync,
    [](gn_device* device, const gn_update* u) { return safely([&] { update(*device, *u); }); },
    [](gn_device* device, float* dst, const float* src, int64_t count, float keep, float scale) {
      return safely([&] { scale_add(*device, dst, src, count, keep, scale); });
    },
    nullptr,  // kernels make what they multiply with of the parameters themselves
    own_bytes,
    [](gn_device* device, const float* values, int64_t count, double* result) {
      return safely([&] { *result = square_sum(*device, values, count); });
    },
    [](gn_device* device, const gn_tensor* dst, const int32_t* map, void* arena, const void* host,
       gn_host_format format,
       const float mean[3]) { return safely([&] { import_tensor(*device, *dst, map, arena, host, format, mean); }); },
    nullptr,  // the host's memory is the device's
    [](gn_device* device, const gn_tensor* src, const int32_t* map, const void* arena, float* host) {
      return safely([&] { export_tensor(*device, *src, map, arena, host); });
    },
    nullptr,  // told every time
    nullptr,  // one step at a time, on all threads
};

}  // namespace

}  // namespace googlenet::cpu

extern "C" const gn_backend* googlenet_cpu_backend() { return &googlenet::cpu::kBackend; }
