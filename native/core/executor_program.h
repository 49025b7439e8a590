// A plan with the kernels that a device made of its steps, in order: forward, then backward.
#pragma once
#include "core/executor.h"
#include "core/recording.h"
#include "core/status.h"

namespace googlenet {

inline void stop_if(const std::atomic<bool>* cancelled) {
  if (cancelled && cancelled->load(std::memory_order_relaxed))
    throw Failure(Code::ABORTED, "the operation was aborted");
}

struct Executor::Program {
  Program(const Graph& graph, const Layout& layout, const PlanRequest& request, const gn_backend& backend,
          gn_device* device)
      : plan(graph, layout, request), backend_(backend), device_(device) {
    try {
      for (const auto* steps : {&plan.forward, &plan.backward}) {
        for (const gn_step& step : *steps) {
          gn_kernel* kernel = nullptr;
          check(backend.prepare(device, &step, &kernel));
          kernels.push_back(kernel);
          gn_kernel_info info{};
          backend.inspect(kernel, &info);
          scratch_bytes = std::max(scratch_bytes, info.scratch_bytes);
        }
      }
    } catch (...) {
      destroy();
      throw;
    }
  }
  ~Program() { destroy(); }

  const gn_step& step(size_t i) const {
    return i < plan.forward.size() ? plan.forward[i] : plan.backward[i - plan.forward.size()];
  }

  Plan plan;
  std::vector<gn_kernel*> kernels;
  int64_t scratch_bytes = 0;
  uint64_t version = 0;                  // of the parameters its weight copies hold
  Recording forward, gradients, update;  // what was recorded of it

 private:
  void destroy() {
    for (gn_kernel* kernel : kernels) backend_.destroy(device_, kernel);
  }
  const gn_backend& backend_;
  gn_device* device_;
};

}  // namespace googlenet
