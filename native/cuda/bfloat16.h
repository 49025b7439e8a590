// bf16 as kernels see it: read as f32, and rounded to nearest even when it is written, by the card's own instruction
// where it has one. All give the same bits, but for what a NaN carries.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define GN_DEVICE __device__
#define GN_UNROLL _Pragma("unroll")
#else
#define GN_DEVICE
#define GN_UNROLL
#endif

namespace googlenet::cuda {

struct Bf16 {
  uint16_t bits;

  GN_DEVICE operator float() const {
    const uint32_t wide = uint32_t(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
  }
  GN_DEVICE Bf16& operator=(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    const bool nan = (wide & 0x7fffffff) > 0x7f800000;  // adding could carry it to infinity
    bits = uint16_t((nan ? wide | 0x400000 : wide + 0x7fff + (wide >> 16 & 1)) >> 16);
#endif
    return *this;
  }
};

}  // namespace googlenet::cuda
