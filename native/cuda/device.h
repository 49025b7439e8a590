// What every CUDA kernel is: made from one step, run many times with the arenas bound at each run, on the stream of the
// device's lane of that moment.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/photos.h"
#include "cuda/conv_plan.h"
#include "cuda/feed.h"
#include "cuda/lanes.h"
#include "cuda/memory.h"
#include "cuda/pinned.h"
#include "cuda/recording.h"

struct gn_device {
  int index = 0;
  gn_precision precision = GN_PRECISION_F32;
  std::unique_ptr<googlenet::cuda::Lanes> lanes;
  cudaStream_t stream = nullptr;  // of lane 0, but between fork and join of the one that was chosen
  std::unique_ptr<googlenet::cuda::Target> target;
  // Of the threads that plan ahead. It is not documented that a plan outlives the handle that it was made for.
  std::vector<std::unique_ptr<googlenet::cuda::Target>> planners;
  googlenet::cuda::ConvPlans plans;
  std::unique_ptr<googlenet::cuda::Pinned> pinned;
  std::unique_ptr<googlenet::cuda::Feed> feed;  // null until something was staged
  googlenet::cuda::Memory staging;              // a host tensor on its way in or out, and its channel map
  googlenet::cuda::Memory partials;             // f64 sums of square_sum
  std::string description;
  std::string identity;  // what a choice among engines depends on: cuDNN's version and the card
  bool tune = false;
  int peer = -1;  // the card that it was last told to read directly
};

struct gn_kernel {
  std::function<void(const gn_bindings&)> run;
  std::string implementation = "own";
  int64_t scratch_bytes = 0;
};

namespace googlenet::cuda {

/** The type of what is multiplied: values, their gradients, and the weights as kernels read them. */
inline gn_type factors(const gn_device& device) { return device.precision == GN_PRECISION_BF16 ? GN_BF16 : GN_F32; }

/** use(where the host's bytes lie on the device): where the feed has brought them, else in `room`, where they are sent. */
template <class Use>
void with_host(gn_device& device, const void* host, int64_t bytes, char* room, const Use& use) {
  if (device.feed && device.feed->take(host, bytes, device.stream, use)) return;
  device.pinned->send(room, host, bytes);
  use(room);
}

using Kernel = std::unique_ptr<gn_kernel>;

inline Kernel own_kernel(std::function<void(const gn_bindings&)> run) {
  auto kernel = std::make_unique<gn_kernel>();
  kernel->run = std::move(run);
  return kernel;
}

// One maker per operation, in the file of its name; each handles all directions of its operation and throws Failure
// for what it does not support.
Kernel make_conv(gn_device& device, const gn_step& step);  // CONV and LINEAR
Kernel make_pool(gn_device& device, const gn_step& step);
Kernel make_lrn(gn_device& device, const gn_step& step);
Kernel make_lrn_pool(gn_device& device, const gn_step& step);  // LRN_POOL and POOL_LRN
int32_t has_lrn_pool(gn_op op, const gn_attributes* attributes);
Kernel make_dropout(gn_device& device, const gn_step& step);
Kernel make_softmax(gn_device& device, const gn_step& step);   // SOFTMAX and LOSS
Kernel make_gradient(gn_device& device, const gn_step& step);  // MASK and SUM

using Plan = std::shared_ptr<const ConvPlan>;
/** What make_conv() will ask for of this step, made for a target of the calling thread's. */
std::vector<Plan> plans_of_conv(gn_device& device, const Target& target, const gn_step& step);
/** Steps in which this is the same ask for the same. */
Convolution first_convolution(const gn_device& device, const gn_step& step);

std::vector<Kernel> make_kernels(gn_device& device, const gn_step* const* steps, int64_t count);  // kernels.cc

void pull(gn_device& device, void* to, const gn_device& other, const void* from, int64_t bytes);  // peers.cc
void convert(gn_device& device, void* to, const float* from, int64_t count);                      // convert.cu
void update(gn_device& device, const gn_update& update);                                          // optim.cu
void judge(gn_device& device, const gn_judgement& judgement);                                     // optim.cu
void scale_add(gn_device& device, float* dst, const float* src, int64_t count, float keep, float scale);
double square_sum(gn_device& device, const float* values, int64_t count);  // optim.cu
void import_tensor(gn_device& device, const gn_tensor& dst, const int32_t* channel_map, void* arena, const void* host,
                   gn_host_format format, const float mean[3]);  // transfer.cu
void stage(gn_device& device, const void* host, int64_t bytes);  // transfer.cu
/** map: the B, G or R that each physical channel holds, -1 = padding. */
void import_photos(gn_device& device, const gn_tensor& dst, const std::vector<int32_t>& map, void* arena,
                   const gn_photos& block);  // input.cu
void export_tensor(gn_device& device, const gn_tensor& src, const int32_t* channel_map, const void* arena,
                   float* host);  // transfer.cu

}  // namespace googlenet::cuda
