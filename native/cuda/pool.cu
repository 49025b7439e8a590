// POOL: max and average, Caffe's conventions (pooling_layer.cpp): one thread per pack of the output, and backward one per
// pack of the input, which gathers from the windows that cover it, so that sums have one order. Windows of 3x3 at strides
// 1 and 2 are known to the compiler.
#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

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
struct Shape {
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
Shape<K, S, N> shape_of(const gn_attributes& a, const gn_tensor& in, const gn_tensor& out, const gn_tensor& places) {
  return {{in.h, out.h, a.kernel_h, a.stride_h, a.pad_h},
          {in.w, out.w, a.kernel_w, a.stride_w, a.pad_w},
          Packs<N>(in.span),
          Divisor(uint32_t(places.h)),
          Divisor(uint32_t(places.w))};
}

template <class T, int K, int S>
struct MaxForward {
  static constexpr int N = kPack<T>;
  Shape<K, S, N> s;
  View<T> src, dst;
  View<uint8_t> index;  // null: inference
  GN_DEVICE void operator()(uint32_t i) const {
    const auto at = s(i);
    const int y0 = s.y.first(at.y), y1 = s.y.last(at.y), x0 = s.x.first(at.x), x1 = s.x.last(at.x);
    const uint32_t image = uint32_t(at.n * s.y.size * s.x.size);
    Floats<N> best{};
    int where[N];
    for (int c = 0; c < N; c++) where[c] = kMaxWindow;
    if (y0 < y1 && x0 < x1) {
      const int corner = (y0 - s.y.start(at.y)) * s.x.kernel() + x0 - s.x.start(at.x);
      best = src.template load<N>(image + y0 * s.x.size + x0, at.channel);
      for (int c = 0; c < N; c++) where[c] = corner;
      // What a clipped window lacks it reads again at its edge: no branches, and of equal values the first remains.
      GN_UNROLL
      for (int dy = 0; dy < s.y.kernel(); dy++) {
        GN_UNROLL
        for (int dx = 0; dx < s.x.kernel(); dx++) {
          const int y = smaller(larger(s.y.start(at.y) + dy, y0), y1 - 1);
          const int x = smaller(larger(s.x.start(at.x) + dx, x0), x1 - 1);
          const int here = (y - s.y.start(at.y)) * s.x.kernel() + x - s.x.start(at.x);
          const Floats<N> value = src.template load<N>(image + y * s.x.size + x, at.channel);
          for (int c = 0; c < N; c++) {
            const bool above = value[c] > best[c];
            best[c] = above ? value[c] : best[c];
            where[c] = above ? here : where[c];
          }
        }
      }
    }
    dst.store(at.pixel, at.channel, best);
    if (!index.data) return;
    Pack<uint8_t, N> bytes;
    for (int c = 0; c < N; c++) bytes.values[c] = uint8_t(where[c]);
    index.template pack<N>(at.pixel, at.channel) = bytes;
  }
};

template <class T>
struct AverageForward {
  static constexpr int N = kPack<T>;
  Shape<0, 0, N> s;
  View<T> src, dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto at = s(i);
    const uint32_t image = uint32_t(at.n * s.y.size * s.x.size);
    Floats<N> sum{};
    for (int y = s.y.first(at.y); y < s.y.last(at.y); y++)
      for (int x = s.x.first(at.x); x < s.x.last(at.x); x++) {
        const Floats<N> value = src.template load<N>(image + y * s.x.size + x, at.channel);
        for (int c = 0; c < N; c++) sum[c] += value[c];
      }
    const int area = s.y.extent(at.y) * s.x.extent(at.x);
    for (int c = 0; c < N; c++) sum[c] = area > 0 ? sum[c] / float(area) : 0.0f;
    dst.store(at.pixel, at.channel, sum);
  }
};

template <class T, int K, int S>
struct MaxBackward {
  static constexpr int N = kPack<T>;
  Shape<K, S, N> s;
  Gradient<T> gradient;
  View<T> diff_dst;
  View<uint8_t> index;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto at = s(i);
    const uint32_t image = uint32_t(at.n * s.y.out * s.x.out);
    const int y0 = s.y.begin(at.y), y1 = s.y.end(at.y), x0 = s.x.begin(at.x), x1 = s.x.end(at.x);
    Floats<N> sum{};
    // As many windows for every element: those too many read the image's first and match nothing.
    GN_UNROLL
    for (int j = 0; j < s.y.most(); j++) {
      GN_UNROLL
      for (int k = 0; k < s.x.most(); k++) {
        const int oy = y0 + j, ox = x0 + k;
        const bool covers = oy < y1 && ox < x1;
        const int here = (at.y - s.y.start(oy)) * s.x.kernel() + at.x - s.x.start(ox);
        const uint32_t out = image + uint32_t(covers ? oy * s.x.out + ox : 0);
        const Floats<N> g = diff_dst.template load<N>(out, at.channel);
        const Pack<uint8_t, N> where = index.template pack<N>(out, at.channel);
        for (int c = 0; c < N; c++) sum[c] += covers && where.values[c] == here ? g[c] : 0.0f;
      }
    }
    gradient.put(at.pixel, at.channel, sum);
  }
};

