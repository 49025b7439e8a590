// One instruction set's table of the loops over tiles: tiles_avx512_bf16(), tiles_avx2_bf16(), ...
#include "cpu/simd/tile-functions.h"

namespace googlenet::cpu {

const TileKernels& GOOGLENET_JOIN(tiles_, GOOGLENET_SIMD)() {
  using namespace GOOGLENET_SIMD;
  static const TileKernels table = {
      .name = kTileProducts,
      .byte_parts = kFactors,
      .bf16_parts = kBf16Parts,
      .rows_at_once = kBf16Parts == 2 ? kTileRows : kProductRows,
      .pack = tile_pack,
      .pack_bytes = tile_pack_bytes,
      .pack_planar = tile_pack_planar,
      .product = tile_product,
      .weights = tile_weights,
      .weights_bytes = tile_weights_bytes,
      .weights_planar = tile_weights_planar,
  };
  return table;
}

}  // namespace googlenet::cpu
