// The geometry of pooling, Caffe's conventions (pooling_layer.cpp), and the two loops of max pooling, wherever what they
// read lies. Loops run over packs of channels; windows of 3x3 at strides 1 and 2 are known to the compiler.
#pragma once
#include "cuda/launch.h"

namespace googlenet::cuda {

constexpr int kMaxWindow = 255;  // the workspace's byte holds row * kernel_w + column; 255 means an empty window

GN_DEVICE inline int larger(int a, int b) { return a > b ? a : b; }
GN_DEVICE inline int smaller(int a, int b) { return a < b ? a : b; }

/** One axis. Window o covers [o * stride - pad, + kernel), clipped to [0, size). K, S: kernel and stride, or 0 if the
 *  compiler does not know them. */
template <int K, int S>
struct Axis {
  int size, out, given_kernel, given_stride, pad;
  GN_DEVICE int kernel() const { return K ? K : given_kernel; }
  GN_DEVICE int stride() const { return S ? S : given_stride; }
  GN_DEVICE int start(int o) const { return o * stride() - pad; }
  GN_DEVICE int first(int o) const { return larger(start(o), 0); }
  GN_DEVICE int last(int o) const { return smaller(start(o) + kernel(), size); }
  /** What an average divides by: the window clipped to the padded input. */
  GN_DEVICE int extent(int o) const { return smaller(start(o) + kernel(), size + pad) - start(o); }
  /** Windows [begin, end) that cover element i, and the most that cover any. */
  GN_DEVICE int begin(int i) const {
    const int before = i + pad - kernel();
    return before < 0 ? 0 : before / stride() + 1;
  }
  GN_DEVICE int end(int i) const { return smaller((i + pad) / stride() + 1, out); }
  GN_DEVICE int most() const { return (kernel() + stride() - 1) / stride(); }
};

/** Axes, and the place of pack i of a tensor of h x w pixels. */
template <int K, int S, int N>
struct PoolShape {
  Axis<K, S> y, x;
  Packs<N> packs;
  Divisor h, w;
  struct Place {
    uint32_t pixel, channel;
    int n, y, x;
  };
  GN_DEVICE Place operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    const auto [row, column] = w(pixel);
    const auto [image, row_of_image] = h(row);
    return {pixel, channel, int(image), int(row_of_image), int(column)};
  }
};

/** `places`: whose packs are counted, one of the two. */
template <int K, int S, int N>
PoolShape<K, S, N> pool_shape(const gn_attributes& a, const gn_tensor& in, const gn_tensor& out,
                              const gn_tensor& places) {
  return {{in.h, out.h, a.kernel_h, a.stride_h, a.pad_h},
          {in.w, out.w, a.kernel_w, a.stride_w, a.pad_w},
          Packs<N>(in.span),
          Divisor(uint32_t(places.h)),
          Divisor(uint32_t(places.w))};
}

/** The largest of each channel in a window, and where in it (row * kernel_w + column, the first of equal ones). */
template <int N>
struct Maximum {
  Floats<N> value;
  int where[N];
};

/** `at`: a place of the output; load(y, x): the pack there. What a clipped window lacks is read again at its edge: no
 *  branches, and of equal values the first remains. */
