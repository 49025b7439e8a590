// What every CPU kernel is: made from one step, run many times with the arenas bound at each run.
#pragma once
#include <memory>
#include <string>

#include "backend/backend.h"
#include "core/threads.h"
#include "cpu/copies.h"
#include "cpu/isa.h"

namespace googlenet::cpu {
struct Onednn;       // cpu/onednn.h
struct TileKernels;  // cpu/simd/tile-kernels.h
}  // namespace googlenet::cpu

struct gn_device {
  std::shared_ptr<googlenet::ThreadPool> pool;
  std::shared_ptr<googlenet::cpu::Onednn> onednn;
  std::shared_ptr<googlenet::cpu::WeightCopies> copies = std::make_shared<googlenet::cpu::WeightCopies>();
  googlenet::Isa isa;
  int block;                                           // 16 with AVX-512 and in int8, else 8
  bool exact = false;                                  // direct convolutions only
  bool tune = false;                                   // time what can be computed in several ways (tuning.h)
  gn_type type = GN_F32;                               // of activations
  bool int8 = false;                                   // inference, some activations are GN_U8
  const googlenet::cpu::TileKernels* tiles = nullptr;  // where convolutions are cpu/tiles.h's
  std::string identity;                                // with tune: what its times hold for
  std::string description;
};

struct gn_kernel {
  virtual ~gn_kernel() = default;
  virtual void run(const gn_bindings& bindings) = 0;
  virtual void sync(const gn_bindings&) {}
  std::string implementation = "own";
  int64_t scratch_bytes = 0;
};

namespace googlenet::cpu {

using Kernel = std::unique_ptr<gn_kernel>;

// One maker per operation, in the file of its name; each handles all directions of its operation and throws
// Failure for what it does not support.
Kernel make_conv(gn_device& device, const gn_step& step);
Kernel make_linear(gn_device& device, const gn_step& step);
Kernel make_pool(gn_device& device, const gn_step& step);
Kernel make_lrn(gn_device& device, const gn_step& step);
Kernel make_dropout(gn_device& device, const gn_step& step);
Kernel make_softmax(gn_device& device, const gn_step& step);   // SOFTMAX and LOSS
Kernel make_gradient(gn_device& device, const gn_step& step);  // MASK and SUM

void update(gn_device& device, const gn_update& update);  // optim.cc
void scale_add(gn_device& device, float* dst, const float* src, int64_t count, float keep, float scale);
double square_sum(gn_device& device, const float* values, int64_t count);  // optim.cc
void import_tensor(gn_device& device, const gn_tensor& dst, const int32_t* channel_map, void* arena, const void* host,
                   gn_host_format format, const float mean[3]);  // transfer.cc
void export_tensor(gn_device& device, const gn_tensor& src, const int32_t* channel_map, const void* arena,
                   float* host);  // transfer.cc

}  // namespace googlenet::cpu
