// See simd.h. Compiled once, without special instruction flags.
#include "cpu/simd.h"

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

namespace {

/** Loops over bf16 and bytes of one set. */
struct Narrow {
  const ActivationKernels<Bf16>& (*activations)();
  const ByteKernels& (*bytes)();
};

Narrow narrow_set(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512 && has_bf16()) return {activations_avx512_bf16, bytes_avx512_bf16};
  if (isa == Isa::avx512 && has_vnni()) return {activations_avx512_vnni, bytes_avx512_vnni};
  if (isa != Isa::portable) return {activations_avx2_bf16, bytes_avx2_bf16};
#endif
  (void)isa;
  return {activations_portable_bf16, bytes_portable_bf16};
}

}  // namespace

template <>
const ActivationKernels<Bf16>& activations<Bf16>(Isa isa) {
  return narrow_set(isa).activations();
}
const ByteKernels& byte_kernels(Isa isa) { return narrow_set(isa).bytes(); }

}  // namespace googlenet::cpu
