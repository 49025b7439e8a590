// AMX as the loops use it: eight tiles of up to 16 rows of 64 bytes, of which multiply() forms c += a b:
//   a  rows x 32 bf16: a row is a pixel, say, with 32 channels
//   b  16 rows x 16 columns of pairs [2] of bf16: row k holds the factors of a's columns 2k and 2k + 1
//   c  rows x 16 f32
// Denormals count as 0 and sums round to nearest even, whatever MXCSR says. The assembler's own words, because GCC 12's
// intrinsics do not tell the compiler that a tile load reads memory.
#pragma once
#include "cpu/simd/tile-kernels.h"
#include "cpu/simd/vector.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

/** What the tiles of this thread hold: the operand of ldtilecfg. */
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
GOOGLENET_INLINE void set_tile(TileConfig& config, int tile, int rows, int row_bytes = kTileRowBytes) {
  config.rows[tile] = uint8_t(rows), config.row_bytes[tile] = uint16_t(row_bytes);
}

// Seven other instructions follow each of AMX's. Where a second hyperthread keeps the core busy (often another
// tenant's), AMX instructions that are decoded side by side wait for each other: four loads and four products took 108
// ns so, 76 with these between them; without such a neighbour 28 either way.
#define GOOGLENET_APART "\nnop\nnop\nnop\nnop\nnop\nnop\nnop"

/** Every tile is 0 afterwards. Before a thread leaves the loops it calls release_tiles(): then the system need not keep
 *  8 KiB for it. */
GOOGLENET_INLINE void configure_tiles(const TileConfig& config) {
  __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
}
GOOGLENET_INLINE void release_tiles() { __asm__ volatile("tilerelease"); }

template <int tile>
GOOGLENET_INLINE void clear_tile() {
  __asm__ volatile("tilezero %%tmm%c0" GOOGLENET_APART ::"i"(tile));
}
/** Rows `stride` bytes apart. */
template <int tile>
GOOGLENET_INLINE void load_tile(const void* rows, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" GOOGLENET_APART ::"r"(rows), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
GOOGLENET_INLINE void store_tile(void* rows, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" GOOGLENET_APART ::"r"(rows), "r"(stride), "i"(tile) : "memory");
}
template <int c, int a, int b>
GOOGLENET_INLINE void multiply_tiles() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" GOOGLENET_APART ::"i"(c), "i"(a), "i"(b));
}
/** a: rows x 64 u8, b: rows of 16 columns of [4] s8, c: s32. */
template <int c, int a, int b>
GOOGLENET_INLINE void multiply_byte_tiles() {
  __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" GOOGLENET_APART ::"i"(c), "i"(a), "i"(b));
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
