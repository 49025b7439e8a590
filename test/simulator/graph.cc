// How a graph of simulated descriptors is checked and run.
#include "graph.h"

#include <algorithm>

#include "operand.h"

namespace simulator {

Array array_of(const Descriptor& tensor) {
  const auto d = tensor.list<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS),
             s = tensor.list<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  return {nullptr, d.at(0), d.at(1), d.at(2), d.at(3), s.at(0), s.at(1), s.at(2), s.at(3)};
}

int64_t extent(const Array& a) { return (a.n - 1) * a.sn + (a.c - 1) * a.sc + (a.h - 1) * a.sh + (a.w - 1) * a.sw + 1; }

int64_t size_of(const Descriptor& tensor) {
  return tensor.one(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT) == CUDNN_DATA_BFLOAT16 ? 2 : 4;
}

Window window_of(const Descriptor& d) {
  const auto s = d.list<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  const auto l = d.list<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  const auto p = d.list<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  return {s.at(0), s.at(1), l.at(0), l.at(1), p.at(0), p.at(1)};
}

bool is_convolution(const Descriptor& operation) {
  return operation.type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;
}

Operands operands_of(const Descriptor& o) {
  switch (o.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return {o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC)};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return {o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC)};
    default:
      return {o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY),
              o.child(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC)};
  }
}

static std::string problem_of_tensor(const Descriptor& d) {
  const auto dims = d.list<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), strides = d.list<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  if (dims.size() != 4 || strides.size() != 4) return "a tensor needs four dimensions and strides";
  if (std::any_of(dims.begin(), dims.end(), [](int64_t n) { return n < 1; })) return "a dimension is not positive";
  if (!d.has(CUDNN_ATTR_TENSOR_UNIQUE_ID) || !d.has(CUDNN_ATTR_TENSOR_DATA_TYPE)) return "a tensor lacks id or type";
  const bool by_value = d.one(CUDNN_ATTR_TENSOR_IS_BY_VALUE, false);
  if (by_value && extent(array_of(d)) != 1) return "a tensor by value has one element";
  const int64_t alignment = d.one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0);
  if (alignment < size_of(d) || (alignment & (alignment - 1))) return "the alignment is no power of two";
  if (by_value) return "";
  if (strides[1] != 1 && dims[1] > 1) return "channels are not neighbours (NHWC)";
  if ((strides[3] * size_of(d)) % alignment && dims[2] * dims[3] > 1)
    return "the pixel pitch is not aligned";
  return "";
}

static std::string problem_of_convolution(const Descriptor& operation) {
  const Operands o = operands_of(operation);
  for (const Descriptor* d : {&o.x, &o.w, &o.y, &o.window})
    if (!d->finalized) return "an operand is not finalized";
  const Array x = array_of(o.x), w = array_of(o.w), y = array_of(o.y);
  const Window a = window_of(o.window);
  const auto out = [](int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
    return (size + 2 * pad - (dilation * (kernel - 1) + 1)) / stride + 1;
  };
  if (x.c != w.c || w.n != y.c || x.n != y.n || y.h != out(x.h, w.h, a.stride_h, a.dilation_h, a.pad_h) ||
      y.w != out(x.w, w.w, a.stride_w, a.dilation_w, a.pad_w))
    return "the shapes of a convolution do not fit";
  if (extent(w) != w.n * w.c * w.h * w.w) return "weights must be packed";
  const bool data = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const bool forward = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
  const Descriptor &result = forward ? o.y : data ? o.x : o.w, &first = data ? o.w : o.x, &second = forward ? o.w : o.y;
  if (size_of(first) != size_of(second)) return "the factors of a convolution differ in type";
  if (!result.one(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false) && size_of(result) != size_of(first))
    return "a convolution alone has no engine whose result differs in type";
  return "";
}

/** The tensors of a pointwise operation; a backward one has other names for them. */
struct Pointwise {
  explicit Pointwise(const Descriptor& o)
      : mode(o.child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)
                 .one(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY)),
        backward(mode == CUDNN_POINTWISE_RELU_BWD),
        src(o.child(backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_XDESC)),
        dst(o.child(backward ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC)) {
    const auto name = backward ? CUDNN_ATTR_OPERATION_POINTWISE_XDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC;
    if (o.has(name)) other = &o.child(name);
  }
  cudnnPointwiseMode_t mode;
  bool backward;
  const Descriptor &src, &dst, *other = nullptr;
};

static std::string problem_of_pointwise(const Descriptor& operation) {
  const Pointwise p(operation);
  const auto same = [](const Descriptor& a, const Descriptor& b) {
    return a.list<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS) == b.list<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
  };
  if (!same(p.src, p.dst)) return "the shapes of a pointwise operation differ";
  if (p.backward && (!p.other || !same(*p.other, p.dst))) return "a backward ReLU needs all that the ReLU gave";
  return "";
}

std::string problem_of(const Descriptor& d) {
  switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return problem_of_tensor(d);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: return problem_of_convolution(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return problem_of_pointwise(d);
    default: return "";
  }
}

static void pointwise(cudnnPointwiseMode_t mode, Array x, Array b, Array y) {
  for (int64_t n = 0; n < y.n; n++)
    for (int64_t h = 0; h < y.h; h++)
      for (int64_t w = 0; w < y.w; w++)
        for (int64_t c = 0; c < y.c; c++) {
          const float value = x.at(n, c, h, w);
          const float other = b.data ? b.at(n % b.n, c % b.c, h % b.h, w % b.w) : 0;
          y.at(n, c, h, w) = mode == CUDNN_POINTWISE_ADD   ? value + other
                             : mode == CUDNN_POINTWISE_MAX ? (value > other ? value : other)
                             : mode == CUDNN_POINTWISE_RELU_BWD ? (other > 0 ? value : 0)
                                                                : value;
        }
}

void run(const std::vector<std::shared_ptr<const Descriptor>>& operations, const std::map<int64_t, void*>& bound,
         bool tensor_cores) {
  Operand::Floats between;  // virtual tensors
  const auto use = [&](const Descriptor& tensor, Operand::Use use) { return Operand(tensor, bound, between, use); };
  const auto factor = tensor_cores ? Operand::factor : Operand::source;
  for (const auto& operation : operations) {
    if (!is_convolution(*operation)) {
      const Pointwise p(*operation);
      const Operand x = use(p.src, Operand::source), y = use(p.dst, Operand::result);
      std::unique_ptr<Operand> b;
      if (p.other) b = std::make_unique<Operand>(*p.other, bound, between, Operand::source);
      pointwise(p.mode, x.array(), b ? b->array() : Array{}, y.array());
      y.store();
      continue;
    }
    const Operands o = operands_of(*operation);
    const bool forward = operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
    const bool data = operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const Operand x = use(o.x, data ? Operand::result : factor), y = use(o.y, forward ? Operand::result : factor),
                  w = use(o.w, forward || data ? factor : Operand::result);
    (forward ? convolve_forward : data ? convolve_backward_data : convolve_backward_weights)(
        x.array(), w.array(), y.array(), window_of(o.window));
    for (const Operand* operand : {&x, &w, &y}) operand->store();
  }
}

}  // namespace simulator
