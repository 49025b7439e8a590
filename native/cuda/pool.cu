// POOL: max and average: one thread per pack of the output, and backward one per pack of the input, which gathers from
// the windows that cover it, so that sums have one order.
#include "cuda/pool.h"

namespace googlenet::cuda {
namespace {

template <class T, int K, int S>
struct MaxForward {
  static constexpr int N = kPack<T>;
  PoolShape<K, S, N> s;
  View<T> src, dst;
  View<uint8_t> index;  // null: inference
  GN_DEVICE void operator()(uint32_t i) const {
    const auto at = s(i);
    const auto best = maximum(s, at, src);
    dst.store(at.pixel, at.channel, best.value);
    store_index(index, at.pixel, at.channel, best.where);
  }
};

template <class T>
struct AverageForward {
  static constexpr int N = kPack<T>;
  PoolShape<0, 0, N> s;
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
  PoolShape<K, S, N> s;
  Gradient<T> gradient;
  View<T> diff_dst;
  View<uint8_t> index;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto at = s(i);
    gradient.put(at.pixel, at.channel, gathered(s, at, diff_dst, index));
  }
};

template <class T>
struct AverageBackward {
  static constexpr int N = kPack<T>;
  PoolShape<0, 0, N> s;
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
        const auto shape = pool_shape<K, S, kPack<T>>(step.attributes, step.diff_src, step.diff_dst, step.diff_src);
        return own_kernel([&device, step, shape](const gn_bindings& b) {
          const MaxBackward<T, K, S> body{shape, bind_gradient<T>(step, b), bind<T>(step.diff_dst, b),
                                          bind_index(step.workspace, b)};
          for_each(device, packs<T>(step.diff_src), body);
        });
      }
      const auto shape = pool_shape<K, S, kPack<T>>(step.attributes, step.src, step.dst, step.dst);
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
      const auto shape = pool_shape<0, 0, kPack<T>>(step.attributes, step.diff_src, step.diff_dst, step.diff_src);
      return own_kernel([&device, step, shape](const gn_bindings& b) {
        const AverageBackward<T> body{shape, bind_gradient<T>(step, b), bind<T>(step.diff_dst, b)};
        for_each(device, packs<T>(step.diff_src), body);
      });
    }
    const auto shape = pool_shape<0, 0, kPack<T>>(step.attributes, step.src, step.dst, step.dst);
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
