// Kernels of a plan's steps. cuDNN takes up to a second to compile what one convolution runs, and a network being trained
// has some 170 of them: several threads make these plans first, then the kernels are made in order and find them.
#include <algorithm>
#include <atomic>
#include <map>

#include "core/status.h"
#include "core/threads.h"
#include "cuda/device.h"

namespace googlenet::cuda {
namespace {

constexpr int kMostThreads = 16;  // each has a cuDNN handle of its own, for good
/** While tuning all candidates of so many steps are held at once, for 16 threads two each. */
constexpr int64_t kTuned = 32;

Kernel make(gn_device& device, const gn_step& step) {
  switch (step.op) {
    case GN_CONV:
    case GN_LINEAR: return make_conv(device, step);
    case GN_POOL: return make_pool(device, step);
    case GN_LRN: return make_lrn(device, step);
    case GN_LRN_POOL:
    case GN_POOL_LRN: return make_lrn_pool(device, step);
    case GN_DROPOUT: return make_dropout(device, step);
    case GN_SOFTMAX:
    case GN_LOSS: return make_softmax(device, step);
    case GN_MASK:
    case GN_SUM: return make_gradient(device, step);
    default: throw Failure(Code::INTERNAL, std::string("no CUDA kernel for step '") + step.name + "'");
  }
}

bool convolves(const gn_step& step) { return step.op == GN_CONV || step.op == GN_LINEAR; }

/** The plans must be held until the kernels are made. What fails here fails again there, and is told in order. */
std::vector<std::vector<Plan>> plan_ahead(gn_device& device, const gn_step* const* steps, int64_t count) {
  std::map<Convolution, const gn_step*> distinct;
  for (int64_t i = 0; i < count; i++)
    if (convolves(*steps[i])) distinct.emplace(first_convolution(device, *steps[i]), steps[i]);
  std::vector<const gn_step*> work;
  for (const auto& [convolution, step] : distinct) work.push_back(step);
  const int threads = std::min({available_cores(), kMostThreads, int(work.size())});
  std::vector<std::vector<Plan>> plans(work.size());
  if (threads < 2) return plans;
  if (int(device.planners.size()) < threads) device.planners.resize(size_t(threads));
  std::atomic<size_t> next{0};
  ThreadPool(threads).parallel(threads, [&](int64_t thread) {
    try {
      check(cudaSetDevice(device.index), "choosing the device");
      auto& target = device.planners[size_t(thread)];
      if (!target) target = std::make_unique<Target>(device.stream);
      for (size_t i; (i = next++) < work.size();) plans[i] = plans_of_conv(device, *target, *work[i]);
    } catch (const std::exception&) {
    }
  });
  return plans;
}

}  // namespace

std::vector<Kernel> make_kernels(gn_device& device, const gn_step* const* steps, int64_t count) {
  std::vector<Kernel> kernels;
  const int64_t group = device.tune ? kTuned : count;
  for (int64_t first = 0; first < count; first += group) {
    const int64_t last = std::min(first + group, count);
    const auto plans = plan_ahead(device, steps + first, last - first);
    for (int64_t i = first; i < last; i++) kernels.push_back(make(device, *steps[i]));
  }
  return kernels;
}

}  // namespace googlenet::cuda
