// The paper's LRN, five channels and beta 0.75, on packs of channels: no powers, and every scale once. lrn.cu has the
// formulas.
#pragma once
#include <cmath>

#include "cuda/launch.h"

namespace googlenet::cuda {

GN_DEVICE inline float reciprocal_root(float s) {
#ifdef __CUDACC__
  return rsqrtf(s);
#else
  return float(1 / sqrt(double(s)));
#endif
}

/** s^-0.75 and 1 / s, off by less than 5e-7 with a root off by 2^-22.9, which the card promises. */
struct Powers {
  float power, inverse;
  GN_DEVICE explicit Powers(float s) {
    const float r = reciprocal_root(s);
    inverse = r * r;
    power = inverse * reciprocal_root(r);  // s^-1 * s^(1/4)
  }
};

/** A pack between its neighbours, outside the view 0; padding is 0 already. */
template <int N>
GN_DEVICE Floats<3 * N> joined(const Floats<N>& before, const Floats<N>& own, const Floats<N>& after) {
  Floats<3 * N> all;
  for (int i = 0; i < N; i++) all[i] = before[i], all[N + i] = own[i], all[2 * N + i] = after[i];
  return all;
}
/** Of channels [channel - N, channel + 2 N). */
template <int N, class T>
GN_DEVICE Floats<3 * N> load_around(const View<T>& view, uint32_t pixel, uint32_t channel, uint32_t span) {
  return joined<N>(channel > 0 ? view.template load<N>(pixel, channel - N) : Floats<N>{},
                   view.template load<N>(pixel, channel),
                   channel + N < span ? view.template load<N>(pixel, channel + N) : Floats<N>{});
}

class PapersLrn {
 public:
  static bool is(const gn_attributes& a) {
    return a.lrn_region != GN_LRN_WITHIN && a.lrn_size == kSize && a.lrn_beta == kBeta && a.lrn_k > 0;
  }
  /** t: any tensor of its channels. */
  PapersLrn(const gn_attributes& a, const gn_tensor& t)
      : channels_(t.c), k_(a.lrn_k), scale_(a.lrn_alpha / float(kSize)) {}

  /** Of the pack that begins at `channel`; x: of load_around(), and dy. */
  template <int N>
  GN_DEVICE Floats<N> forward(const Floats<3 * N>& x, uint32_t channel) const {
    Floats<N> y;
    for (int i = 0; i < N; i++) y[i] = x[N + i] * Powers(base<N>(x, N + i)).power;
    clear_padding(channel, y);
    return y;
  }
  template <int N>
  GN_DEVICE Floats<N> backward(const Floats<3 * N>& x, const Floats<3 * N>& dy, uint32_t channel) const {
    Floats<N> dx;
    Floats<N + 2 * kHalf> share;  // dy * x * s^(-beta - 1), from channel - kHalf
    for (int i = 0; i < N + 2 * kHalf; i++) {
      const int at = N - kHalf + i;
      const Powers powers(base<N>(x, at));
      const float direct = dy[at] * powers.power;
      share[i] = direct * x[at] * powers.inverse;
      if (at >= N && at < 2 * N) dx[at - N] = direct;
    }
    for (int i = 0; i < N; i++) {
      float sum = 0;
      for (int j = i; j <= i + 2 * kHalf; j++) sum += share[j];
      dx[i] -= 2 * scale_ * kBeta * x[N + i] * sum;
    }
    clear_padding(channel, dx);
    return dx;
  }

 private:
  static constexpr int kSize = 5, kHalf = kSize / 2;  // the window of channel c is [c - kHalf, c + kHalf]
  static constexpr float kBeta = 0.75f;

  template <int N>
  GN_DEVICE float base(const Floats<3 * N>& x, int at) const {
    static_assert(2 * kHalf <= N);
    float sum = 0;
    for (int i = at - kHalf; i <= at + kHalf; i++) sum += x[i] * x[i];
    return k_ + scale_ * sum;
  }
  template <int N>
  GN_DEVICE void clear_padding(uint32_t channel, Floats<N>& values) const {
    if (int(channel) + N <= channels_) return;
    for (int i = 0; i < N; i++) values[i] = int(channel) + i < channels_ ? values[i] : 0.0f;
  }

  int channels_;  // the logical ones
  float k_, scale_;
};

}  // namespace googlenet::cuda