template <class T>
struct AverageBackward {
  static constexpr int N = kPack<T>;
  Shape<0, 0, N> s;
  Gradient<T> gradient;
  View<T> diff_dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto at = s(i);
    const uint32_t image = uint32_t(at.n * s.y.out * s.x.out);
    Floats<N> sum{};
    for (int oy = s.y.begin(at.y); oy < s.y.end(at.y); oy++)
      for (int ox = s.x.begin(at.x); ox < s.x.end(at.x); ox++) {
        const Floats<N> g = diff_dst.template load<N>(image + oy * s.x.out + ox, at.channel);
        const float area = float(s.y.extent(oy) * s.x.extent(ox));
        for (int c = 0; c < N; c++) sum[c] += g[c] / area;
      }
    gradient.put(at.pixel, at.channel, sum);
  }
};

View<uint8_t> bind_index(const gn_tensor& t, const gn_bindings& b) {
  if (t.arena == GN_NONE) return {};
  return {static_cast<uint8_t*>(b.arenas[t.arena]) + t.offset, t.span};
}

template <int K, int S>
struct Window {
  static constexpr int kKernel = K, kStride = S;
};
/** Calls body with the Window that the compiler knows, or with one of zeros. */
template <class Body>
auto with_window(const gn_attributes& a, const Body& body) {
  const bool three = a.kernel_h == 3 && a.kernel_w == 3;
  if (three && a.stride_h == 1 && a.stride_w == 1) return body(Window<3, 1>{});
  if (three && a.stride_h == 2 && a.stride_w == 2) return body(Window<3, 2>{});
  return body(Window<0, 0>{});
}

Kernel make_max(gn_device& device, const gn_step& step) {
  return with_type(step.direction == GN_FORWARD ? step.src.type : step.diff_src.type, [&](auto element) {
    return with_window(step.attributes, [&](auto window) {
      using T = decltype(element);
      constexpr int K = decltype(window)::kKernel, S = decltype(window)::kStride;
      if (step.direction == GN_BACKWARD_DATA) {
        const auto shape = shape_of<K, S, kPack<T>>(step.attributes, step.diff_src, step.diff_dst, step.diff_src);
        return own_kernel([&device, step, shape](const gn_bindings& b) {
          const MaxBackward<T, K, S> body{shape, bind_gradient<T>(step, b), bind<T>(step.diff_dst, b),
                                          bind_index(step.workspace, b)};
          for_each(device, packs<T>(step.diff_src), body);
        });
      }
      const auto shape = shape_of<K, S, kPack<T>>(step.attributes, step.src, step.dst, step.dst);
      return own_kernel([&device, step, shape](const gn_bindings& b) {
        const MaxForward<T, K, S> body{shape, bind<T>(step.src, b), bind<T>(step.dst, b),
                                       bind_index(step.workspace, b)};
        for_each(device, packs<T>(step.dst), body);
      });
    });
  });
}

Kernel make_average(gn_device& device, const gn_step& step) {
  return with_type(step.direction == GN_FORWARD ? step.src.type : step.diff_src.type, [&](auto element) {
    using T = decltype(element);
    if (step.direction == GN_BACKWARD_DATA) {
      const auto shape = shape_of<0, 0, kPack<T>>(step.attributes, step.diff_src, step.diff_dst, step.diff_src);
      return own_kernel([&device, step, shape](const gn_bindings& b) {
        const AverageBackward<T> body{shape, bind_gradient<T>(step, b), bind<T>(step.diff_dst, b)};
        for_each(device, packs<T>(step.diff_src), body);
      });
    }
    const auto shape = shape_of<0, 0, kPack<T>>(step.attributes, step.src, step.dst, step.dst);
    return own_kernel([&device, step, shape](const gn_bindings& b) {
      for_each(device, packs<T>(step.dst), AverageForward<T>{shape, bind<T>(step.src, b), bind<T>(step.dst, b)});
    });
  });
}

}  // namespace

Kernel make_pool(gn_device& device, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  if (a.pool_kind == GN_POOL_AVERAGE) return make_average(device, step);
  if (step.workspace.arena != GN_NONE && int64_t(a.kernel_h) * a.kernel_w > kMaxWindow)
    throw Failure(Code::UNSUPPORTED, std::string("max pooling '") + step.name +
                                         "' is trained with windows of at most " + std::to_string(kMaxWindow) +
                                         " elements; use a smaller kernel");
  return make_max(device, step);
}

}  // namespace googlenet::cuda
