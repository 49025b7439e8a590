// One instruction set's table over its elements: activations_avx512_bf16(), activations_avx512(), ...
#include "cpu/simd/functions.h"

namespace googlenet::cpu {

const ActivationKernels<GOOGLENET_SIMD::Element>& GOOGLENET_JOIN(activations_, GOOGLENET_SIMD)() {
  using namespace GOOGLENET_SIMD;
  static const ActivationKernels<Element> table = {
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
      narrow,
  };
  return table;
}

}  // namespace googlenet::cpu
