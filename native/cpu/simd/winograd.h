// Winograd's minimal filtering along one axis, with matrices that follow from the points alone. By Toom and Cook,
// transposed: outputs = A' [(G taps) . (B' inputs)] where, row by row,
//   B'[p] = the Lagrange polynomial of point p over its scale; of infinity: prod (x - a_q)
//   G[p]  = scale of p * (1, a_p, a_p^2, ...); of infinity: (0, ..., 0, 1)
//   A[p]  = (1, a_p, a_p^2, ...); of infinity: (0, ..., 0, 1)
// The scale makes B' of the full tile monic and is the same for all tiles of a window, as they share G. Points come in
// pairs +-a, whose rows differ in the signs of the odd columns: what a pair has in common is computed once. Two
// dimensions are one axis after the other.
#pragma once
#include "cpu/simd/functions.h"
#include "cpu/simd/winograd-points.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

enum class Side { inputs, outputs, taps };  // B', A, G

struct Matrix {
  int rows, columns;
  float at[kWinogradMaxPoints][kWinogradMaxPoints];
  bool pair[kWinogradMaxPoints];  // row + 1 is this row with its odd columns negated
};

constexpr const WinogradPoints& points_of(int taps) { return taps == 3 ? kWinograd3 : kWinograd5; }

/** Coefficients of prod (x - a_q) over the used finite points but `without`; returns the degree. */
constexpr int polynomial(const WinogradPoints& points, unsigned used, int without, double* c) {
  int degree = 0;
  for (int k = 0; k < kWinogradMaxPoints; k++) c[k] = k == 0;
  for (int q = 0; q + 1 < points.count; q++) {
    if (q == without || !(used >> q & 1)) continue;
    degree++;
    for (int k = degree; k > 0; k--) c[k] = c[k - 1] - points.at[q] * c[k];
    c[0] *= -points.at[q];
  }
  return degree;
}

constexpr double value_at(const double* c, int degree, double x) {
  double sum = c[degree];
  for (int k = degree; k > 0; k--) sum = sum * x + c[k - 1];
  return sum;
}

constexpr double scale_of(const WinogradPoints& points, int p) {
  if (p + 1 == points.count) return 1;
  double c[kWinogradMaxPoints] = {};
  const int degree = polynomial(points, (1u << points.count) - 1, p, c);
  return 1 / value_at(c, degree, points.at[p]);
}

/** Rows in the order of the tile's points; no entry of a true matrix is below 1e-3, so less is a rounding error. */
constexpr Matrix matrix_of(Side side, int taps, int outputs) {
  const WinogradPoints& points = points_of(taps);
  const unsigned used = points.used[outputs];
  Matrix m = {};
  m.columns = side == Side::inputs ? outputs + taps - 1 : side == Side::outputs ? outputs : taps;
  for (int p = 0; p < points.count; p++) {
    if (!(used >> p & 1)) continue;
    const bool infinite = p + 1 == points.count;
    double row[kWinogradMaxPoints] = {};
    if (side == Side::inputs) {
      const int degree = polynomial(points, used, p, row);
      const double over = infinite ? 1 : value_at(row, degree, points.at[p]) * scale_of(points, p);
      for (int k = 0; k <= degree; k++) row[k] /= over;
    } else if (infinite) {
      row[m.columns - 1] = 1;
    } else {
      row[0] = side == Side::taps ? scale_of(points, p) : 1;
      for (int k = 1; k < m.columns; k++) row[k] = row[k - 1] * points.at[p];
    }
    for (int k = 0; k < m.columns; k++) m.at[m.rows][k] = row[k] > 1e-9 || row[k] < -1e-9 ? float(row[k]) : 0;
    m.pair[m.rows] = !infinite && p % 2 == 1;
    m.rows++;
  }
  return m;
}

template <Side side, int taps, int outputs>
constexpr Matrix kMatrix = matrix_of(side, taps, outputs);

/** sum += c * x, in as few instructions as c allows; `begun` false: there is no sum yet. */
GOOGLENET_INLINE void add_term(float c, Vec x, Vec& sum, bool& begun) {
  if (c == 0) return;
  if (!begun)
    sum = c == 1 ? x : mul(all(c), x);
  else
    sum = c == 1 ? add(sum, x) : c == -1 ? sub(sum, x) : fma(all(c), x, sum);
  begun = true;
}

/** dst[rows] = matrix * src[columns]. */
template <Side side, int taps, int outputs>
GOOGLENET_INLINE void expand(const Vec* src, Vec* dst) {
  constexpr const Matrix& m = kMatrix<side, taps, outputs>;
#pragma GCC unroll 8
  for (int p = 0; p < m.rows; p++) {
    if (p > 0 && m.pair[p - 1]) continue;
    Vec even = zero(), odd = zero();
    bool even_begun = false, odd_begun = false;
#pragma GCC unroll 8
    for (int k = 0; k < m.columns; k += 2) add_term(m.at[p][k], src[k], even, even_begun);
#pragma GCC unroll 8
    for (int k = 1; k < m.columns; k += 2) add_term(m.at[p][k], src[k], odd, odd_begun);
    dst[p] = !odd_begun ? even : !even_begun ? odd : add(even, odd);
    if (m.pair[p]) dst[p + 1] = !odd_begun ? even : sub(even, odd);
  }
}

/** dst[columns] = transposed matrix * src[rows]. */
template <Side side, int taps, int outputs>
GOOGLENET_INLINE void collect(const Vec* src, Vec* dst) {
  constexpr const Matrix& m = kMatrix<side, taps, outputs>;
  Vec even[kWinogradMaxPoints], odd[kWinogradMaxPoints];  // by point: what the even and odd columns see of it
#pragma GCC unroll 8
  for (int p = 0; p < m.rows; p++) {
    if (p > 0 && m.pair[p - 1]) continue;
    even[p] = m.pair[p] ? add(src[p], src[p + 1]) : src[p];
    odd[p] = m.pair[p] ? sub(src[p], src[p + 1]) : src[p];
  }
#pragma GCC unroll 8
  for (int k = 0; k < m.columns; k++) {
    bool begun = false;
    Vec sum = zero();
#pragma GCC unroll 8
    for (int p = 0; p < m.rows; p++)
      if (p == 0 || !m.pair[p - 1]) add_term(m.at[p][k], k % 2 ? odd[p] : even[p], sum, begun);
    dst[k] = sum;
  }
}

/** Where tile 0 of a class has its points, in the order of its matrix rows: `point` floats from point to point, rows of
 *  `row` floats. */
GOOGLENET_INLINE void point_offsets(const WinogradShape& s, const WinogradBlock& block, int c, int64_t point,
                                    int64_t row, int64_t* offsets) {
  const WinogradPoints& points = points_of(s.taps);
  const unsigned used_y = points.used[s.tile_h[c / 2]], used_x = points.used[s.tile_w[c % 2]];
  for (int y = 0; y < points.count; y++)
    for (int x = 0; x < points.count; x++) {
      const int p = y * points.count + x;
      if (used_y >> y & used_x >> x & 1) *offsets++ = p * point - block.skip[c][p] * row;
    }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
