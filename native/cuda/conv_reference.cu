#include "cuda/conv_reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace googlenet::cuda {
namespace {

constexpr int64_t kSamples = 4096;

/** A number in [-1, 1) that looks random (the finalizer of MurmurHash3 on index and seed). */
GN_DEVICE float noise(uint64_t i, uint32_t seed) {
  uint64_t h = i * 0x9E3779B97F4A7C15u + seed;
  h ^= h >> 33, h *= 0xff51afd7ed558ccdu, h ^= h >> 33, h *= 0xc4ceb9fe1a85ec53u, h ^= h >> 33;
  return float(int32_t(h >> 32)) * (1.0f / 2147483648.0f);
}

/** What a store makes of a number. */
GN_DEVICE float rounded(float value, gn_type type) {
  if (type == GN_F32) return value;
  Bf16 stored;
  stored = value;
  return stored;
}

/** Elements of either type. */
struct Elements {
  const void* data;
  gn_type type;
  int pitch;  // elements from pixel to pixel
  GN_DEVICE float operator[](uint64_t i) const {
    return type == GN_BF16 ? float(static_cast<const Bf16*>(data)[i]) : static_cast<const float*>(data)[i];
  }
  GN_DEVICE float at(uint32_t pixel, uint32_t channel) const { return (*this)[uint64_t(pixel) * pitch + channel]; }
};
Elements elements_of(const Pixels& p) { return {p.data, p.type, p.pitch}; }

template <class T>
struct Fill {
  T* values;
  uint32_t seed;
  float lowest;
  GN_DEVICE void operator()(uint32_t i) const {
    const float value = noise(i, seed);
    values[i] = value > lowest ? value : lowest;
  }
};

struct Sum {
  double value = 0, magnitude = 0;
  GN_DEVICE void add(double term) { value += term, magnitude += term < 0 ? -term : term; }
};

/** One axis of the window. */
struct Axis {
  int src, dst, kernel, stride, dilation, pad;
  /** The source element under window element r at output p; outside: -1. */
  GN_DEVICE int at(int p, int r) const {
    const int i = p * stride + r * dilation - pad;
    return i < src ? i : -1;
  }
  /** The output whose window element r lies on source element i; none: -1. */
  GN_DEVICE int output(int i, int r) const {
    const int p = i + pad - r * dilation;
    return p % stride || p / stride >= dst ? -1 : p / stride;
  }
};

/** error[i] of sample i: elements `apart` from each other of the buffer that the step writes to. */
struct Compare {
  gn_direction direction;
  Axis y, x;
  int n, columns, rows;           // images; channels of the source; channels of the output
  Elements src, dst, weights;     // weights: (rows, kernel, kernel, columns); their gradients backwards
  const float* bias;              // (rows) or null; its gradients backwards
  Elements mask;                  // null: there is none
  Elements written;               // from the buffer's beginning
  uint32_t pitch, channel, span;  // elements from pixel to pixel; the view in it
  uint64_t apart, weight_count;   // backward weights: the weights, then the bias
  uint32_t seed;
  double tolerance;
  bool relu;
  float* error;

  GN_DEVICE Sum forward(uint32_t pixel, int k) const {
    const int q = int(pixel) % x.dst, p = int(pixel) / x.dst % y.dst, image = int(pixel) / x.dst / y.dst;
    Sum sum;
    for (int r = 0; r < y.kernel; r++)
      for (int s = 0; s < x.kernel; s++) {
        const int h = y.at(p, r), w = x.at(q, s);
        for (int c = 0; c < columns && h >= 0 && w >= 0; c++)
          sum.add(double(src.at((image * y.src + h) * x.src + w, c)) *
                  weights[((size_t(k) * y.kernel + r) * x.kernel + s) * columns + c]);
      }
    if (bias) sum.add(bias[k]);
    if (relu && sum.value < 0) sum.value = 0;
    return sum;
  }
  GN_DEVICE Sum backward_data(uint32_t pixel, int c) const {
    const int w = int(pixel) % x.src, h = int(pixel) / x.src % y.src, image = int(pixel) / x.src / y.src;
    Sum sum;
    if (mask.data && !(mask.at(pixel, c) > 0)) return sum;
    for (int r = 0; r < y.kernel; r++)
      for (int s = 0; s < x.kernel; s++) {
        const int p = y.output(h, r), q = x.output(w, s);
        for (int k = 0; k < rows && p >= 0 && q >= 0; k++)
          sum.add(double(dst.at((image * y.dst + p) * x.dst + q, k)) *
                  weights[((size_t(k) * y.kernel + r) * x.kernel + s) * columns + c]);
      }
    return sum;
  }
  GN_DEVICE Sum backward_weights(uint64_t i) const {
    const bool sums_bias = i >= weight_count;
    const int c = int(i % columns), s = int(i / columns % x.kernel), r = int(i / columns / x.kernel % y.kernel);
    const int k = int(sums_bias ? i - weight_count : i / columns / x.kernel / y.kernel);
    Sum sum;
    for (int image = 0; image < n; image++)
      for (int p = 0; p < y.dst; p++)
        for (int q = 0; q < x.dst; q++) {
          const double g = dst.at((image * y.dst + p) * x.dst + q, k);
          const int h = y.at(p, r), w = x.at(q, s);
          if (sums_bias)
            sum.add(g);
          else if (h >= 0 && w >= 0)
            sum.add(g * src.at((image * y.src + h) * x.src + w, c));
        }
    return sum;
  }
  GN_DEVICE void operator()(uint32_t i) const {
    const uint64_t at = i * apart;
    const uint32_t pixel = uint32_t(at / pitch), c = uint32_t(at % pitch) - channel;
    Sum sum{rounded(noise(at, seed), written.type), 0};
    if (direction == GN_BACKWARD_WEIGHTS)
      sum = backward_weights(at);
    else if (c < span)
      sum = direction == GN_FORWARD ? forward(pixel, int(c)) : backward_data(pixel, int(c));
    const bool sums_bias = direction == GN_BACKWARD_WEIGHTS && at >= weight_count;
    const double off = double(sums_bias ? bias[at - weight_count] : written[at]) - sum.value;
    error[i] = off == 0 ? 0 : float((off < 0 ? -off : off) / (tolerance * sum.magnitude));
  }
};

}  // namespace

