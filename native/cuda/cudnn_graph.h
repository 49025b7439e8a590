// cuDNN's graph API as we use it: an operation graph of one convolution and what follows it, and the plan that an
// engine makes of it. Written on the C API of cuDNN (docs/decisions/0009-cuda.md says why).
#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <compare>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "backend/backend.h"
#include "cuda/cudnn_library.h"

namespace googlenet::cuda {

/** A cuDNN object of one type, its attributes set one by one and then finalized. */
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& other) noexcept : raw_(other.raw_) { other.raw_ = nullptr; }
  ~Descriptor();

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values);
  void set(cudnnBackendAttributeName_t name, int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, bool value) { set(name, CUDNN_TYPE_BOOLEAN, 1, &value); }
  void set(cudnnBackendAttributeName_t name, float value) { set(name, CUDNN_TYPE_FLOAT, 1, &value); }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) { set(name, CUDNN_TYPE_DATA_TYPE, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    set(name, CUDNN_TYPE_INT64, int64_t(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_);
  }
  /** False with cuDNN's reason in `why` when it does not support what was described. */
  bool finalize(std::string& why);
  /** Throws INTERNAL instead. */
  void finalize();
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

/** For whom plans are made: a handle on a real device, for one thread at a time. The tests put the properties of an
 *  absent one in its place. */
class Target {
 public:
  explicit Target(cudaStream_t stream);
  ~Target();
  Target(const Target&) = delete;

  void describe_graph(Descriptor& graph) const;
  void describe_heuristics(Descriptor& heuristics) const;
  void describe_plan(Descriptor& plan) const;
  void use(cudaStream_t stream) const;
  void execute(const Descriptor& plan, const Descriptor& variant_pack) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/** (N, C, H, W) with any strides, in elements. */
struct Tensor {
  std::array<int64_t, 4> dims, strides;
  gn_type type = GN_F32;
  auto operator<=>(const Tensor&) const = default;
};

/** One convolution. src and weights may be gradients: the direction says which of the three is computed. */
struct Convolution {
  gn_direction direction;
  Tensor src, weights, dst;
  std::array<int64_t, 2> stride, dilation, pad;
  bool bias, relu;  // forward
  gn_precision precision;
  auto operator<=>(const Convolution&) const = default;
};

/** What a run of a convolution binds; a plan uses those that its graph has. */
struct Operands {
  void *src, *weights, *dst;
  const void* bias;
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
   * fused: what follows the convolution is in the graph: + bias (f32) and max(0, ·), or an identity where nothing follows.
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
