#include "train/replica.h"

#include <chrono>
#include <cmath>

#include "core/status.h"

namespace googlenet {

namespace {

/** Adds the time until its end to `seconds`. */
class Timer {
 public:
  explicit Timer(double& seconds) : seconds_(seconds) {}
  ~Timer() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Replica::Replica(Graph graph, const Executor::Options& options, std::shared_ptr<Store> store)
    : executor_(std::move(graph), options), store_(std::move(store)) {}

// Plain gradient descent on its own copy: momentum and decay are the store's.
void Replica::step_alone(const OptimizerOptions& local) {
  const LocalStore::Hold hold(*executor_.parameters());
  const Device& device = executor_.device();
  for (const gn_update& u : updates_of(executor_.graph(), executor_.layout(), local))
    check(device.backend.scale_add(device.handle(), executor_.parameters()->weights().floats() + u.first,
                                   executor_.gradients() + u.first, u.count, 1, -u.rate));
  executor_.parameters()->changed();
}

void Replica::accrue() {
  const Device& device = executor_.device();
  const int64_t floats = executor_.parameters()->floats();
  accrued_.grow(device.backend, device.handle(), std::max<int64_t>(floats, 1) * int64_t(sizeof(float)));
  check(device.backend.scale_add(device.handle(), accrued_.floats(), executor_.gradients(), floats, held_ > 1, 1));
}

Computed Replica::compute(const RunRequest& request, bool fetch, const OptimizerOptions& local) {
  Computed computed;
  if (fetch || !fetched_) {
    Timer timer(computed.store_seconds);
    const LocalStore::Hold hold(*executor_.parameters());
    base_ = store_->fetch(executor_.device().handle(), executor_.parameters()->weights().floats());
    executor_.parameters()->changed();
    fetched_ = true;
  } else if (held_ > 0) {
    step_alone(local);
  }
  if (held_ > 0) accrue();
  computed.step = executor_.differentiate(request);
  computed.base = base_;
  if (held_++ == 0) push_base_ = base_;
  return computed;
}

Pushed Replica::push(const OptimizerOptions& optimizer, Push push) {
  if (held_ == 0) throw Failure(Code::INVALID_ARGUMENT, "there is no gradient to push: compute() one first");
  const Device& device = executor_.device();
  push.gradients = executor_.gradients();
  if (held_ > 1) {
    accrue();
    push.gradients = accrued_.floats();
  }
  held_ = 0;
  push.base = push_base_;
  push.updates = updates_of(executor_.graph(), executor_.layout(), optimizer);
  if (optimizer.clip > 0) {
    double squares = 0;
    check(device.backend.square_sum(device.handle(), push.gradients, executor_.parameters()->floats(), &squares));
    push.gradient_scale = clip_scale(optimizer, std::sqrt(squares));
  }
  double seconds = 0;
  Pushed pushed;
  {
    Timer timer(seconds);
    pushed = store_->push(device.handle(), push);
  }
  pushed.seconds = seconds;
  return pushed;
}

uint64_t Replica::flush(const OptimizerOptions& optimizer) {
  Push push;
  push.updates = updates_of(executor_.graph(), executor_.layout(), optimizer);
  return store_->flush(executor_.device().handle(), push);
}

MemoryReport Replica::memory() const {
  MemoryReport report = executor_.memory();
  report.parameters += accrued_.bytes();
  return report;
}

}  // namespace googlenet
