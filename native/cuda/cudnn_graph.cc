#include "cuda/cudnn_graph.h"

#include <algorithm>
#include <initializer_list>

#include "core/status.h"

namespace googlenet::cuda {

static std::string last_error(cudnnStatus_t status) {
  char text[1024] = "";
  cudnn().GetLastErrorString(text, sizeof text);
  const std::string reason = text;
  return std::string(cudnn().GetErrorString(status)) +
         (reason.empty() ? "" : ": " + reason.substr(0, reason.find('\n')));
}

void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw Failure(status == CUDNN_STATUS_ALLOC_FAILED ? Code::OUT_OF_MEMORY : Code::INTERNAL,
                  "cuDNN " + cudnn().version + ", " + what + ": " + last_error(status));
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check(cudnn().BackendCreateDescriptor(type, &raw_), "creating a descriptor");
}
Descriptor::~Descriptor() {
  if (raw_) cudnn().BackendDestroyDescriptor(raw_);
}
void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                     const void* values) {
  const cudnnStatus_t status = cudnn().BackendSetAttribute(raw_, name, type, count, values);
  if (status != CUDNN_STATUS_SUCCESS) check(status, ("setting attribute " + std::to_string(name)).c_str());
}
bool Descriptor::finalize(std::string& why) {
  const cudnnStatus_t status = cudnn().BackendFinalize(raw_);
  if (status != CUDNN_STATUS_SUCCESS) why = last_error(status);
  return status == CUDNN_STATUS_SUCCESS;
}
void Descriptor::finalize() { check(cudnn().BackendFinalize(raw_), "finalizing a descriptor"); }

enum class Kind { bound, between, by_value };

static Descriptor tensor(Id id, const Tensor& t, Kind kind = Kind::bound) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, t.type == GN_BF16 && kind == Kind::bound ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT);
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<int64_t>(t.dims.begin(), t.dims.end()));
  d.set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<int64_t>(t.strides.begin(), t.strides.end()));
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t(id));
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t(kind == Kind::by_value ? 4 : 16));
  if (kind == Kind::between) d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  if (kind == Kind::by_value) d.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
  d.finalize();
  return d;
}

/** One value a channel, or one in all. */
static Tensor channels(int64_t count) { return {{1, count, 1, 1}, {count, 1, count, count}}; }

static Descriptor window(const Convolution& c) {
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const auto list = [](const std::array<int64_t, 2>& a) { return std::vector<int64_t>(a.begin(), a.end()); };
  d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t(2));
  d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  d.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  d.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, list(c.stride));
  d.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, list(c.dilation));
  d.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, list(c.pad));
  d.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, list(c.pad));
  d.finalize();
  return d;
}

/** What the three convolution operations call the same things. */
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t window, src, weights, dst, alpha, beta;
};
static constexpr Names kNames[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

static Descriptor convolve(const Convolution& c, const Descriptor& src, const Descriptor& weights,
                           const Descriptor& dst) {
  const Names& names = kNames[c.direction];
  Descriptor d(names.operation);
  d.set(names.window, window(c));
  d.set(names.src, src);
  d.set(names.weights, weights);
  d.set(names.dst, dst);
  d.set(names.alpha, 1.0f);
  d.set(names.beta, 0.0f);
  d.finalize();
  return d;
}

struct Argument {
  cudnnBackendAttributeName_t name;
  const Descriptor& tensor;
};
static Descriptor pointwise(cudnnPointwiseMode_t mode, std::initializer_list<Argument> arguments) {
  Descriptor kind(CUDNN_BACKEND_POINTWISE_DESCRIPTOR), d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  kind.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  kind.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  kind.finalize();
  d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind);
  for (const auto& [name, tensor] : arguments) d.set(name, tensor);
  d.finalize();
  return d;
}
/** dst = mode(src, other) */
static Descriptor combined(cudnnPointwiseMode_t mode, const Descriptor& src, const Descriptor& other,
                           const Descriptor& dst) {
  return pointwise(mode, {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, src},
                          {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, other},
                          {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, dst}});
}
static Descriptor copied(const Descriptor& src, const Descriptor& dst) {
  return pointwise(CUDNN_POINTWISE_IDENTITY,
                   {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, src}, {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, dst}});
}
/** dst = src where `values` are > 0, else 0: cuDNN's backward ReLU, which others train with too on what a ReLU gave, and
 *  which makes 0 of gradients at 0. */
static Descriptor masked(const Descriptor& src, const Descriptor& values, const Descriptor& dst) {
  return pointwise(CUDNN_POINTWISE_RELU_BWD, {{CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, src},
                                              {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, values},
                                              {CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dst}});
}

std::vector<Descriptor> operations_of(const Convolution& c, bool fused, std::vector<int64_t>& ids) {
  const Id computed = c.direction == GN_FORWARD ? kDst : c.direction == GN_BACKWARD_DATA ? kSrc : kWeights;
  const Tensor& result = computed == kDst ? c.dst : computed == kSrc ? c.src : c.weights;
  const auto operand = [&](Id id, const Tensor& t) {
    return id == computed && fused ? tensor(kSum, t, Kind::between) : tensor(id, t);
  };
  const Descriptor src = operand(kSrc, c.src), weights = operand(kWeights, c.weights), dst = operand(kDst, c.dst);
  ids = {kSrc, kWeights, kDst};
  std::vector<Descriptor> list;
  list.push_back(convolve(c, src, weights, dst));
  if (!fused) return list;
  const Descriptor& sum = computed == kDst ? dst : computed == kSrc ? src : weights;
  const Descriptor last = tensor(computed, result), biased = tensor(kBiased, result, Kind::between);
  if (c.bias) {
    const Descriptor bias = tensor(kBias, channels(result.dims[1]));
    list.push_back(combined(CUDNN_POINTWISE_ADD, sum, bias, c.relu ? biased : last));
    ids.push_back(kBias);
  }
  if (c.relu) {
    const Descriptor zero = tensor(kZero, channels(1), Kind::by_value);
    list.push_back(combined(CUDNN_POINTWISE_MAX, c.bias ? biased : sum, zero, last));
    ids.push_back(kZero);
  }
  if (c.masks()) {
    list.push_back(masked(sum, tensor(kMask, c.mask), last));
    ids.push_back(kMask);
  }
  if (list.size() == 1) list.push_back(copied(sum, last));
  return list;
}

}  // namespace googlenet::cuda
