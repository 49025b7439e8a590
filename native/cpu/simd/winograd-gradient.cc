// Winograd's backward weights: dU[point] = sum over tiles of V[point]' Z[point], for a chunk of outputs after the other so
// that its columns of Z stay in the first-level cache.
#include "cpu/simd/winograd.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Floats from row to row. */
struct Strides {
  int64_t v, z, du;
};

/** du[rows][vectors] += v[depth][rows]' z[depth][vectors], all of it in registers. Meanwhile what comes after is fetched: the
 *  next rows' columns of v, and their du, `ahead`. */
template <int rows, int vectors>
void product(const float* v, const float* z, float* du, const Strides& strides, int depth, bool begin,
             const float* ahead) {
  Vec sum[rows][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) sum[i][j] = begin ? zero() : load(du + i * strides.du + j * B);
  for (int k = 0; k < depth; k++, v += strides.v, z += strides.z) {
    __builtin_prefetch(v + kProductRows + kProductRows / 2);
    if (k < rows) {
      __builtin_prefetch(ahead + k * strides.du, 1);
      if (vectors == 2) __builtin_prefetch(ahead + k * strides.du + B, 1);
    }
    Vec outputs[vectors];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) outputs[j] = load(z + j * B);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      const Vec input = all(v[i]);
#pragma GCC unroll 4
      for (int j = 0; j < vectors; j++) sum[i][j] = fma(input, outputs[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) store(du + i * strides.du + j * B, sum[i][j]);
}

using Product = void (*)(const float*, const float*, float*, const Strides&, int, bool, const float*);

template <int vectors, int rows = kProductRows>
GOOGLENET_INLINE Product product_of(int wanted) {
  if constexpr (rows == 1)
    return product<1, vectors>;
  else
    return wanted == rows ? product<rows, vectors> : product_of<vectors, rows - 1>(wanted);
}

}  // namespace

void winograd_gradient(const WinogradShape& s, const WinogradBlock& block, int point, const float* v, const float* z,
                       float* du, bool begin, int first, int last) {
  const Strides strides = {s.inputs, s.outputs, s.outputs};
  const int panels = (s.inputs + kProductRows - 1) / kProductRows;
  v += point * s.v_point, z += point * s.m_point, du += int64_t(point) * s.inputs * s.outputs;
  for (int channel = first * kChunkVectors * B; channel < last * kChunkVectors * B && channel < s.outputs;
       channel += kChunkVectors * B) {
    const bool whole = channel + kChunkVectors * B <= s.outputs;
    for (int i = 0, row = 0; i < panels; i++) {
      const int next = s.inputs * (i + 1) / panels;
      const Product run = whole ? product_of<kChunkVectors>(next - row) : product_of<1>(next - row);
      run(v + row, z + channel, du + int64_t(row) * s.outputs + channel, strides, block.rows[point], begin,
          du + (i + 1 < panels ? int64_t(next) * s.outputs + channel : channel + kChunkVectors * B));
      row = next;
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
