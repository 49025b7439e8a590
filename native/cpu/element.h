// What lies in activations, one by one; simd/ has the loops.
#pragma once
#include <cstring>

#include "backend/backend.h"
#include "cpu/simd/kernels.h"

namespace googlenet::cpu {

inline float to_float(float value) { return value; }
inline float to_float(Bf16 value) {
  const uint32_t bits = uint32_t(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

inline void assign(float& to, float value) { to = value; }
/** To the nearest, ties to even; what is denormal becomes 0, as vcvtneps2bf16 has it. */
inline void assign(Bf16& to, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    bits |= 0x400000;  // a NaN stays one
  else if (magnitude < 0x800000)
    bits &= 0x80000000;
  else
    bits += 0x7fff + (bits >> 16 & 1);
  to.bits = uint16_t(bits >> 16);
}

/** body(Element{}) with the type's element. */
template <class Body>
auto with_element(gn_type type, const Body& body) {
  return type == GN_BF16 ? body(Bf16{}) : body(float{});
}

}  // namespace googlenet::cpu
