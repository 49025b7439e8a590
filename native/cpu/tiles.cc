// Which loops multiply tiles, and for what steps: see tiles.h.
#include "cpu/tiles.h"

#include "cpu/simd/tile-kernels.h"

namespace googlenet::cpu {

const TileKernels* tile_kernels(gn_precision precision) {
  const bool int8 = precision == GN_PRECISION_INT8;
#if defined(__x86_64__)
  if (has_amx() && (int8 || precision == GN_PRECISION_BF16)) return &tiles_avx512_bf16();
#endif
  if (!int8) return nullptr;
#if defined(__x86_64__)
  if (has_vnni()) return &tiles_avx512_vnni();
  if (has_avx_vnni()) return &tiles_avx2_vnni();
  if (effective_isa() != Isa::portable) return &tiles_avx2_bf16();
#endif
  return &tiles_portable_bf16();
}

Kernel make_tiles(gn_device& device, const gn_step& step) {
  if (!device.tiles) return nullptr;
  if (step.op == GN_LINEAR) return make_tiles_linear(device, step);
  if (step.direction != GN_BACKWARD_WEIGHTS) return make_tiles_data(device, step);
#if defined(__x86_64__)
  if (device.tiles == &tiles_avx512_bf16()) return make_amx_gradient(device, step);
#endif
  return nullptr;
}

}  // namespace googlenet::cpu
