#include "cuda/conv_kernels.h"

#include <algorithm>

namespace googlenet::cuda {
namespace {

template <class Dst, class From>
struct AddBias {
  static constexpr int N = kPack<Dst> > kPack<From> ? kPack<Dst> : kPack<From>;
  Packs<N> packs;
  View<Dst> dst;
  View<From> from;
  const float* bias;
  bool relu;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    Floats<N> sum = from.template load<N>(pixel, channel);
    if (bias) {
      const Floats<N> more = load<N>(bias + channel);
      for (int c = 0; c < N; c++) sum[c] += more[c];
    }
    for (int c = 0; c < N; c++) sum[c] = relu && !(sum[c] > 0) ? 0.0f : sum[c];
    dst.store(pixel, channel, sum);
  }
};

/** A bias's gradient is summed in two passes. First strands of pixels, in f32: a block takes kColumns packs of one
 *  strand's pixels, each of its threads every kRows-th pixel of one pack. */
constexpr int kColumns = 8, kRows = kThreads / kColumns;

/** Pixels of a strand: some 512 strands keep every GPU busy and are a short second pass; a thread adds 16 to 256. */
int64_t strand_of(int64_t pixels) { return kRows * std::clamp<int64_t>(pixels / (512 * kRows), 16, 256); }
int64_t strands(int64_t pixels) { return (pixels + strand_of(pixels) - 1) / strand_of(pixels); }

template <class T>
struct StrandSum {
  static constexpr int kPhases = 2, N = kPack<T>;
  struct Shared {
    Pack<float, N> sum[kRows][kColumns];
  };
  View<T> diff;
  float* sums;            // [strand][channel]
  uint32_t span, across;  // across: blocks a strand
  int64_t pixels, length;
  GN_DEVICE void operator()(int phase, uint32_t block, uint32_t thread, Shared& shared) const {
    const uint32_t strand = block / across, first_channel = block % across * kColumns * N;
    if (phase == 0) {
      const uint32_t row = thread / kColumns, column = thread % kColumns, channel = first_channel + column * N;
      const int64_t first = strand * length, end = first + length < pixels ? first + length : pixels;
      Floats<N> sum{};
      if (channel < span)
        for (int64_t p = first + row; p < end; p += kRows) {
          const Floats<N> value = diff.template load<N>(uint32_t(p), channel);
          for (int c = 0; c < N; c++) sum[c] += value[c];
        }
      store(shared.sum[row][column].values, sum);
    } else if (thread < kColumns * N && first_channel + thread < span) {
      float sum = 0;
      for (int row = 0; row < kRows; row++) sum += shared.sum[row][thread / N].values[thread % N];
      sums[size_t(strand) * span + first_channel + thread] = sum;
    }
  }
};

/** Then the strands, in f64: a block takes kColumns channels, each of its threads every kRows-th strand of one. */
struct ChannelSum {
  static constexpr int kPhases = 2;
  struct Shared {
    double sum[kRows][kColumns];
  };
  const float* sums;
  float* result;
  uint32_t span, strands;
  GN_DEVICE void operator()(int phase, uint32_t block, uint32_t thread, Shared& shared) const {
    const uint32_t row = thread / kColumns, column = thread % kColumns, channel = block * kColumns + column;
    double sum = 0;
    if (phase == 0) {
      for (uint32_t s = row; s < strands; s += kRows) sum += sums[size_t(s) * span + channel];
      shared.sum[row][column] = sum;
    } else if (row == 0) {
      for (int r = 0; r < kRows; r++) sum += shared.sum[r][column];
      result[channel] = float(sum);
    }
  }
};
static_assert(kBlock % kColumns == 0);

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
      using Body = AddBias<Dst, From>;
      const Body body{Packs<Body::N>(span), dst.view<Dst>(), from.view<From>(), bias, relu};
      for_each(device, pixels * span / Body::N, body);
    });
  });
}

int64_t bias_scratch(int64_t pixels, int span) { return strands(pixels) * span * int64_t(sizeof(float)); }

void bias_gradient(const gn_device& device, Pixels diff_dst, float* diff_bias, int64_t pixels, int span,
                   void* scratch) {
  float* sums = static_cast<float*>(scratch);
  with_type(diff_dst.type, [&](auto element) {
    using T = decltype(element);
    const int channels = kColumns * kPack<T>, across = (span + channels - 1) / channels;
    const StrandSum<T> body{diff_dst.view<T>(), sums, uint32_t(span), uint32_t(across), pixels, strand_of(pixels)};
    for_blocks(device, strands(pixels) * across, body);
  });
  for_blocks(device, span / kColumns, ChannelSum{sums, diff_bias, uint32_t(span), uint32_t(strands(pixels))});
}

void clear_off_blocks(const gn_device& device, float* weights, int64_t inner, int columns, int outputs, int inputs,
                      int groups) {
  for_each(device, int64_t(outputs) * inner * columns,
           ClearOffBlocks{weights, inner, uint32_t(columns), uint32_t(outputs / groups), uint32_t(inputs / groups)});
}

}  // namespace googlenet::cuda
