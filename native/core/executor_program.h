// A plan with the kernels that a device made of its steps, in order: forward, then backward, each pass on its lanes.
#pragma once
#include "core/executor.h"
#include "core/lanes.h"
#include "core/recording.h"
#include "core/status.h"

namespace googlenet {

inline void stop_if(const std::atomic<bool>* cancelled) {
  if (cancelled && cancelled->load(std::memory_order_relaxed))
    throw Failure(Code::ABORTED, "the operation was aborted");
}

struct Executor::Program {
  static constexpr int64_t kAlignment = 256;  // bytes: of a lane's scratch, as of memory that CUDA gives

  Program(const Graph& graph, const Layout& layout, const PlanRequest& request, const gn_backend& backend,
          gn_device* device, int lanes)
      : plan(graph, layout, request),
        passes{schedule(plan.forward, lanes), schedule(plan.backward, lanes)},
        backend_(backend),
        device_(device) {
    std::vector<const gn_step*> steps;
    for (const auto* pass : {&plan.forward, &plan.backward})
      for (const gn_step& step : *pass) steps.push_back(&step);
    std::vector<gn_kernel*> made(steps.size());
    check(backend.prepare(device, steps.data(), int64_t(steps.size()), made.data()));
    kernels = std::move(made);
    for (const gn_kernel* kernel : kernels) {
      gn_kernel_info info{};
      backend.inspect(kernel, &info);
      lane_scratch = std::max(lane_scratch, (info.scratch_bytes + kAlignment - 1) / kAlignment * kAlignment);
    }
  }
  ~Program() {
    for (gn_kernel* kernel : kernels) backend_.destroy(device_, kernel);
  }

  const gn_step& step(size_t i) const {
    return i < plan.forward.size() ? plan.forward[i] : plan.backward[i - plan.forward.size()];
  }

  int64_t scratch_bytes() const { return lane_scratch * std::max(passes[0].lanes, passes[1].lanes); }

  Plan plan;
  Schedule passes[2];  // forward, backward
  std::vector<gn_kernel*> kernels;
  int64_t lane_scratch = kAlignment;     // bytes
  uint64_t version = 0;                  // of the parameters its weight copies hold
  Recording forward, gradients, update;  // what was recorded of it

 private:
  const gn_backend& backend_;
  gn_device* device_;
};

}  // namespace googlenet
