// The functions behind TileKernels, each in the file of its name.
#pragma once
#include "cpu/simd/tile-kernels.h"
#include "cpu/simd/vector.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

/** Blocks of bf16 of a step: see TileKernels. */
#ifdef __AMX_BF16__
constexpr int kBf16Parts = 2;
#else
constexpr int kBf16Parts = 1;
#endif

// tile-pack.cc
void tile_pack(const TilePart<uint16_t> parts[], int64_t count, void* packed);
void tile_pack_bytes(const TilePart<uint8_t> parts[], int64_t count, void* packed);
void tile_pack_planar(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns, void* packed);
// tile-products.cc, or by AMX amx-products.cc
extern const char* const kTileProducts;
void tile_product(const TileProduct&, const Tile* tiles, int count, const void* packed, const void* weights,
                  const float* scale, const float* bias, void* dst, int first, int last);
// tile-weights.cc
void tile_weights(const TileFilter&, const TileFactor* factors, int output, int blocks, void* packed);
void tile_weights_bytes(const TileFilter&, const TileFactor* factors, const float* inputs, const float* outputs,
                        int output, int blocks, void* packed);
void tile_weights_planar(const TileFilter&, int channels, int output, int blocks, void* packed);

}  // namespace googlenet::cpu::GOOGLENET_SIMD
