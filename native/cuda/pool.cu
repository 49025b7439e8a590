// POOL: max and average, Caffe's conventions (pooling_layer.cpp): one thread per output element, and backward one per
// input element, which gathers from the windows that cover it, so that sums have one order.
#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

constexpr int kMaxWindow = 255;  // the workspace's byte holds row * kernel_w + column; 255 means an empty window

GN_DEVICE inline int larger(int a, int b) { return a > b ? a : b; }
GN_DEVICE inline int smaller(int a, int b) { return a < b ? a : b; }

/** One axis. Window o covers [o * stride - pad, + kernel), clipped to [0, size). */
struct Axis {
  int size, out, kernel, stride, pad;
  GN_DEVICE int start(int o) const { return o * stride - pad; }
  GN_DEVICE int first(int o) const { return larger(start(o), 0); }
  GN_DEVICE int last(int o) const { return smaller(start(o) + kernel, size); }
  /** What an average divides by: the window clipped to the padded input. */
  GN_DEVICE int extent(int o) const { return smaller(start(o) + kernel, size + pad) - start(o); }
  /** Windows [begin, end) that cover element i. */
  GN_DEVICE int begin(int i) const {
    const int before = i + pad - kernel;
    return before < 0 ? 0 : before / stride + 1;
  }
  GN_DEVICE int end(int i) const { return smaller((i + pad) / stride + 1, out); }
};

struct Shape {
  Axis y, x;
  uint32_t span;
};

Shape shape_of(const gn_attributes& a, const gn_tensor& in, const gn_tensor& out) {
  return {{in.h, out.h, a.kernel_h, a.stride_h, a.pad_h},
          {in.w, out.w, a.kernel_w, a.stride_w, a.pad_w},
          uint32_t(in.span)};
}

/** Image, row, column and channel of element i of a tensor of h x w pixels. */
struct Place {
  uint32_t channel, x, y, n;
  GN_DEVICE Place(uint32_t i, uint32_t span, uint32_t h, uint32_t w)
      : channel(i % span), x(i / span % w), y(i / span / w % h), n(i / span / w / h) {}
};

template <class T>
struct MaxForward {
  Shape s;
  View<T> src, dst;
  uint8_t* index;  // null: inference
  GN_DEVICE void operator()(uint32_t i) const {
    const Place at(i, s.span, s.y.out, s.x.out);
    const int y0 = s.y.first(at.y), y1 = s.y.last(at.y), x0 = s.x.first(at.x), x1 = s.x.last(at.x);
    const uint32_t image = at.n * s.y.size * s.x.size;
    float best = 0;
    int where = kMaxWindow;
    for (int y = y0; y < y1; y++)
      for (int x = x0; x < x1; x++) {
        const float value = src.at(image + y * s.x.size + x, at.channel);
        if (where != kMaxWindow && !(value > best)) continue;  // of equal values the first
        best = value;
        where = (y - s.y.start(at.y)) * s.x.kernel + x - s.x.start(at.x);
      }
    dst.at(i / s.span, at.channel) = best;
    if (index) index[i] = uint8_t(where);
  }
};

template <class T>
struct AverageForward {
  Shape s;
  View<T> src, dst;
  GN_DEVICE void operator()(uint32_t i) const {
    const Place at(i, s.span, s.y.out, s.x.out);
    const uint32_t image = at.n * s.y.size * s.x.size;
    float sum = 0;
    for (int y = s.y.first(at.y); y < s.y.last(at.y); y++)
      for (int x = s.x.first(at.x); x < s.x.last(at.x); x++) sum += src.at(image + y * s.x.size + x, at.channel);
    const int area = s.y.extent(at.y) * s.x.extent(at.x);
    dst.at(i / s.span, at.channel) = area > 0 ? sum / float(area) : 0.0f;
  }
};

template <class T>
struct Backward {
  Shape s;
  Gradient<T> gradient;
  View<T> diff_dst;
  const uint8_t* index;  // null: average
  GN_DEVICE void operator()(uint32_t i) const {
    const Place at(i, s.span, s.y.size, s.x.size);
    const uint32_t image = at.n * s.y.out * s.x.out;
    float sum = 0;
    for (int oy = s.y.begin(at.y); oy < s.y.end(at.y); oy++)
      for (int ox = s.x.begin(at.x); ox < s.x.end(at.x); ox++) {
        const uint32_t out = image + oy * s.x.out + ox;
        const float g = diff_dst.at(out, at.channel);
        if (index) {
          const int where = (int(at.y) - s.y.start(oy)) * s.x.kernel + int(at.x) - s.x.start(ox);
          if (index[size_t(out) * s.span + at.channel] == where) sum += g;
        } else {
          sum += g / float(s.y.extent(oy) * s.x.extent(ox));
        }
      }
    gradient.put(i / s.span, at.channel, sum);
  }
};

uint8_t* bind_index(const gn_tensor& t, const gn_bindings& b) {
  return t.arena == GN_NONE ? nullptr : static_cast<uint8_t*>(b.arenas[t.arena]) + t.offset;
}

}  // namespace

Kernel make_pool(gn_device& device, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const bool average = a.pool_kind == GN_POOL_AVERAGE;
  if (!average && step.workspace.arena != GN_NONE && int64_t(a.kernel_h) * a.kernel_w > kMaxWindow)
    throw Failure(Code::UNSUPPORTED, std::string("max pooling '") + step.name +
                                         "' is trained with windows of at most " + std::to_string(kMaxWindow) +
                                         " elements; use a smaller kernel");
  if (step.direction == GN_BACKWARD_DATA) {
    const Shape shape = shape_of(a, step.diff_src, step.diff_dst);
    return with_type(step.diff_src.type, [&](auto element) {
      using T = decltype(element);
      return own_kernel([&device, step, shape](const gn_bindings& b) {
        const Backward<T> body{shape, bind_gradient<T>(step, b), bind<T>(step.diff_dst, b),
                               bind_index(step.workspace, b)};
        for_each(device, pixels(step.diff_src) * shape.span, body);
      });
    });
  }
  const Shape shape = shape_of(a, step.src, step.dst);
  return with_type(step.src.type, [&](auto element) {
    using T = decltype(element);
    return own_kernel([&device, step, shape, average](const gn_bindings& b) {
      const int64_t count = pixels(step.dst) * shape.span;
      const View src = bind<T>(step.src, b), dst = bind<T>(step.dst, b);
      if (average)
        for_each(device, count, AverageForward<T>{shape, src, dst});
      else
        for_each(device, count, MaxForward<T>{shape, src, dst, bind_index(step.workspace, b)});
    });
  });
}

}  // namespace googlenet::cuda
