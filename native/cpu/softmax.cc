// SOFTMAX over the logical channels of every pixel, and LOSS: softmax with the mean cross-entropy of N labels. Sums run
// in f64 in channel order within one thread, so that results do not depend on the number of threads.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <string>
#include <vector>

#include "core/status.h"
#include "cpu/kernel.h"
#include "cpu/simd.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

/** Channel c of one pixel, over the blocks of a view. */
struct Pixel {
  char* base;
  gn_type type;
  int64_t plane;
  int shift;  // block = 1 << shift
  int64_t at(int c) const { return (c >> shift) * plane + (c & ((1 << shift) - 1)); }
  float operator[](int c) const {
    return type == GN_F32 ? reinterpret_cast<float*>(base)[at(c)] : to_float(reinterpret_cast<Bf16*>(base)[at(c)]);
  }
  void set(int c, float value) const {
    if (type == GN_F32)
      reinterpret_cast<float*>(base)[at(c)] = value;
    else
      assign(reinterpret_cast<Bf16*>(base)[at(c)], value);
  }
};

/** y = softmax(x), padding 0; e has room for the classes; x and y may be the same. NaN and infinite values make all of y NaN. */
void softmax(const Pixel& x, const Pixel& y, std::vector<float>& e, int span) {
  const int classes = int(e.size());
  for (int c = 0; c < classes; c++) e[c] = x[c];
  const float largest = *std::max_element(e.begin(), e.end());
  double sum = 0;
  for (float& value : e) sum += value = std::exp(value - largest);
  const double scale = 1 / sum;
  for (int c = 0; c < classes; c++) y.set(c, float(e[c] * scale));
  for (int c = classes; c < span; c++) y.set(c, 0);
}

class Softmax : public gn_kernel {
 public:
  Softmax(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        block_(device.block),
        loss_(step.op == GN_LOSS),
        backward_(step.direction == GN_BACKWARD_DATA),
        accumulate_(step.accumulate),
        classes_(step.attributes.classes),
        result_(step.attributes.result),
        weight_(step.attributes.loss_weight),
        src_(step.src, device.block),
        dst_(step.dst, device.block),
        diff_src_(step.diff_src, device.block),
        diff_dst_(step.diff_dst, device.block),
        sample_loss_(loss_ ? dst_.n : 0),
        sample_right_(loss_ ? dst_.n : 0) {
    implementation = device.type == GN_BF16 ? activations<Bf16>(device.isa).name : activations<float>(device.isa).name;
    if (classes_ < 1 || classes_ > dst_.span)
      throw Failure(Code::INTERNAL, std::string("softmax '") + step.name + "' has more classes than channels");
    if (loss_ && (dst_.h != 1 || dst_.w != 1))
      throw Failure(Code::UNSUPPORTED, std::string("loss '") + step.name +
                                           "' needs one label per image, so 1x1 input; " +
                                           "put a pooling or linear layer before it");
  }

  void run(const gn_bindings& bindings) override {
    if (loss_) check_labels(bindings);
    const View& whole = dst_;
    const int64_t pixels = int64_t(whole.h) * whole.w;
    pool_.ranges(whole.n * pixels, [&](int64_t first, int64_t last) {
      std::vector<float> e(backward_ ? 0 : classes_);
      for (int64_t i = first; i < last; i++) {
        const int64_t n = i / pixels, pixel = i % pixels;
        if (backward_)
          backward(bindings, n, pixel);
        else
          forward(bindings, n, pixel, e);
      }
    });
    if (!loss_ || backward_) return;
    double loss = 0, right = 0;
    for (int n = 0; n < dst_.n; n++) loss += sample_loss_[n], right += sample_right_[n];
    bindings.results[result_] = float(loss / dst_.n);
    bindings.results[result_ + 1] = float(right);
  }

 private:
  Pixel pixel_of(const View& view, const gn_bindings& bindings, int64_t n, int64_t pixel) const {
    return {view.bind<char>(bindings) + (n * view.image + pixel * block_) * gn_bytes_of(view.type), view.type,
            view.plane, block_ == 16 ? 4 : 3};
  }

  void check_labels(const gn_bindings& bindings) const {
    for (int n = 0; n < dst_.n; n++) {
      const int32_t label = bindings.labels[n];
      if (label < 0 || label >= classes_)
        throw Failure(Code::LABEL_OUT_OF_RANGE, "expected labels from 0 to " + std::to_string(classes_ - 1) +
                                                    ", but image " + std::to_string(n) + " of the batch has " +
                                                    std::to_string(label));
    }
  }

  void forward(const gn_bindings& bindings, int64_t n, int64_t pixel, std::vector<float>& e) {
    const Pixel p = pixel_of(dst_, bindings, n, pixel);
    softmax(pixel_of(src_, bindings, n, pixel), p, e, dst_.span);
    if (!loss_) return;
    const int label = bindings.labels[n];
    int best = 0;
    for (int c = 1; c < classes_; c++)
      if (p[c] > p[best]) best = c;
    // Caffe's floor against log(0). NaN < FLT_MIN is false, so a NaN stays one.
    sample_loss_[n] = -std::log(double(p[label] < FLT_MIN ? FLT_MIN : p[label]));
    sample_right_[n] = best == label;
  }

  // LOSS: dx = weight / N * (p - onehot); SOFTMAX: dx = y * (dy - sum(dy * y)).
  void backward(const gn_bindings& bindings, int64_t n, int64_t pixel) const {
    const Pixel y = pixel_of(dst_, bindings, n, pixel), dx = pixel_of(diff_src_, bindings, n, pixel);
    const auto write = [&](int c, float value) { dx.set(c, accumulate_ ? dx[c] + value : value); };
    if (loss_) {
      const float scale = weight_ / float(dst_.n);
      const int label = bindings.labels[n];
      for (int c = 0; c < classes_; c++) write(c, scale * (c == label ? y[c] - 1.0f : y[c]));
    } else {
      const Pixel dy = pixel_of(diff_dst_, bindings, n, pixel);
      double sum = 0;
      for (int c = 0; c < classes_; c++) sum += double(dy[c]) * y[c];
      for (int c = 0; c < classes_; c++) write(c, float(y[c] * (dy[c] - sum)));
    }
    for (int c = classes_; c < diff_src_.span; c++) dx.set(c, 0);
  }

  ThreadPool& pool_;
  const int block_;
  const bool loss_, backward_, accumulate_;
  const int classes_, result_;
  const float weight_;
  const View src_, dst_, diff_src_, diff_dst_;
  std::vector<double> sample_loss_;
  std::vector<char> sample_right_;
};

}  // namespace

Kernel make_softmax(gn_device& device, const gn_step& step) { return std::make_unique<Softmax>(device, step); }

}  // namespace googlenet::cpu
