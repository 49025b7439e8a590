// SOFTMAX over the logical channels of every pixel, and LOSS: softmax with the mean cross-entropy of N labels. One
// block a pixel; sums are f64 in one order. Probabilities are f32 in any precision unless a layer reads them.
#include <cfloat>
#include <cmath>

#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

/** y = softmax(x), padding 0. With labels also -log p of the right class and whether it is the (first) largest. */
template <class Src, class Dst>
struct Forward {
  static constexpr int kPhases = 5;
  struct Shared {
    float largest[kThreads];
    double sum[kThreads];
    int best[kThreads];
  };
  View<Src> src;
  View<Dst> dst;
  uint32_t classes, span;
  const int32_t* labels;  // null: SOFTMAX
  float* samples;         // LOSS: {-log p, right} an image

  GN_DEVICE float power(uint32_t pixel, uint32_t c, const Shared& shared) const {
    return expf(src.at(pixel, c) - shared.largest[0]);
  }
  GN_DEVICE void operator()(int phase, uint32_t pixel, uint32_t thread, Shared& shared) const {
    if (phase == 0) {  // each thread's largest
      float largest = thread < classes ? src.at(pixel, thread) : 0.0f;
      for (uint32_t c = thread; c < classes; c += kThreads)
        if (src.at(pixel, c) > largest) largest = src.at(pixel, c);
      shared.largest[thread] = largest;
    } else if (phase == 1 && thread == 0) {
      for (uint32_t t = 1; t < kThreads && t < classes; t++)
        if (shared.largest[t] > shared.largest[0]) shared.largest[0] = shared.largest[t];
    } else if (phase == 2) {  // each thread's sum
      double sum = 0;
      for (uint32_t c = thread; c < classes; c += kThreads) sum += power(pixel, c, shared);
      shared.sum[thread] = sum;
    } else if (phase == 3) {  // probabilities, and each thread's best
      double sum = 0;
      for (uint32_t t = 0; t < kThreads; t++) sum += shared.sum[t];
      const double scale = 1 / sum;
      int best = int(thread);
      for (uint32_t c = thread; c < span; c += kThreads) {
        dst.at(pixel, c) = c < classes ? float(power(pixel, c, shared) * scale) : 0.0f;
        if (c < classes && dst.at(pixel, c) > dst.at(pixel, best)) best = int(c);
      }
      shared.best[thread] = best;
    } else if (phase == 4 && thread == 0 && labels) {
      int best = 0;
      for (uint32_t t = 0; t < kThreads && t < classes; t++) {
        const int other = shared.best[t];
        const float p = dst.at(pixel, other), most = dst.at(pixel, best);
        if (p > most || (p == most && other < best)) best = other;
      }
      // Caffe's floor against log(0). NaN < FLT_MIN is false, so a NaN stays one.
      const float p = dst.at(pixel, labels[pixel]);
      samples[2 * pixel] = float(-log(double(p < FLT_MIN ? FLT_MIN : p)));
      samples[2 * pixel + 1] = best == labels[pixel];
    }
  }
};

/** results = {mean of -log p, number of right ones} of n images. */
struct Total {
  const float* samples;
  float* results;
  uint32_t n;
  GN_DEVICE void operator()(uint32_t) const {
    double loss = 0, right = 0;
    for (uint32_t i = 0; i < n; i++) loss += samples[2 * i], right += samples[2 * i + 1];
    results[0] = float(loss / n);
    results[1] = float(right);
  }
};

/** dx = weight / N * (p - onehot) */
template <class T, class Dst>
struct LossBackward {
  View<Dst> dst;
  Gradient<T> gradient;
  const int32_t* labels;
  float scale;
  uint32_t classes, span;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t pixel = i / span, c = i % span;
    const float p = c < classes ? dst.at(pixel, c) : 0.0f;
    gradient.put(pixel, c, scale * (int32_t(c) == labels[pixel] ? p - 1 : p));
  }
};

/** dx = y * (dy - sum(dy * y)) */
template <class T, class Dst>
struct SoftmaxBackward {
  static constexpr int kPhases = 2;
  struct Shared {
    double sum[kThreads];
  };
  View<Dst> dst;
  View<T> diff_dst;
  Gradient<T> gradient;
  uint32_t classes, span;
  GN_DEVICE void operator()(int phase, uint32_t pixel, uint32_t thread, Shared& shared) const {
    double sum = 0;
    if (phase == 0) {
      for (uint32_t c = thread; c < classes; c += kThreads) sum += double(diff_dst.at(pixel, c)) * dst.at(pixel, c);
      shared.sum[thread] = sum;
      return;
    }
    for (uint32_t t = 0; t < kThreads; t++) sum += shared.sum[t];
    for (uint32_t c = thread; c < span; c += kThreads)
      gradient.put(pixel, c, c < classes ? float(dst.at(pixel, c) * (diff_dst.at(pixel, c) - sum)) : 0.0f);
  }
};

template <class Body>
Kernel with_types(gn_type first, gn_type second, const Body& body) {
  return with_type(first, [&](auto a) { return with_type(second, [&](auto b) { return body(a, b); }); });
}

}  // namespace

Kernel make_softmax(gn_device& device, const gn_step& step) {
  const uint32_t classes = uint32_t(step.attributes.classes);
  const bool loss = step.op == GN_LOSS;
  if (loss && (step.dst.h != 1 || step.dst.w != 1))
    throw Failure(Code::UNSUPPORTED, std::string("loss '") + step.name +
                                         "' needs one label per image, so 1x1 input; put a pooling or linear layer "
                                         "before it");
  if (step.direction == GN_BACKWARD_DATA)
    return with_types(step.diff_src.type, step.dst.type, [&](auto element, auto probability) {
      using T = decltype(element);
      using Dst = decltype(probability);
      return own_kernel([&device, step, classes, loss](const gn_bindings& b) {
        const View dst = bind<Dst>(step.dst, b);
        const Gradient gradient = bind_gradient<T>(step, b);
        const uint32_t span = uint32_t(step.diff_src.span);
        const float scale = step.attributes.loss_weight / float(step.dst.n);
        if (loss)
          for_each(device, pixels(step.dst) * span,
                   LossBackward<T, Dst>{dst, gradient, b.labels, scale, classes, span});
        else
          for_blocks(device, pixels(step.dst),
                     SoftmaxBackward<T, Dst>{dst, bind<T>(step.diff_dst, b), gradient, classes, span});
      });
    });
  Kernel kernel = with_types(step.src.type, step.dst.type, [&](auto element, auto probability) {
    using Src = decltype(element);
    using Dst = decltype(probability);
    return own_kernel([&device, step, classes, loss](const gn_bindings& b) {
      float* samples = static_cast<float*>(b.scratch);
      const Forward<Src, Dst> body{bind<Src>(step.src, b),  bind<Dst>(step.dst, b),    classes,
                                   uint32_t(step.dst.span), loss ? b.labels : nullptr, samples};
      for_blocks(device, pixels(step.dst), body);
      if (loss) for_each(device, 1, Total{samples, b.results + step.attributes.result, uint32_t(step.dst.n)});
    });
  });
  if (loss) kernel->scratch_bytes = int64_t(step.dst.n) * 2 * int64_t(sizeof(float));
  return kernel;
}

}  // namespace googlenet::cuda
