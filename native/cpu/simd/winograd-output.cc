// Winograd's products M[point] = V[point] U[point] for one chunk of outputs after the other, and their transform A' M A
// with bias and ReLU straight into the destination's slice.
#include "cpu/simd/winograd.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** m[rows][vectors] = v[rows][depth] u[depth][vectors], all of it in registers; rows of v are `depth` floats apart.
 *  Meanwhile lines of the second-level cache are fetched, from `ahead` on, `step` floats apart. */
template <int rows, int vectors>
void product(const float* v, const float* u, float* m, int depth, const float* ahead, int64_t step) {
  Vec sum[rows][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) sum[i][j] = zero();
  for (int k = 0; k < depth; k++, u += vectors * B, ahead += step) {
    __builtin_prefetch(ahead, 0, 2);
    Vec weights[vectors];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) weights[j] = load(u + j * B);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      const Vec input = all(v[int64_t(i) * depth + k]);
#pragma GCC unroll 4
      for (int j = 0; j < vectors; j++) sum[i][j] = fma(input, weights[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) store(m + (i * vectors + j) * B, sum[i][j]);
}

using Product = void (*)(const float*, const float*, float*, int, const float*, int64_t);

template <int vectors, int rows = kProductRows>
GOOGLENET_INLINE Product product_of(int wanted) {
  if constexpr (rows == 1)
    return product<1, vectors>;
  else
    return wanted == rows ? product<rows, vectors> : product_of<vectors, rows - 1>(wanted);
}

/** Panels of equal height, at most kProductRows. The first two fetch the `following` weights (a single one every second
 *  line, whose neighbour comes along): streaming them costs as much as multiplying, and so is done at the same time. */
template <int vectors>
void products(const float* v, const float* u, float* m, int rows, int depth, const float* following) {
  const int panels = (rows + kProductRows - 1) / kProductRows;
  const int64_t step = panels == 1 ? vectors * B : vectors * B / 2;
  for (int i = 0, row = 0; i < panels; i++) {
    const int next = rows * (i + 1) / panels;
    product_of<vectors>(next - row)(v + int64_t(row) * depth, u, m + int64_t(row) * vectors * B, depth,
                                    i < 2 ? following + i * depth * step : u, i < 2 ? step : 0);
    row = next;
  }
}

/** Vertical: m at one offset a point to temp [output][column of points]. */
template <int taps, int outputs>
void up(const float* m, const int64_t* offsets, int columns, float* temp) {
  constexpr int size = outputs + taps - 1;
  for (int x = 0; x < columns; x++) {
    Vec in[size], out[outputs];
#pragma GCC unroll 8
    for (int p = 0; p < size; p++) in[p] = load(m + offsets[p * columns + x]);
    collect<Side::outputs, taps, outputs>(in, out);
#pragma GCC unroll 8
    for (int k = 0; k < outputs; k++) store(temp + (k * columns + x) * B, out[k]);
  }
}

/** Horizontal: temp [output][column of points] to dst, rows `row` floats apart. */
template <int taps, int outputs>
void along(const float* temp, int rows, Vec bias, bool relu, float* dst, int64_t row) {
  constexpr int size = outputs + taps - 1;
  for (int y = 0; y < rows; y++, temp += size * B, dst += row) {
    Vec in[size], out[outputs];
#pragma GCC unroll 8
    for (int p = 0; p < size; p++) in[p] = load(temp + p * B);
    collect<Side::outputs, taps, outputs>(in, out);
#pragma GCC unroll 8
    for (int k = 0; k < outputs; k++) {
      const Vec value = add(out[k], bias);
      store(dst + k * B, relu ? max(zero(), value) : value);  // a NaN stays one
    }
  }
}

using Up = void (*)(const float*, const int64_t*, int, float*);
using Along = void (*)(const float*, int, Vec, bool, float*, int64_t);
// By taps / 2 - 1 and outputs.
constexpr Up kUp[2][5] = {{nullptr, up<3, 1>, up<3, 2>, up<3, 3>, up<3, 4>},
                          {nullptr, up<5, 1>, up<5, 2>, up<5, 3>, up<5, 4>}};
constexpr Along kAlong[2][5] = {{nullptr, along<3, 1>, along<3, 2>, along<3, 3>, along<3, 4>},
                                {nullptr, along<5, 1>, along<5, 2>, along<5, 3>, along<5, 4>}};

/** One chunk's outputs of all tiles; `channel` is its first. */
void write_chunk(const WinogradShape& s, const WinogradBlock& block, const float* m, int channel, int vectors,
                 const float* bias, float* dst) {
  alignas(64) float temp[kWinogradTile * kWinogradMaxPoints * B];
  const int family = s.taps / 2 - 1, width = vectors * B;
  const int64_t row = int64_t(s.out_w) * B, plane = s.out_h * row;
  for (int c = 0; c < 4; c++) {
    if (block.first[c] == block.first[c + 1]) continue;
    const int out_h = s.tile_h[c / 2], out_w = s.tile_w[c % 2];
    const Up vertical = kUp[family][out_h];
    const Along horizontal = kAlong[family][out_w];
    int64_t offsets[kWinogradMaxPoints * kWinogradMaxPoints];
    point_offsets(s, block, c, s.m_point, width, offsets);
    for (int t = block.first[c]; t < block.first[c + 1]; t++) {
      const WinogradTile& tile = block.tiles[t];
      float* to = dst + tile.image * s.dst_image + channel / B * plane + tile.y * row + int64_t(tile.x) * B;
      for (int j = 0; j < vectors; j++) {
        vertical(m + int64_t(t) * width + j * B, offsets, out_w + s.taps - 1, temp);
        horizontal(temp, out_h, bias ? load(bias + channel + j * B) : zero(), s.relu, to + j * plane, row);
      }
    }
  }
}

}  // namespace

void winograd_output(const WinogradShape& s, const WinogradBlock& block, const float* v, const float* u,
                     const float* bias, float* dst, float* m, int first, int last) {
  const int points = points_of(s.taps).count * points_of(s.taps).count, chunk = kChunkVectors * B;
  for (int c = first; c < last; c++) {
    const int channel = c * chunk, vectors = smaller(kChunkVectors, (s.outputs - channel) / B);
    const float* weights = u + int64_t(channel) * points * s.inputs;
    for (int p = 0; p < points; p++, weights += int64_t(s.inputs) * vectors * B) {
      if (vectors == kChunkVectors)
        products<kChunkVectors>(v + p * s.v_point, weights, m + p * s.m_point, block.rows[p], s.inputs,
                                weights + int64_t(s.inputs) * vectors * B);
      else
        products<1>(v + p * s.v_point, weights, m + p * s.m_point, block.rows[p], s.inputs,
                    weights + int64_t(s.inputs) * vectors * B);
    }
    write_chunk(s, block, m, channel, vectors, bias, dst);
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
