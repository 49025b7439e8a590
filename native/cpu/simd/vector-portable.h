// vector.h for any processor: 8 floats as two 4-float vectors of the compiler, which are SSE2, NEON or plain code.
#pragma once
#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace googlenet::cpu::GOOGLENET_LANES {

constexpr int B = 8;
constexpr int kProductRows = 3, kChunkVectors = 2;  // of 16 registers 12 accumulate (a Vec is two)
constexpr int kFewestPixels[] = {32, 32, 96};       // for Winograd: forward, backward data, backward weights
typedef float Four __attribute__((vector_size(16)));
typedef int32_t FourInts __attribute__((vector_size(16)));
struct Vec {
  Four a, b;
};
struct Mask {
  FourInts a, b;
};
struct Index {
  FourInts a, b;
};

GOOGLENET_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v.a, p, 16);
  __builtin_memcpy(&v.b, p + 4, 16);
  return v;
}
GOOGLENET_INLINE void store(float* p, Vec v) {
  __builtin_memcpy(p, &v.a, 16);
  __builtin_memcpy(p + 4, &v.b, 16);
}
GOOGLENET_INLINE Vec all(float x) { return {Four{x, x, x, x}, Four{x, x, x, x}}; }
GOOGLENET_INLINE Vec zero() { return all(0.0f); }
GOOGLENET_INLINE Vec add(Vec x, Vec y) { return {x.a + y.a, x.b + y.b}; }
GOOGLENET_INLINE Vec sub(Vec x, Vec y) { return {x.a - y.a, x.b - y.b}; }
GOOGLENET_INLINE Vec mul(Vec x, Vec y) { return {x.a * y.a, x.b * y.b}; }
GOOGLENET_INLINE Vec fma(Vec x, Vec y, Vec z) { return {x.a * y.a + z.a, x.b * y.b + z.b}; }
GOOGLENET_INLINE Vec divide(Vec x, Vec y) { return {x.a / y.a, x.b / y.b}; }
GOOGLENET_INLINE FourInts pick(FourInts m, FourInts x, FourInts y) { return (m & x) | (~m & y); }
GOOGLENET_INLINE Four pick(FourInts m, Four x, Four y) { return Four(pick(m, FourInts(x), FourInts(y))); }
GOOGLENET_INLINE Mask greater(Vec x, Vec y) { return {FourInts(x.a > y.a), FourInts(x.b > y.b)}; }
GOOGLENET_INLINE Vec choose(Mask m, Vec x, Vec y) { return {pick(m.a, x.a, y.a), pick(m.b, x.b, y.b)}; }
/** x > y ? x : y: y when either is NaN. */
GOOGLENET_INLINE Vec max(Vec x, Vec y) { return choose(greater(x, y), x, y); }
/** value, but 0 where x <= 0. */
GOOGLENET_INLINE Vec keep_positive(Vec x, Vec value) {
  const Four none = {0, 0, 0, 0};
  return {Four(~FourInts(x.a <= none) & FourInts(value.a)), Four(~FourInts(x.b <= none) & FourInts(value.b))};
}