template <int K, int S, int N, class Load>
GN_DEVICE Maximum<N> maximum(const PoolShape<K, S, N>& s, const typename PoolShape<K, S, N>::Place& at,
                             const Load& load) {
  const int y0 = s.y.first(at.y), y1 = s.y.last(at.y), x0 = s.x.first(at.x), x1 = s.x.last(at.x);
  Maximum<N> best{};
  for (int c = 0; c < N; c++) best.where[c] = kMaxWindow;
  if (y0 >= y1 || x0 >= x1) return best;
  const int corner = (y0 - s.y.start(at.y)) * s.x.kernel() + x0 - s.x.start(at.x);
  best.value = load(y0, x0);
  for (int c = 0; c < N; c++) best.where[c] = corner;
  GN_UNROLL
  for (int dy = 0; dy < s.y.kernel(); dy++) {
    GN_UNROLL
    for (int dx = 0; dx < s.x.kernel(); dx++) {
      const int y = smaller(larger(s.y.start(at.y) + dy, y0), y1 - 1);
      const int x = smaller(larger(s.x.start(at.x) + dx, x0), x1 - 1);
      const int here = (y - s.y.start(at.y)) * s.x.kernel() + x - s.x.start(at.x);
      const Floats<N> value = load(y, x);
      for (int c = 0; c < N; c++) {
        const bool above = value[c] > best.value[c];
        best.value[c] = above ? value[c] : best.value[c];
        best.where[c] = above ? here : best.where[c];
      }
    }
  }
  return best;
}

template <int K, int S, int N, class T>
GN_DEVICE Maximum<N> maximum(const PoolShape<K, S, N>& s, const typename PoolShape<K, S, N>::Place& at,
                             const View<T>& src) {
  const uint32_t image = uint32_t(at.n * s.y.size * s.x.size);
  return maximum(s, at,
                 [&](int y, int x) { return src.template load<N>(image + uint32_t(y * s.x.size + x), at.channel); });
}

/** The gradients of windows whose maximum lies at `at`, a place of the source. load(y, x, covers): of the window (y, x)
 *  its Taken; where it does not cover the place, any. */
template <int N>
struct Taken {
  Floats<N> gradient;
  Pack<uint8_t, N> where;
};
template <int K, int S, int N, class Load>
GN_DEVICE Floats<N> gathered(const PoolShape<K, S, N>& s, const typename PoolShape<K, S, N>::Place& at,
                             const Load& load) {
  const int y0 = s.y.begin(at.y), y1 = s.y.end(at.y), x0 = s.x.begin(at.x), x1 = s.x.end(at.x);
  Floats<N> sum{};
  GN_UNROLL
  for (int j = 0; j < s.y.most(); j++) {  // as many windows for every element: those too many match nothing
    GN_UNROLL
    for (int k = 0; k < s.x.most(); k++) {
      const int oy = y0 + j, ox = x0 + k;
      const bool covers = oy < y1 && ox < x1;
      const int here = (at.y - s.y.start(oy)) * s.x.kernel() + at.x - s.x.start(ox);
      const Taken<N> taken = load(oy, ox, covers);
      for (int c = 0; c < N; c++) sum[c] += covers && taken.where.values[c] == here ? taken.gradient[c] : 0.0f;
    }
  }
  return sum;
}

template <int K, int S, int N, class T>
GN_DEVICE Floats<N> gathered(const PoolShape<K, S, N>& s, const typename PoolShape<K, S, N>::Place& at,
                             const View<T>& diff_dst, const View<uint8_t>& index) {
  const uint32_t image = uint32_t(at.n * s.y.out * s.x.out);
  return gathered(s, at, [&](int y, int x, bool covers) {
    const uint32_t out = image + uint32_t(covers ? y * s.x.out + x : 0);
    return Taken<N>{diff_dst.template load<N>(out, at.channel), index.template pack<N>(out, at.channel)};
  });
}

/** Of max pooling's workspace; null: there is none. */
inline View<uint8_t> bind_index(const gn_tensor& t, const gn_bindings& b) {
  if (t.arena == GN_NONE) return {};
  return {static_cast<uint8_t*>(b.arenas[t.arena]) + t.offset, t.span};
}

template <int N>
GN_DEVICE void store_index(const View<uint8_t>& index, uint32_t pixel, uint32_t channel, const int (&where)[N]) {
  if (!index.data) return;
  Pack<uint8_t, N> bytes;
  for (int c = 0; c < N; c++) bytes.values[c] = uint8_t(where[c]);
  index.template pack<N>(pixel, channel) = bytes;
}

}  // namespace googlenet::cuda
