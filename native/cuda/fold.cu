#include "cuda/fold.h"

namespace googlenet::cuda {
namespace {

/** One thread a tap: its channels, moved at once. */
template <class T>
struct Source {
  Folding f;
  T* to;
  View<T> from;
  int h, w;
  Divisor taps, columns, rows, across;
  Source(const Folding& f, T* to, View<T> from, int h, int w)
      : f(f),
        to(to),
        from(from),
        h(h),
        w(w),
        taps(f.channels / Folding::kDepth),
        columns(f.width),
        rows(f.height),
        across(f.kernel_w) {}
  GN_DEVICE void operator()(uint32_t i) const {
    constexpr int N = Folding::kDepth;
    const auto [pixel, tap] = taps(i);
    const auto [line, q] = columns(pixel);
    const auto [n, r] = rows(line);
    const auto [d, s] = across(tap);
    const int y = int(r) * f.stride_h + int(d) - f.lead - f.pad_h, x = int(q) * f.stride_w + int(s) - f.pad_w;
    Pack<T, N> pack{};
    if (int(d) < f.stride_h && y >= 0 && y < h && x >= 0 && x < w) pack = pack_at<N>(&from.at((n * h + y) * w + x, 0));
    pack_at<N>(to + size_t(i) * N) = pack;
  }
};

/** Where an element of folded weights lies in the others, -1: nowhere. */
GN_DEVICE inline int64_t unfolded(const Folding& f, uint32_t i, int span) {
  const int channel = int(i % f.channels), t = int(i / f.channels % f.taps), o = int(i / f.channels / f.taps);
  const int tap = channel / Folding::kDepth, c = channel % Folding::kDepth;
  const int d = tap / f.kernel_w, s = tap % f.kernel_w, y = t * f.stride_h + d - f.lead;
  if (d >= f.stride_h || y < 0 || y >= f.kernel_h) return -1;
  return ((int64_t(o) * f.kernel_h + y) * f.kernel_w + s) * span + c;
}

template <class T>
struct Weights {
  Folding f;
  T* to;
  const T* from;
  int span;
  GN_DEVICE void operator()(uint32_t i) const {
    const int64_t at = unfolded(f, i, span);
    to[i] = at < 0 ? 0.0f : float(from[at]);
  }
};

struct Unfold {
  Folding f;
  float* to;
  const float* from;
  uint32_t span;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t c = i % span, s = i / span % f.kernel_w, row = i / span / f.kernel_w;
    const uint32_t y = row % f.kernel_h + f.lead, o = row / f.kernel_h;
    const uint32_t channel = (y % f.stride_h * f.kernel_w + s) * Folding::kDepth + c;
    to[i] = c < uint32_t(Folding::kDepth) ? from[(size_t(o) * f.taps + y / f.stride_h) * f.channels + channel] : 0.0f;
  }
};

template <class T>
struct ClearUnfolded {
  View<T> values;
  uint32_t rest;
  GN_DEVICE void operator()(uint32_t i) const { values.at(i / rest, Folding::kDepth + i % rest) = 0.0f; }
};

}  // namespace

bool Folding::fits(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  return step.op == GN_CONV && step.direction != GN_BACKWARD_DATA && a.groups == 1 && a.dilation_h == 1 &&
         a.dilation_w == 1 && step.src.c <= kDepth && step.src.span == kBlock && a.kernel_w > 1;
}

Folding::Folding(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const gn_tensor& dst = step.direction == GN_FORWARD ? step.dst : step.diff_dst;
  kernel_h = a.kernel_h, kernel_w = a.kernel_w, stride_h = a.stride_h, stride_w = a.stride_w;
  pad_h = a.pad_h, pad_w = a.pad_w;
  lead = (stride_h - pad_h % stride_h) % stride_h;
  taps = (lead + kernel_h + stride_h - 1) / stride_h;
  channels = (stride_h * kernel_w * kDepth + kBlock - 1) / kBlock * kBlock;
  height = dst.h + taps - 1, width = dst.w;
}

void fold_source(const gn_device& device, const Folding& folding, void* to, Pixels from, const gn_tensor& source) {
  with_type(from.type, [&](auto element) {
    using T = decltype(element);
    const Source<T> body(folding, static_cast<T*>(to), from.view<T>(), source.h, source.w);
    for_each(device, folding.pixels(source.n) * folding.channels / Folding::kDepth, body);
  });
}

void fold_weights(const gn_device& device, const Folding& folding, Pixels to, Pixels from, int outputs, int span) {
  with_type(to.type, [&](auto element) {
    using T = decltype(element);
    const Weights<T> body{folding, static_cast<T*>(to.data), static_cast<const T*>(from.data), span};
    for_each(device, folding.weights(outputs), body);
  });
}

void unfold_weights(const gn_device& device, const Folding& folding, float* to, const float* from, int outputs,
                    int span) {
  const int64_t count = int64_t(outputs) * folding.kernel_h * folding.kernel_w * span;
  for_each(device, count, Unfold{folding, to, from, uint32_t(span)});
}

void clear_unfolded(const gn_device& device, Pixels values, int64_t pixels, int span) {
  const int rest = span - Folding::kDepth;
  with_type(values.type, [&](auto element) {
    using T = decltype(element);
    for_each(device, pixels * rest, ClearUnfolded<T>{values.view<T>(), uint32_t(rest)});
  });
}

}  // namespace googlenet::cuda
