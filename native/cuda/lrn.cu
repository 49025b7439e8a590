// LRN: y = x * s^-beta, s = k + alpha / size * sum x^2 over `size` neighbouring channels (size^2 and pixels within a
// channel). Nothing is saved for the backward pass, which computes the sums anew:
//   dx = dy * s^-beta - 2 * scale * beta * x * sum over the windows that hold x of (dy * x * s^(-beta - 1)).
// Five channels and beta 0.75, the paper's, take one thread a pack and no powers (lrn.h); all else one thread an element.
#include "cuda/lrn.h"

namespace googlenet::cuda {
namespace {

struct Shape {
  int half, h, w, channels;  // channels: the logical ones, which lie side by side
  float k, scale, beta;
  bool within;
  uint32_t span;
};

Shape shape_of(const gn_attributes& a, const gn_tensor& t) {
  const bool within = a.lrn_region == GN_LRN_WITHIN;
  const float window = float(a.lrn_size) * (within ? float(a.lrn_size) : 1.0f);
  return {a.lrn_size / 2,       t.h,        t.w,    within ? t.span : t.c, a.lrn_k,
          a.lrn_alpha / window, a.lrn_beta, within, uint32_t(t.span)};
}

/** Sum of f(pixel, channel) over the window around an element. */
template <class F>
GN_DEVICE float window(const Shape& s, uint32_t pixel, int channel, const F& f) {
  float sum = 0;
  if (!s.within) {
    const int first = channel < s.half ? 0 : channel - s.half;
    const int last = channel + s.half < s.channels ? channel + s.half : s.channels - 1;
    for (int c = first; c <= last; c++) sum += f(pixel, c);
    return sum;
  }
  const int x = int(pixel % s.w), y = int(pixel / s.w % s.h);
  for (int dy = -s.half; dy <= s.half; dy++)
    for (int dx = -s.half; dx <= s.half; dx++)
      if (y + dy >= 0 && y + dy < s.h && x + dx >= 0 && x + dx < s.w) sum += f(pixel + dy * s.w + dx, channel);
  return sum;
}

template <class T>
struct Squares {
  View<T> src;
  GN_DEVICE float operator()(uint32_t pixel, int channel) const {
    const float x = src.at(pixel, channel);
    return x * x;
  }
};

template <class T>
GN_DEVICE float base(const Shape& s, const View<T>& src, uint32_t pixel, int channel) {
  return s.k + s.scale * window(s, pixel, channel, Squares<T>{src});
}

template <class T>
struct Forward {
  Shape s;
  View<T> src, dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t pixel = i / s.span;
    const int channel = int(i % s.span);
    const bool padding = channel >= s.channels;
    dst.at(pixel, channel) = padding ? 0.0f : src.at(pixel, channel) * powf(base(s, src, pixel, channel), -s.beta);
  }
};

/** dy * x * s^(-beta - 1) */
template <class T>
struct Share {
  Shape s;
  View<T> src, diff_dst;
  GN_DEVICE float operator()(uint32_t pixel, int channel) const {
    return diff_dst.at(pixel, channel) * src.at(pixel, channel) * powf(base(s, src, pixel, channel), -s.beta - 1);
  }
};

template <class T>
struct Backward {
  Shape s;
  Gradient<T> gradient;
  View<T> src, diff_dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t pixel = i / s.span;
    const int channel = int(i % s.span);
    float dx = 0;
    if (channel < s.channels)
      dx = diff_dst.at(pixel, channel) * powf(base(s, src, pixel, channel), -s.beta) -
           2 * s.scale * s.beta * src.at(pixel, channel) * window(s, pixel, channel, Share<T>{s, src, diff_dst});
    gradient.put(pixel, channel, dx);
  }
};

template <class T>
struct PapersForward {
  static constexpr int N = kPack<T>;
  PapersLrn lrn;
  Packs<N> packs;
  uint32_t span;
  View<T> src, dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    dst.store(pixel, channel, lrn.forward<N>(load_around<N>(src, pixel, channel, span), channel));
  }
};

template <class T>
struct PapersBackward {
  static constexpr int N = kPack<T>;
  PapersLrn lrn;
  Packs<N> packs;
  uint32_t span;
  Gradient<T> gradient;
  View<T> src, diff_dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    const auto x = load_around<N>(src, pixel, channel, span);
    const auto dy = load_around<N>(diff_dst, pixel, channel, span);
    gradient.put(pixel, channel, lrn.backward<N>(x, dy, channel));
  }
};

}  // namespace

Kernel make_lrn(gn_device& device, const gn_step& step) {
  const Shape shape = shape_of(step.attributes, step.src);
  const bool papers = PapersLrn::is(step.attributes);
  const PapersLrn lrn(step.attributes, step.src);
  return with_type(step.src.type, [&](auto element) {
    using T = decltype(element);
    return own_kernel([&device, step, shape, papers, lrn](const gn_bindings& b) {
      const int64_t elements = pixels(step.src) * shape.span;
      const Packs<kPack<T>> places(step.src.span);
      const View src = bind<T>(step.src, b);
      if (step.direction == GN_FORWARD) {
        const View dst = bind<T>(step.dst, b);
        if (papers) return for_each(device, packs<T>(step.src), PapersForward<T>{lrn, places, shape.span, src, dst});
        return for_each(device, elements, Forward<T>{shape, src, dst});
      }
      const View diff_dst = bind<T>(step.diff_dst, b);
      const Gradient gradient = bind_gradient<T>(step, b);
      if (papers)
        return for_each(device, packs<T>(step.src),
                        PapersBackward<T>{lrn, places, shape.span, gradient, src, diff_dst});
      for_each(device, elements, Backward<T>{shape, gradient, src, diff_dst});
    });
  });
}

}  // namespace googlenet::cuda
