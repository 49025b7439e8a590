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

}  // namespace googlenet::cpu
