// Weights of convolutions in the order of tiles (tile-kernels.h): [step][block][16 words][16 outputs], a word being two
// bf16 or one f32, or as many bytes as dot products take.
#include "cpu/simd/tile-functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

GOOGLENET_INLINE int64_t tap_of(const TileFilter& f, int row, int column) {
  return f.rotated ? int64_t(f.h - 1 - row) * f.w + f.w - 1 - column : int64_t(row) * f.w + column;
}

/** The weight of a part's first input for the first output of a block. */
GOOGLENET_INLINE const float* first_of(const TileFilter& f, const TileFactor& factor, int output) {
  return f.weights + output * f.output_stride + factor.input * f.input_stride + tap_of(f, factor.row, factor.column);
}

/** One word of 16 outputs, rounded to bf16: factor(0) and factor(1) side by side, or factor(0) as f32. */
template <class Factor>
GOOGLENET_INLINE void store_word(char* to, const Factor& factor) {
#ifdef __AMX_BF16__
  const __m512i low = _mm512_cvtepu16_epi32(narrowed(factor(0))), high = _mm512_cvtepu16_epi32(narrowed(factor(1)));
  store_ints(to, either(low, shift_left(high, 16)));
#else
  Bf16 rounded[B];
  store(rounded, factor(0));
  store(reinterpret_cast<float*>(to), load(rounded));
#endif
}

}  // namespace

void tile_weights(const TileFilter& f, const TileFactor* factors, int output, int blocks, void* packed) {
  char* to = static_cast<char*>(packed);
  for (int s = 0; s < f.steps; s++)
    for (int b = 0; b < blocks; b++)
      for (int part = 0; part < kBf16Parts; part++) {
        const TileFactor& factor = factors[kBf16Parts * s + part];
        const float* from = first_of(f, factor, output + b * B);
        for (int k = 0; k < 16; k += kBf16Parts, to += kTileRowBytes)
          store_word(to, [&](int i) {
            return factor.input < 0 ? zero() : gather(from + (k + i) * f.input_stride, f.output_stride);
          });
      }
}

void tile_weights_bytes(const TileFilter& f, const TileFactor* factors, const float* inputs, const float* outputs,
                        int output, int blocks, void* packed) {
  constexpr int kBits = 32 / kFactors;
  char* to = static_cast<char*>(packed);
  for (int s = 0; s < f.steps; s++)
    for (int b = 0; b < blocks; b++) {
      const Vec scale = divide(all(1), load(outputs + output + b * B));
      for (int q = 0; q < kFactors; q++) {
        const TileFactor& factor = factors[kFactors * s + q];
        const float* from = first_of(f, factor, output + b * B);
        for (int k = 0; k < 16; k += kFactors, to += kTileRowBytes) {
          Ints row = all_ints(0);
          for (int i = 0; i < kFactors && factor.input >= 0; i++) {
            const Vec weight = gather(from + (k + i) * f.input_stride, f.output_stride);
            const Ints value = to_ints(mul(mul(weight, all(inputs[factor.input + k + i])), scale));
            row = either(row, shift_left(both(value, all_ints((1 << kBits) - 1)), kBits * i));
          }
          store_ints(to, row);
        }
      }
    }
}

void tile_weights_planar(const TileFilter& f, int channels, int output, int blocks, void* packed) {
  const int deep = kBf16Parts == 2 ? 4 : channels;  // of a pixel
  char* to = static_cast<char*>(packed);
  for (int row = 0; row < f.steps; row++)
    for (int b = 0; b < blocks; b++) {
      const float* from = f.weights + (output + b * B) * f.output_stride + int64_t(row) * f.w;
      for (int k = 0; k < 4 * kPlanarColumns; k += kBf16Parts, to += kTileRowBytes)
        store_word(to, [&](int i) {
          const int column = (k + i) / deep, channel = (k + i) % deep;
          if (column >= f.w || channel >= channels) return zero();
          return gather(from + channel * f.input_stride + column, f.output_stride);
        });
    }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
