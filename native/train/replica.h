// A worker of asynchronous SGD: a copy of a network with weights, activations and gradients of its own, on threads of
// its own. It fetches weights from a store, computes gradients on them and pushes those. Not thread-safe: one thread
// calls it; many replicas may share a store.
#pragma once
#include "core/executor.h"
#include "train/store.h"

namespace googlenet {

struct Computed {
  StepResult step;
  /** Version of the store's weights that the gradient stands on. */
  uint64_t base = 0;
  double store_seconds = 0;
};

class Replica {
 public:
  /** `home`: the device where the store lies; another one of the same kind than options.device is reached by peer copies.
   */
  Replica(Graph graph, const Executor::Options& options, std::shared_ptr<Store> store, const std::string& home);

  /**
   * A gradient for one batch. `fetch`: on the store's newest weights; else on those it has, moved by its own last
   * gradient at `local`'s rate (Downpour SGD with n_fetch > 1). Gradients that were not pushed yet are added up.
   */
  Computed compute(const RunRequest& request, bool fetch, const OptimizerOptions& local);
  /** Pushes the sum of the gradients since the last push. */
  Pushed push(const OptimizerOptions& optimizer, const PushPolicy& policy);
  /** Forgets the gradients that were not pushed. */
  void discard() { held_ = 0; }
  uint64_t flush(const OptimizerOptions& optimizer);
  MemoryReport memory() const;

 private:
  void step_alone(const OptimizerOptions& local);
  void accrue();

  Executor executor_;
  std::shared_ptr<Store> store_;
  DeviceMemory accrued_;
  uint64_t base_ = 0;       // version of its weights
  uint64_t push_base_ = 0;  // of the oldest gradient that was not pushed
  double norm_ = 0;         // of the newest gradient
  bool fetched_ = false;
  int held_ = 0;  // gradients since the last push; the last of them in the executor, the sum of the rest in accrued_
};

}  // namespace googlenet
