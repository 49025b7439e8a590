// See simd.h. Compiled once, without special instruction flags.
#include "cpu/simd.h"

#include "core/status.h"

namespace googlenet::cpu {

const Kernels& kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kernels_avx512();
  if (isa == Isa::avx2) return kernels_avx2();
#endif
  (void)isa;
  return kernels_portable();
}

template <>
const ActivationKernels<float>& activations<float>(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return activations_avx512();
  if (isa == Isa::avx2) return activations_avx2();
#endif
  (void)isa;
  return activations_portable();
}

#if defined(__x86_64__)
template <>
const ActivationKernels<Bf16>& activations<Bf16>(Isa) {
  static const auto& table = has_bf16() ? activations_avx512_bf16() : activations_avx512_vnni();
  return table;
}
const ByteKernels& byte_kernels() { return has_bf16() ? bytes_avx512_bf16() : bytes_avx512_vnni(); }
#else
[[noreturn]] static void absent() { throw Failure(Code::INTERNAL, "this processor has no loops over bf16 and u8"); }
template <>
const ActivationKernels<Bf16>& activations<Bf16>(Isa) {
  absent();
}
const ByteKernels& byte_kernels() { absent(); }
#endif

}  // namespace googlenet::cpu
