// The optimisers' rules (optim/rules.def), each one pass over the flat arenas with the average of the new weights in
// the same pass. With f = scale·g + decay·w:
//   SGD       v = m v + r f;  w -= v                                 Caffe, sgd_solver.cpp
//   NESTEROV  v' = m v + r f;  w -= (1 + m) v' - m v                 Caffe, nesterov_solver.cpp
//   ADAGRAD   s += f²;  w -= r f / (√s + ε)                          Caffe, adagrad_solver.cpp
//   RMSPROP   s = d s + (1 - d) f²;  v = m v + r f / √(s + ε);  w -= v   TensorFlow, RMSPropOptimizer
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

enum AverageMode { kNoAverage, kCopied, kBlended };

struct Factors {
  Vec rate, momentum, decay, scale, squares_decay, squares_rest, epsilon, share;
};

struct Lanes {
  Vec w, v, s, a;
};

template <gn_rule rule>
GOOGLENET_INLINE void advance(Lanes& x, Vec gradient, const Factors& f) {
  const Vec g = fma(f.decay, x.w, mul(f.scale, gradient));
  if constexpr (rule == GN_SGD) {
    x.v = fma(f.rate, g, mul(f.momentum, x.v));
    x.w = sub(x.w, x.v);
  } else if constexpr (rule == GN_NESTEROV) {
    const Vec before = mul(f.momentum, x.v);
    x.v = fma(f.rate, g, before);
    x.w = sub(x.w, sub(fma(f.momentum, x.v, x.v), before));
  } else if constexpr (rule == GN_ADAGRAD) {
    x.s = fma(g, g, x.s);
    x.w = sub(x.w, divide(mul(f.rate, g), add(root(x.s), f.epsilon)));
  } else {
    x.s = fma(f.squares_rest, mul(g, g), mul(f.squares_decay, x.s));
    x.v = fma(f.rate, divide(g, root(add(x.s, f.epsilon))), mul(f.momentum, x.v));
    x.w = sub(x.w, x.v);
  }
}

constexpr bool has_momentum(gn_rule rule) { return rule != GN_ADAGRAD; }
constexpr bool has_squares(gn_rule rule) { return rule == GN_ADAGRAD || rule == GN_RMSPROP; }

template <gn_rule rule, AverageMode mode>
GOOGLENET_INLINE void update_vector(const UpdateArrays& at, int64_t i, const Factors& f) {
  Lanes x;
  x.w = load(at.parameters + i);
  if constexpr (has_momentum(rule)) x.v = load(at.momentum + i);
  if constexpr (has_squares(rule)) x.s = load(at.squares + i);
  advance<rule>(x, load(at.gradients + i), f);
  store(at.parameters + i, x.w);
  if constexpr (has_momentum(rule)) store(at.momentum + i, x.v);
  if constexpr (has_squares(rule)) store(at.squares + i, x.s);
  if constexpr (mode == kCopied) store(at.average + i, x.w);
  if constexpr (mode == kBlended) {
    x.a = load(at.average + i);
    store(at.average + i, fma(f.share, sub(x.w, x.a), x.a));
  }
}

// The tail goes through the same vector code, so that an element's bits do not depend on where a range ends.
template <gn_rule rule, AverageMode mode>
void update_range(const UpdateArrays& at, int64_t count, const Factors& f) {
  int64_t i = 0;
  for (; i + B <= count; i += B) update_vector<rule, mode>(at, i, f);
  if (i == count) return;
  float tail[5][B] = {};
  float* const arrays[5] = {at.parameters, at.momentum, at.squares, at.average, const_cast<float*>(at.gradients)};
  const size_t bytes = size_t(count - i) * sizeof(float);
  for (int k = 0; k < 5; k++)
    if (arrays[k]) __builtin_memcpy(tail[k], arrays[k] + i, bytes);
  update_vector<rule, mode>({tail[0], tail[1], tail[2], tail[3], tail[4]}, 0, f);
  for (int k = 0; k < 4; k++)
    if (arrays[k]) __builtin_memcpy(arrays[k] + i, tail[k], bytes);
}

template <gn_rule rule>
void update_rule(const UpdateArrays& at, int64_t count, const UpdateFactors& factors) {
  const Factors f = {all(factors.rate),    all(factors.momentum),      all(factors.decay),
                     all(factors.scale),   all(factors.squares_decay), all(1 - factors.squares_decay),
                     all(factors.epsilon), all(factors.average_share)};
  if (!at.average)
    update_range<rule, kNoAverage>(at, count, f);
  else if (factors.average_share >= 1)
    update_range<rule, kCopied>(at, count, f);
  else
    update_range<rule, kBlended>(at, count, f);
}

}  // namespace

void update(gn_rule rule, const UpdateArrays& at, int64_t count, const UpdateFactors& factors) {
  switch (rule) {
    case GN_SGD: return update_rule<GN_SGD>(at, count, factors);
    case GN_NESTEROV: return update_rule<GN_NESTEROV>(at, count, factors);
    case GN_ADAGRAD: return update_rule<GN_ADAGRAD>(at, count, factors);
    case GN_RMSPROP: return update_rule<GN_RMSPROP>(at, count, factors);
    default: return;
  }
}

void scale_add(float* dst, const float* src, int64_t count, float keep, float scale) {
  const Vec kept = all(keep), scaled = all(scale);
  const auto one = [&](float* to, const float* from) {
    store(to, keep == 0 ? mul(scaled, load(from)) : fma(scaled, load(from), mul(kept, load(to))));
  };
  int64_t i = 0;
  for (; i + B <= count; i += B) one(dst + i, src + i);
  if (i == count) return;
  float to[B] = {}, from[B] = {};
  const size_t bytes = size_t(count - i) * sizeof(float);
  __builtin_memcpy(to, dst + i, bytes);
  __builtin_memcpy(from, src + i, bytes);
  one(to, from);
  __builtin_memcpy(dst + i, to, bytes);
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
