// One instruction set's table over f32: kernels_avx512(), kernels_avx2() or kernels_portable().
#include "cpu/simd/functions.h"

namespace googlenet::cpu {

const Kernels& GOOGLENET_JOIN(kernels_, GOOGLENET_SIMD)() {
  using namespace GOOGLENET_SIMD;
  static const Kernels table = {
      "own:" GOOGLENET_TEXT(GOOGLENET_SIMD),
      update,
      scale_add,
      square_sum,
      kChunkVectors * B,
      kFewestPixels,
      winograd_weights,
      winograd_input,
      winograd_output,
      winograd_diff,
      winograd_gradient,
      winograd_diff_weights,
      split_rgb,
  };
  return table;
}

}  // namespace googlenet::cpu
