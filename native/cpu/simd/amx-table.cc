// One instruction set's table of AMX's loops: amx_avx512_bf16() or amx_avx512_vnni().
#include "cpu/simd/amx-functions.h"

namespace googlenet::cpu {

const AmxKernels& GOOGLENET_JOIN(amx_, GOOGLENET_SIMD)() {
  using namespace GOOGLENET_SIMD;
  static const AmxKernels table = {
      kProducts,   amx_pack,    amx_pack_bytes,    amx_pack_planar,
      amx_product, amx_weights, amx_weights_bytes, amx_weights_planar,
  };
  return table;
}

}  // namespace googlenet::cpu
