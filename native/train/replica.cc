#include "train/replica.h"

#include <chrono>

#include "core/status.h"
#include "train/peer_store.h"

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

/** The store as the device sees it. */
std::shared_ptr<Store> seen_from(const std::string& device, std::shared_ptr<Store> store, const std::string& home,
                                 int64_t floats) {
  if (&backend_named(device) != &backend_named(home))
    throw Failure(Code::UNSUPPORTED, "a worker on '" + device + "' cannot serve a model on '" + home + "'");
  if (device_index(device) == device_index(home)) return store;
  return std::make_shared<PeerStore>(std::move(store), home, floats);
}

}  // namespace

Replica::Replica(Graph graph, const Executor::Options& options, std::shared_ptr<Store> store, const std::string& home)
    : executor_(std::move(graph), options),
      store_(seen_from(options.device, std::move(store), home, executor_.parameters()->floats())) {}

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
  accrued_.grow_floats(device.backend, device.handle(), floats);
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
  norm_ = computed.step.gradient_norm;
  if (held_++ == 0) push_base_ = base_;
  return computed;
}

Pushed Replica::push(const OptimizerOptions& optimizer, const PushPolicy& policy) {
  if (held_ == 0) throw Failure(Code::INVALID_ARGUMENT, "there is no gradient to push: compute() one first");
  const float* gradients = executor_.gradients();
  double norm = norm_;
  if (held_ > 1) {
    accrue();
    gradients = accrued_.floats();
    if (optimizer.clip > 0) norm = executor_.norm_of(gradients);
  }
  held_ = 0;
  Push push = executor_.push_of(optimizer, norm);
  push.gradients = gradients;
  push.base = push_base_;
  push.policy = policy;
  double seconds = 0;
  Pushed pushed;
  {
    Timer timer(seconds);
    pushed = store_->push(executor_.device().handle(), push);
  }
  pushed.seconds = seconds;
  return pushed;
}

uint64_t Replica::flush(const OptimizerOptions& optimizer) {
  return store_->flush(executor_.device().handle(), executor_.push_of(optimizer, 0));
}

MemoryReport Replica::memory() const {
  MemoryReport report = executor_.memory();
  report.parameters += accrued_.bytes() + store_->worker_bytes();
  return report;
}

}  // namespace googlenet
