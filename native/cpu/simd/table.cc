// One instruction set's table: kernels_avx512(), kernels_avx2() or kernels_portable().
#include "cpu/simd/functions.h"

#define GOOGLENET_TEXT_(name) #name
#define GOOGLENET_TEXT(name) GOOGLENET_TEXT_(name)

namespace googlenet::cpu {

const Kernels& GOOGLENET_JOIN(kernels_, GOOGLENET_SIMD)() {
  using namespace GOOGLENET_SIMD;
  static const Kernels table = {
      "own:" GOOGLENET_TEXT(GOOGLENET_SIMD),
      B,
      max_forward,
      max_forward_index,
      average_forward,
      max_backward,
      average_backward,
      lrn_scratch,
      lrn_across_forward,
      lrn_across_backward,
      lrn_within_forward,
      lrn_within_backward,
      combine,
      update,
      scale_add,
      square_sum,
      kChunkVectors * B,
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
