// The one vocabulary the vectorised loops are written in: B floats of neighbouring channels, a mask over them, and B
// byte-sized window indices. GOOGLENET_SIMD (one of those below; set per object by the build) picks the implementation
// and names the namespace: objects of different instruction sets share no inline function and use no std:: template, or
// the linker could keep the copy that the processor at hand cannot run. It also decides what an Element of activations
// and their gradients is in memory; in registers it is a float.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cpu/simd/kernels.h"

#ifndef GOOGLENET_SIMD
#error "compile with -DGOOGLENET_SIMD=, one of the names below"
#endif
#define GOOGLENET_JOIN_(a, b) a##b
#define GOOGLENET_JOIN(a, b) GOOGLENET_JOIN_(a, b)
// Bits of a register. Elements are f32, in the sets named here a second time bf16, beside which there are bytes.
#define GOOGLENET_WIDTH_avx512 512
#define GOOGLENET_WIDTH_avx512_bf16 512
#define GOOGLENET_WIDTH_avx512_vnni 512
#define GOOGLENET_WIDTH_avx2 256
#define GOOGLENET_WIDTH_avx2_bf16 256
#define GOOGLENET_WIDTH_avx2_vnni 256
#define GOOGLENET_WIDTH_portable 128
#define GOOGLENET_WIDTH_portable_bf16 128
#define GOOGLENET_WIDTH GOOGLENET_JOIN(GOOGLENET_WIDTH_, GOOGLENET_SIMD)
#define GOOGLENET_BF16_avx512_bf16 1
#define GOOGLENET_BF16_avx512_vnni 1
#define GOOGLENET_BF16_avx2_bf16 1
#define GOOGLENET_BF16_avx2_vnni 1
#define GOOGLENET_BF16_portable_bf16 1
#define GOOGLENET_BF16 GOOGLENET_JOIN(GOOGLENET_BF16_, GOOGLENET_SIMD)

/** Where a header of vectors puts its names: vector-twice.h makes wider ones of them. */
#if GOOGLENET_WIDTH < 512 && GOOGLENET_BF16
#define GOOGLENET_LANES GOOGLENET_SIMD::half
#else
#define GOOGLENET_LANES GOOGLENET_SIMD
#endif

#define GOOGLENET_INLINE static inline __attribute__((always_inline, unused))

#ifdef GOOGLENET_VECTOR  // a test's
#include GOOGLENET_VECTOR
#elif GOOGLENET_WIDTH == 512 && GOOGLENET_BF16
#include "cpu/simd/vector-avx512-bf16.h"
#elif GOOGLENET_WIDTH == 512
#include "cpu/simd/vector-avx512.h"
#elif GOOGLENET_BF16
#include "cpu/simd/vector-twice.h"
#elif GOOGLENET_WIDTH == 256
#include "cpu/simd/vector-avx2.h"
#else
#include "cpu/simd/vector-portable.h"
#endif

namespace googlenet::cpu::GOOGLENET_SIMD {

#if GOOGLENET_BF16
typedef Bf16 Element;
#else
typedef float Element;
#endif

#if GOOGLENET_WIDTH < 512 || defined(GOOGLENET_VECTOR)
constexpr bool kSlides = false;  // one vector's lanes into the next one's: slide()
template <int lane>
Vec slide(Vec low, Vec high);
#endif

GOOGLENET_INLINE int smaller(int a, int b) { return a < b ? a : b; }
GOOGLENET_INLINE int larger(int a, int b) { return a > b ? a : b; }
GOOGLENET_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
GOOGLENET_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/** The fate of a gradient: see Kernels. `mask` null: none. */
GOOGLENET_INLINE void store_gradient(Element* diff, Vec value, const Element* mask, bool accumulate) {
  if (accumulate) value = add(load(diff), value);
  if (mask) value = keep_positive(load(mask), value);
  store(diff, value);
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
