// Loops over flat arrays of f32: the gradient norm, and bytes to planes.
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

// 16 partial sums whatever the vector width: a square of an f32 is exact in f64, so fused or not, the order of the
// additions alone decides the bits.
double square_sum(const float* values, int64_t count) {
  constexpr int kSums = 16;
  double sums[kSums] = {0};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int k = 0; k < kSums; k++) sums[k] += double(values[i + k]) * double(values[i + k]);
  for (int k = 0; i < count; i++, k++) sums[k] += double(values[i]) * double(values[i]);
  double sum = 0;
  for (int k = 0; k < kSums; k++) sum += sums[k];
  return sum;
}

void split_rgb(const uint8_t* rgb, int64_t pixels, const float mean[3], float* __restrict b, float* __restrict g,
               float* __restrict r) {
  const float mean_b = mean[0], mean_g = mean[1], mean_r = mean[2];
  for (int64_t x = 0; x < pixels; x++) {
    r[x] = float(rgb[3 * x]) - mean_r;
    g[x] = float(rgb[3 * x + 1]) - mean_g;
    b[x] = float(rgb[3 * x + 2]) - mean_b;
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
