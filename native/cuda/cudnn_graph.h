// cuDNN's graph API as we use it: an operation graph of one convolution and what follows it; conv_plan.h has the plans.
// Written on the C API of cuDNN (docs/decisions/0009-cuda.md says why).
#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <compare>
#include <memory>
#include <string>
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
  std::array<int64_t, 4> dims{}, strides{};
  gn_type type = GN_F32;
  auto operator<=>(const Tensor&) const = default;
};

/** One convolution. src and weights may be gradients: the direction says which of the three is computed. */
struct Convolution {
  gn_direction direction;
  Tensor src, weights, dst;
  std::array<int64_t, 2> stride, dilation, pad;
  bool bias, relu;  // forward
  Tensor mask;      // backward data: src is zeroed where this is <= 0; without dimensions: nowhere
  gn_precision precision;
  bool masks() const { return mask.dims[0] > 0; }
  auto operator<=>(const Convolution&) const = default;
};

/** Tensors of a graph are known by numbers: those that a run binds, then those between two operations. */
enum Id : int64_t { kSrc = 1, kWeights, kDst, kBias, kZero, kMask, kSum, kBiased };

/** The operations in order; ids: what a run must bind. fused: with what follows the convolution, else it alone. */
std::vector<Descriptor> operations_of(const Convolution& convolution, bool fused, std::vector<int64_t>& ids);

/** Throws INTERNAL, or OUT_OF_MEMORY, with cuDNN's reason. */
void check(cudnnStatus_t status, const char* what);

}  // namespace googlenet::cuda