void fill_noise(const gn_device& device, void* values, gn_type type, int64_t count, uint32_t seed, float lowest) {
  with_type(type, [&](auto element) {
    using T = decltype(element);
    for_each(device, count, Fill<T>{static_cast<T*>(values), seed, lowest});
  });
}

double convolution_error(gn_device& device, const gn_step& step, const gn_bindings& b, uint32_t seed,
                         double tolerance) {
  const gn_attributes& a = step.attributes;
  const bool linear = step.op == GN_LINEAR, weights = step.direction == GN_BACKWARD_WEIGHTS;
  const gn_tensor& src = step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src;
  const gn_tensor& dst = step.direction == GN_FORWARD ? step.dst : step.diff_dst;
  const gn_tensor& written = step.direction == GN_FORWARD ? dst : src;
  const float* const parameters = weights ? b.gradients : b.parameters;
  Compare body{};
  body.direction = step.direction;
  body.y = {src.h,
            dst.h,
            linear ? src.h : a.kernel_h,
            linear ? 1 : a.stride_h,
            linear ? 1 : a.dilation_h,
            linear ? 0 : a.pad_h};
  body.x = {src.w,
            dst.w,
            linear ? src.w : a.kernel_w,
            linear ? 1 : a.stride_w,
            linear ? 1 : a.dilation_w,
            linear ? 0 : a.pad_w};
  body.n = src.n, body.columns = src.span, body.rows = dst.span;
  body.src = elements_of(bind(src, b)), body.dst = elements_of(bind(dst, b));
  const gn_type type = weights ? GN_F32 : factors(device);
  const void* const held = weights ? b.gradients : b.weights;
  body.weights = {static_cast<const char*>(held) + step.weights.offset * gn_bytes_of(type), type, 0};
  body.bias = step.bias.offset < 0 ? nullptr : parameters + step.bias.offset;
  if (step.mask.arena != GN_NONE) body.mask = elements_of(bind(step.mask, b));
  body.relu = step.direction == GN_FORWARD && a.relu;
  body.weight_count = uint64_t(dst.span) * body.y.kernel * body.x.kernel * src.span;
  body.pitch = uint32_t(written.channels), body.channel = uint32_t(written.channel), body.span = uint32_t(written.span);
  body.written = body.weights;
  if (!weights) body.written = {static_cast<const char*>(b.arenas[written.arena]) + written.offset, written.type, 0};
  const int64_t count =
      weights ? int64_t(body.weight_count) + (body.bias ? dst.span : 0) : pixels(written) * body.pitch;
  const int64_t samples = std::min(count, kSamples);
  body.apart = uint64_t(count / samples);
  body.seed = seed, body.tolerance = tolerance;
  Memory memory;
  body.error = static_cast<float*>(memory.at_least(samples * int64_t(sizeof(float))));
  for_each(device, samples, body);
  std::vector<float> errors(samples);
  device.pinned->receive(errors.data(), body.error, samples * int64_t(sizeof(float)));
  double most = 0;
  for (const float e : errors) {
    if (std::isnan(e)) return e;
    most = std::max(most, double(e));
  }
  return most;
}

}  // namespace googlenet::cuda
