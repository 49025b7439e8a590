// Weights of AMX convolutions in the order of tiles (amx-kernels.h), rounded to bf16: [step][block][16 pairs of
// factors][16 outputs][2].
#include "cpu/simd/amx-functions.h"
#include "cpu/simd/amx.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Two factors of 16 outputs each become a row of pairs. */
GOOGLENET_INLINE void store_pairs(uint16_t* row, Vec even, Vec odd) {
  const __m512i low = _mm512_cvtepu16_epi32(narrowed(even));
  const __m512i high = _mm512_cvtepu16_epi32(narrowed(odd));
  _mm512_store_si512(row, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

GOOGLENET_INLINE __m512i sixteen(int64_t stride) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_mullo_epi32(lanes, _mm512_set1_epi32(int(stride)));
}

GOOGLENET_INLINE int64_t tap_of(const AmxFilter& f, int row, int column) {
  return f.rotated ? int64_t(f.h - 1 - row) * f.w + f.w - 1 - column : int64_t(row) * f.w + column;
}

}  // namespace

void amx_weights(const AmxFilter& f, const AmxFactor* factors, int output, int blocks, uint16_t* packed) {
  const __m512i outputs = sixteen(f.output_stride);
  for (int s = 0; s < f.steps; s++) {
    for (int b = 0; b < blocks; b++) {
      for (int half = 0; half < 2; half++) {
        const AmxFactor& factor = factors[2 * s + half];
        const float* from = f.weights + (output + b * B) * f.output_stride + factor.input * f.input_stride +
                            tap_of(f, factor.row, factor.column);
        for (int k = 0; k < 8; k++, packed += kTileDepth, from += 2 * f.input_stride) {
          if (factor.input < 0)
            _mm512_store_si512(packed, _mm512_setzero_si512());
          else
            store_pairs(packed, _mm512_i32gather_ps(outputs, from, 4),
                        _mm512_i32gather_ps(outputs, from + f.input_stride, 4));
        }
      }
    }
  }
}

void amx_weights_bytes(const AmxFilter& f, const AmxFactor* factors, const float* inputs, const float* outputs,
                       int output, int blocks, int8_t* packed) {
  const __m512i lanes = sixteen(f.output_stride);
  for (int s = 0; s < f.steps; s++)
    for (int b = 0; b < blocks; b++) {
      const Vec scale = divide(all(1), load(outputs + output + b * B));
      for (int q = 0; q < 4; q++) {
        const AmxFactor& factor = factors[4 * s + q];
        const float* from = f.weights + (output + b * B) * f.output_stride + factor.input * f.input_stride +
                            tap_of(f, factor.row, factor.column);
        for (int k = 0; k < 16; k += 4, packed += kTileRowBytes) {
          __m512i row = _mm512_setzero_si512();  // of 16 outputs: four factors each
          for (int i = 0; i < 4 && factor.input >= 0; i++) {
            const Vec weight = _mm512_i32gather_ps(lanes, from + (k + i) * f.input_stride, 4);
            const Vec value = mul(mul(weight, all(inputs[factor.input + k + i])), scale);
            const __m512i byte = _mm512_and_si512(_mm512_cvtps_epi32(value), _mm512_set1_epi32(255));
            row = _mm512_or_si512(row, _mm512_sllv_epi32(byte, _mm512_set1_epi32(8 * i)));
          }
          _mm512_store_si512(packed, row);
        }
      }
    }
}

void amx_weights_planar(const AmxFilter& f, int channels, int output, int blocks, uint16_t* packed) {
  const __m512i outputs = sixteen(f.output_stride);
  for (int row = 0; row < f.steps; row++) {
    for (int b = 0; b < blocks; b++) {
      const float* from = f.weights + (output + b * B) * f.output_stride + int64_t(row) * f.w;
      const auto factor = [&](int i) {  // column i / 4, channel i % 4
        if (i / 4 >= f.w || i % 4 >= channels) return zero();
        return _mm512_i32gather_ps(outputs, from + i % 4 * f.input_stride + i / 4, 4);
      };
      for (int k = 0; k < kTileDepth; k += 2, packed += kTileDepth) store_pairs(packed, factor(k), factor(k + 1));
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
