// vector.h as 16 floats for processors without AVX-512, from the compiler's generic vectors: test/native/build.sh puts it
// in the place of vector-avx512.h, so that what depends on blocks of 16 channels is run on every machine.
#pragma once
#include <math.h>

namespace googlenet::cpu::GOOGLENET_SIMD {

constexpr int B = 16;
constexpr int kProductRows = 14, kChunkVectors = 2;  // as with AVX-512
constexpr int kFewestPixels[] = {64, 64, 128};  // for Winograd: forward, backward data, backward weights
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t Mask __attribute__((vector_size(64)));
typedef Mask Index;

GOOGLENET_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, 64);
  return v;
}
GOOGLENET_INLINE void store(float* p, Vec v) { __builtin_memcpy(p, &v, 64); }
GOOGLENET_INLINE Vec zero() { return Vec{}; }
GOOGLENET_INLINE Vec all(float x) { return Vec{} + x; }
GOOGLENET_INLINE Vec add(Vec x, Vec y) { return x + y; }
GOOGLENET_INLINE Vec sub(Vec x, Vec y) { return x - y; }
GOOGLENET_INLINE Vec mul(Vec x, Vec y) { return x * y; }
GOOGLENET_INLINE Vec fma(Vec x, Vec y, Vec z) { return x * y + z; }
GOOGLENET_INLINE Vec divide(Vec x, Vec y) { return x / y; }
GOOGLENET_INLINE Vec root(Vec x) {
  for (int lane = 0; lane < B; lane++) x[lane] = sqrtf(x[lane]);
  return x;
}
GOOGLENET_INLINE Mask greater(Vec x, Vec y) { return x > y; }
GOOGLENET_INLINE Vec choose(Mask m, Vec x, Vec y) { return m ? x : y; }
GOOGLENET_INLINE Index choose(Mask m, Index x, Index y) { return m ? x : y; }
GOOGLENET_INLINE Vec max(Vec x, Vec y) { return choose(greater(x, y), x, y); }
GOOGLENET_INLINE Vec keep_positive(Vec x, Vec value) { return choose(x <= zero(), zero(), value); }
GOOGLENET_INLINE Index index_of(int code) { return Index{} + code; }
GOOGLENET_INLINE void store_index(uint8_t* p, Index i) {
  for (int lane = 0; lane < B; lane++) p[lane] = uint8_t(i[lane]);
}
GOOGLENET_INLINE Vec add_where(const uint8_t* p, Index code, Vec sum, Vec value) {
  Index found;
  for (int lane = 0; lane < B; lane++) found[lane] = p[lane];
  return sum + choose(found == code, value, zero());
}
GOOGLENET_INLINE Vec power_three_quarters(Vec x, Vec* inverse) {
  *inverse = all(1.0f) / x;
  Vec power;
  for (int lane = 0; lane < B; lane++) power[lane] = (*inverse)[lane] * sqrtf(sqrtf(x[lane]));
  return power;
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
