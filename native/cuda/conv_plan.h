// Plans of convolutions: which of cuDNN's engines runs one, how its sums are cut, and who shares it.
#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/cudnn_graph.h"

namespace googlenet::cuda {

/** What a run of a convolution binds; a plan uses those that its graph has. */
struct Operands {
  void *src, *weights, *dst;
  const void *bias, *mask;
  void* workspace;
};

/** Which of cuDNN's proposals can be taken. */
struct Choice {
  int64_t workspace;     // bytes, at most
  bool fallback = true;  // those too that cuDNN keeps for want of better ones
  int64_t from = 0;      // numbers below are passed over
  auto operator<=>(const Choice&) const = default;
};

/** A plan ready to run, or why there is none. */
class ConvPlan {
 public:
  /**
   * fused: what follows the convolution is in the graph: + bias (f32) and max(0, ·), or the mask of a gradient, or an
   * identity where nothing follows.
   * That is not only less work: the forms that cuDNN knows by heart (convolution alone, convolution + bias + ReLU) go
   * to engines that copy channel slices into workspace; these go to engines compiled at run time, which work in place.
   * The workspace is what tells them apart. cuDNN's proposals are numbered in its order of preference, and the first
   * that can be taken is. Gradients of weights have few results of long sums, more of them where the engine lets us cut
   * the sums (slices_of): each proposal is two there, cut by us and as cuDNN made it.
   */
  ConvPlan(const Target& target, const Convolution& convolution, bool fused, const Choice& choice);

  explicit operator bool() const { return plan_ != nullptr; }
  const std::string& reason() const { return reason_; }
  int64_t workspace() const { return workspace_; }
  int64_t engine() const { return engine_; }
  int64_t number() const { return number_; }
  bool tensor_cores() const { return tensor_cores_; }
  void run(const Target& target, const Operands& operands) const;

 private:
  bool try_engine(const Target& target, Descriptor configuration, gn_precision precision, const Choice& choice);

  std::unique_ptr<Descriptor> configuration_, plan_;  // it is not documented that a plan outlives its configuration
  std::vector<int64_t> ids_;                          // of the tensors that a run binds
  std::string reason_;
  int64_t workspace_ = 0, engine_ = -1, number_ = 0;
  bool tensor_cores_ = false;
};

/** The plans in use on a device. The same convolution has one, which cuDNN may take a second to compile: inference runs
 *  on the forward plans of training, and both auxiliary heads on the same ones. Several threads may ask, each with a
 *  target of its own: who asks for what another one is making waits for that. */
class ConvPlans {
 public:
  /** As ConvPlan's constructor. */
  std::shared_ptr<const ConvPlan> get(const Target& target, const Convolution& convolution, bool fused,
                                      const Choice& choice);

 private:
  using Key = std::tuple<Convolution, bool, Choice>;
  std::mutex mutex_;
  std::condition_variable made_;
  std::set<Key> making_;
  std::map<Key, std::weak_ptr<const ConvPlan>> plans_;
};

}  // namespace googlenet::cuda
