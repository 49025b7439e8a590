// One instruction set's table of the loops over tiles: tiles_avx512_bf16(), tiles_avx2_bf16(), ...
#include "cpu/simd/tile-functions.h"

namespace googlenet::cpu {

const TileKernels& GOOGLENET_JOIN(tiles_, GOOGLENET_SIMD)() {
  using namespace GOOGLENET_SIMD;
  static const TileKernels table = {
      kTileProducts,    kFactors,     kBf16Parts,   tile_pack,          tile_pack_bytes,
      tile_pack_planar, tile_product, tile_weights, tile_weights_bytes, tile_weights_planar,
  };
  return table;
}

}  // namespace googlenet::cpu
