// bf16 as kernels see it: read as f32, and rounded to nearest even when it is written. The same few instructions for nvcc
// and for the simulated device, so both give the same bits.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define GN_DEVICE __device__
#else
#define GN_DEVICE
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
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    const bool nan = (wide & 0x7fffffff) > 0x7f800000;  // adding could carry it to infinity
    bits = uint16_t((nan ? wide | 0x400000 : wide + 0x7fff + (wide >> 16 & 1)) >> 16);
    return *this;
  }
};

}  // namespace googlenet::cuda
