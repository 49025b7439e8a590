#include "cuda/conv_kernels.h"

namespace googlenet::cuda {
namespace {

template <class Dst, class From>
struct AddBias {
  View<Dst> dst;
  View<From> from;
  const float* bias;
  bool relu;
  uint32_t span;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t pixel = i / span, channel = i % span;
    const float sum = from.at(pixel, channel) + (bias ? bias[channel] : 0.0f);
    dst.at(pixel, channel) = relu && !(sum > 0) ? 0.0f : sum;
  }
};

/** Pixels of one strand: long enough that the second pass is short, short enough to fill every GPU. */
constexpr int64_t kStrand = 256;
int64_t strands(int64_t pixels) { return (pixels + kStrand - 1) / kStrand; }

/** sums[strand][channel]; neighbouring threads read neighbouring channels. */
template <class T>
struct StrandSum {
  View<T> diff;
  float* sums;
  uint32_t span;
  int64_t pixels;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t strand = i / span, channel = i % span;
    const int64_t first = strand * kStrand, end = first + kStrand < pixels ? first + kStrand : pixels;
    float sum = 0;
    for (int64_t p = first; p < end; p++) sum += diff.at(uint32_t(p), channel);
    sums[i] = sum;
  }
};
struct ChannelSum {
  const float* sums;
  float* result;
  uint32_t span, strands;
  GN_DEVICE void operator()(uint32_t channel) const {
    double sum = 0;
    for (uint32_t s = 0; s < strands; s++) sum += sums[size_t(s) * span + channel];
    result[channel] = float(sum);
  }
};

struct ClearOffBlocks {
  float* weights;
  int64_t inner;
  uint32_t columns, rows_a_group, columns_a_group;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t column = i % columns, row = uint32_t(i / columns / inner);
    if (column / columns_a_group != row / rows_a_group) weights[i] = 0;
  }
};

}  // namespace

void copy(const gn_device& device, Pixels to, Pixels from, int64_t pixels, int span) {
  add_bias(device, to, from, nullptr, false, pixels, span);
}

void add_bias(const gn_device& device, Pixels dst, Pixels from, const float* bias, bool relu, int64_t pixels,
              int span) {
  with_type(dst.type, [&](auto a) {
    with_type(from.type, [&](auto b) {
      using Dst = decltype(a);
      using From = decltype(b);
      const AddBias<Dst, From> body{dst.view<Dst>(), from.view<From>(), bias, relu, uint32_t(span)};
      for_each(device, pixels * span, body);
    });
  });
}

int64_t bias_scratch(int64_t pixels, int span) { return strands(pixels) * span * int64_t(sizeof(float)); }

void bias_gradient(const gn_device& device, Pixels diff_dst, float* diff_bias, int64_t pixels, int span,
                   void* scratch) {
  float* sums = static_cast<float*>(scratch);
  with_type(diff_dst.type, [&](auto element) {
    using T = decltype(element);
    for_each(device, strands(pixels) * span, StrandSum<T>{diff_dst.view<T>(), sums, uint32_t(span), pixels});
  });
  for_each(device, span, ChannelSum{sums, diff_bias, uint32_t(span), uint32_t(strands(pixels))});
}

void clear_off_blocks(const gn_device& device, float* weights, int64_t inner, int columns, int outputs, int inputs,
                      int groups) {
  for_each(device, int64_t(outputs) * inner * columns,
           ClearOffBlocks{weights, inner, uint32_t(columns), uint32_t(outputs / groups), uint32_t(inputs / groups)});
}

}  // namespace googlenet::cuda
