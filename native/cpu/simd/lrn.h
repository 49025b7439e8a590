// Both LRN regions' power: s^-beta, and 1 / s for the backward pass.
#pragma once
#include <math.h>

#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

GOOGLENET_INLINE Vec inverse_power(Vec s, float beta, Vec* inverse) {
  if (beta == 0.75f) return power_three_quarters(s, inverse);
  float lanes[B];
  store(lanes, s);
  for (int i = 0; i < B; i++) lanes[i] = powf(lanes[i], -beta);
  *inverse = divide(all(1.0f), s);
  return load(lanes);
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