typedef uint32_t FourWords __attribute__((vector_size(16)));
struct Ints {
  FourWords a, b;
};
GOOGLENET_INLINE Ints load_ints(const void* p) {
  Ints v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
GOOGLENET_INLINE void store_ints(void* p, Ints v) { __builtin_memcpy(p, &v, sizeof v); }
GOOGLENET_INLINE Ints all_ints(int32_t x) { return {FourWords{} + uint32_t(x), FourWords{} + uint32_t(x)}; }
GOOGLENET_INLINE Ints as_ints(Vec v) { return {FourWords(v.a), FourWords(v.b)}; }
GOOGLENET_INLINE Vec as_floats(Ints v) { return {Four(v.a), Four(v.b)}; }
GOOGLENET_INLINE Four to_floats(FourWords v) { return __builtin_convertvector(FourInts(v), Four); }
GOOGLENET_INLINE Vec to_floats(Ints v) { return {to_floats(v.a), to_floats(v.b)}; }
/** To the nearest, ties to even, of less than 2^22. */
GOOGLENET_INLINE Ints to_ints(Vec v) {
  const Vec rounder = all(12582912.0f);  // 1.5 * 2^23: the sum's last bit is 1
  const Ints bits = as_ints(add(v, rounder)), none = as_ints(rounder);
  return {bits.a - none.a, bits.b - none.b};
}
GOOGLENET_INLINE Ints both(Ints x, Ints y) { return {x.a & y.a, x.b & y.b}; }
GOOGLENET_INLINE Ints either(Ints x, Ints y) { return {x.a | y.a, x.b | y.b}; }
GOOGLENET_INLINE Ints sum(Ints x, Ints y) { return {x.a + y.a, x.b + y.b}; }
GOOGLENET_INLINE Ints shift_left(Ints v, int bits) { return {v.a << bits, v.b << bits}; }
GOOGLENET_INLINE Ints shift_right(Ints v, int bits) { return {v.a >> bits, v.b >> bits}; }
/** Words of 0 to 255 as bytes, and bytes as words. */
GOOGLENET_INLINE void store_bytes(uint8_t* p, Ints v) {
  for (int lane = 0; lane < 4; lane++) p[lane] = uint8_t(v.a[lane]), p[lane + 4] = uint8_t(v.b[lane]);
}
GOOGLENET_INLINE Ints load_bytes(const uint8_t* p) {
  return {FourWords{p[0], p[1], p[2], p[3]}, FourWords{p[4], p[5], p[6], p[7]}};
}
/** Halves of words: into the upper ones, and back. */
typedef uint16_t FourHalves __attribute__((vector_size(8)));
GOOGLENET_INLINE Ints load_uppers(const Bf16* p) {
  FourHalves x[2];
  __builtin_memcpy(x, p, sizeof x);
  return {__builtin_convertvector(x[0], FourWords) << 16, __builtin_convertvector(x[1], FourWords) << 16};
}
GOOGLENET_INLINE void store_uppers(Bf16* p, Ints v) {
  const FourHalves x[2] = {__builtin_convertvector(v.a >> 16, FourHalves),
                           __builtin_convertvector(v.b >> 16, FourHalves)};
  __builtin_memcpy(p, x, sizeof x);
}
/** x where the words of m are 0, else y. */
GOOGLENET_INLINE Ints where_zero(Ints m, Ints x, Ints y) {
  const FourWords a = FourWords(m.a == 0), b = FourWords(m.b == 0);
  return {(a & x.a) | (~a & y.a), (b & x.b) | (~b & y.b)};
}
/** Adds the products of a word's two factors of s16. */
constexpr char kProducts[] = "portable";
constexpr int kFactors = 2;
#ifdef __SSE2__
GOOGLENET_INLINE FourWords dot(FourWords sum, FourWords x, FourWords w) {
  return sum + FourWords(_mm_madd_epi16(__m128i(x), __m128i(w)));
}
#else
GOOGLENET_INLINE FourWords dot(FourWords sum, FourWords x, FourWords w) {
  const FourInts first = (FourInts(x << 16) >> 16) * (FourInts(w << 16) >> 16);
  return sum + FourWords(first) + FourWords((FourInts(x) >> 16) * (FourInts(w) >> 16));
}
#endif
GOOGLENET_INLINE Ints dot(Ints sum, Ints x, Ints w) { return {dot(sum.a, x.a, w.a), dot(sum.b, x.b, w.b)}; }

GOOGLENET_INLINE Index index_of(int c) { return {FourInts{c, c, c, c}, FourInts{c, c, c, c}}; }
GOOGLENET_INLINE Index choose(Mask m, Index x, Index y) { return {pick(m.a, x.a, y.a), pick(m.b, x.b, y.b)}; }
GOOGLENET_INLINE void store_index(uint8_t* p, Index i) {
  for (int lane = 0; lane < 4; lane++) p[lane] = uint8_t(i.a[lane]), p[lane + 4] = uint8_t(i.b[lane]);
}
/** sum + value in the lanes whose index is `code`. */
GOOGLENET_INLINE Vec add_where(const uint8_t* p, Index code, Vec sum, Vec value) {
  const FourInts a = {p[0], p[1], p[2], p[3]}, b = {p[4], p[5], p[6], p[7]};
  return {sum.a + Four(FourInts(a == code.a) & FourInts(value.a)),
          sum.b + Four(FourInts(b == code.b) & FourInts(value.b))};
}

GOOGLENET_INLINE Four root(Four x) {
  return Four{__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]), __builtin_sqrtf(x[3])};
}
GOOGLENET_INLINE Vec root(Vec x) { return {root(x.a), root(x.b)}; }
/** x^-0.75, and 1 / x. */
GOOGLENET_INLINE Vec power_three_quarters(Vec x, Vec* inverse) {
  *inverse = divide(all(1.0f), x);
  return mul(*inverse, Vec{root(root(x.a)), root(root(x.b))});  // x^-1 * x^(1/4)
}

}  // namespace googlenet::cpu::GOOGLENET_LANES
