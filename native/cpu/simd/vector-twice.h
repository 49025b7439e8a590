// vector.h for bf16 and bytes without AVX-512: 16 lanes are two vectors of 8, floats in registers, bf16 or floats in
// memory.
#pragma once
#if GOOGLENET_WIDTH == 256
#include "cpu/simd/vector-avx2.h"
#else
#include "cpu/simd/vector-portable.h"
#endif

namespace googlenet::cpu::GOOGLENET_SIMD {

constexpr int B = 16;
constexpr int kProductRows = half::kProductRows, kChunkVectors = 1;
constexpr int kFactors = half::kFactors;
using half::kProducts;
struct Vec {
  half::Vec a, b;
};
struct Mask {
  half::Mask a, b;
};
struct Index {
  half::Index a, b;
};
struct Ints {
  half::Ints a, b;
};

GOOGLENET_INLINE Vec load(const float* p) { return {half::load(p), half::load(p + half::B)}; }
GOOGLENET_INLINE void store(float* p, Vec v) { half::store(p, v.a), half::store(p + half::B, v.b); }
GOOGLENET_INLINE Vec all(float x) { return {half::all(x), half::all(x)}; }
GOOGLENET_INLINE Vec zero() { return {half::zero(), half::zero()}; }
GOOGLENET_INLINE Vec add(Vec x, Vec y) { return {half::add(x.a, y.a), half::add(x.b, y.b)}; }
GOOGLENET_INLINE Vec sub(Vec x, Vec y) { return {half::sub(x.a, y.a), half::sub(x.b, y.b)}; }
GOOGLENET_INLINE Vec mul(Vec x, Vec y) { return {half::mul(x.a, y.a), half::mul(x.b, y.b)}; }
GOOGLENET_INLINE Vec fma(Vec x, Vec y, Vec z) { return {half::fma(x.a, y.a, z.a), half::fma(x.b, y.b, z.b)}; }
GOOGLENET_INLINE Vec divide(Vec x, Vec y) { return {half::divide(x.a, y.a), half::divide(x.b, y.b)}; }
GOOGLENET_INLINE Vec root(Vec x) { return {half::root(x.a), half::root(x.b)}; }
GOOGLENET_INLINE Vec max(Vec x, Vec y) { return {half::max(x.a, y.a), half::max(x.b, y.b)}; }
GOOGLENET_INLINE Mask greater(Vec x, Vec y) { return {half::greater(x.a, y.a), half::greater(x.b, y.b)}; }
GOOGLENET_INLINE Vec choose(Mask m, Vec x, Vec y) { return {half::choose(m.a, x.a, y.a), half::choose(m.b, x.b, y.b)}; }
GOOGLENET_INLINE Vec keep_positive(Vec x, Vec value) {
  return {half::keep_positive(x.a, value.a), half::keep_positive(x.b, value.b)};
}
GOOGLENET_INLINE Vec power_three_quarters(Vec x, Vec* inverse) {
  return {half::power_three_quarters(x.a, &inverse->a), half::power_three_quarters(x.b, &inverse->b)};
}

GOOGLENET_INLINE Index index_of(int code) { return {half::index_of(code), half::index_of(code)}; }
GOOGLENET_INLINE Index choose(Mask m, Index x, Index y) {
  return {half::choose(m.a, x.a, y.a), half::choose(m.b, x.b, y.b)};
}
GOOGLENET_INLINE void store_index(uint8_t* p, Index i) {
  half::store_index(p, i.a), half::store_index(p + half::B, i.b);
}
GOOGLENET_INLINE Vec add_where(const uint8_t* p, Index code, Vec sum, Vec value) {
  return {half::add_where(p, code.a, sum.a, value.a), half::add_where(p + half::B, code.b, sum.b, value.b)};
}

GOOGLENET_INLINE Ints load_ints(const void* p) {
  return {half::load_ints(p), half::load_ints(static_cast<const int32_t*>(p) + half::B)};
}
GOOGLENET_INLINE void store_ints(void* p, Ints v) {
  half::store_ints(p, v.a), half::store_ints(static_cast<int32_t*>(p) + half::B, v.b);
}
GOOGLENET_INLINE Ints all_ints(int32_t x) { return {half::all_ints(x), half::all_ints(x)}; }
GOOGLENET_INLINE Vec to_floats(Ints v) { return {half::to_floats(v.a), half::to_floats(v.b)}; }
GOOGLENET_INLINE Ints to_ints(Vec v) { return {half::to_ints(v.a), half::to_ints(v.b)}; }
GOOGLENET_INLINE Ints both(Ints x, Ints y) { return {half::both(x.a, y.a), half::both(x.b, y.b)}; }
GOOGLENET_INLINE Ints either(Ints x, Ints y) { return {half::either(x.a, y.a), half::either(x.b, y.b)}; }
GOOGLENET_INLINE Ints sum(Ints x, Ints y) { return {half::sum(x.a, y.a), half::sum(x.b, y.b)}; }
GOOGLENET_INLINE Ints shift_left(Ints v, int bits) {
  return {half::shift_left(v.a, bits), half::shift_left(v.b, bits)};
}
GOOGLENET_INLINE Ints dot(Ints sum, Ints x, Ints w) { return {half::dot(sum.a, x.a, w.a), half::dot(sum.b, x.b, w.b)}; }
GOOGLENET_INLINE Ints load_bytes(const uint8_t* p) { return {half::load_bytes(p), half::load_bytes(p + half::B)}; }
/** Rounded to the nearest, ties to even, of 0 to 255; what is more becomes 255, and so does a NaN. */
GOOGLENET_INLINE void store_bytes(uint8_t* p, Vec v) {
  const Vec most = all(255);
  const Ints words = to_ints(choose(greater(most, v), v, most));
  half::store_bytes(p, words.a), half::store_bytes(p + half::B, words.b);
}
/** Floats `stride` apart. */
GOOGLENET_INLINE Vec gather(const float* p, int64_t stride) {
  float lanes[B];
  for (int i = 0; i < B; i++) lanes[i] = p[i * stride];
  return load(lanes);
}

namespace half {
/** bf16 in the upper halves: to the nearest, ties to even; what is denormal becomes 0. */
GOOGLENET_INLINE Ints rounded(Vec v) {
  const Ints bits = as_ints(v), exponent = all_ints(0x7f800000);
  const Ints odd = both(shift_right(bits, 16), all_ints(1));
  const Ints near = sum(sum(bits, odd), all_ints(0x7fff));
  const Ints quiet = where_zero(both(bits, all_ints(0x7fffff)), bits, either(bits, all_ints(0x400000)));
  const Ints finite = where_zero(sum(both(bits, exponent), all_ints(-0x7f800000)), quiet, near);
  const Ints result = where_zero(both(bits, exponent), both(bits, all_ints(int32_t(0x80000000))), finite);
  return both(result, all_ints(int32_t(0xffff0000)));
}
}  // namespace half

GOOGLENET_INLINE Vec load(const Bf16* p) {
  return {half::as_floats(half::load_uppers(p)), half::as_floats(half::load_uppers(p + half::B))};
}
GOOGLENET_INLINE void store(Bf16* p, Vec v) {
  half::store_uppers(p, half::rounded(v.a)), half::store_uppers(p + half::B, half::rounded(v.b));
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
