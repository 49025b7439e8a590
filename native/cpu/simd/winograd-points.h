// Where Winograd's convolution evaluates its polynomials. Along one axis a tile of M outputs of a window of R taps needs
// M + R - 1 points. The smaller tile at a plane's end uses some of a full tile's points, so that one set of transformed
// weights serves both. Plain data, like kernels.h.
#pragma once
#include <cstdint>

namespace googlenet::cpu {

constexpr int kWinogradTile = 4;       // outputs of a full tile along one axis
constexpr int kWinogradMaxPoints = 8;  // along one axis, of any window

struct WinogradPoints {
  int taps, count;
  double at[kWinogradMaxPoints];    // 0, then pairs of a number and its negative, last infinity (given as 0)
  uint8_t used[kWinogradTile + 1];  // used[M]: the points of a tile of M outputs, one bit each
};

// Chosen by the error of sums over 64 channels against f64: of F(4) half that of 0, +-1, +-2 (3 taps), and of the smaller
// tiles the best subset (decision 0010).
constexpr WinogradPoints kWinograd3 = {
    3,
    6,
    {0, 0.70710678118654752, -0.70710678118654752, 1.41421356237309505, -1.41421356237309505, 0},
    {0, 0b100110, 0b100111, 0b011111, 0b111111}};
constexpr WinogradPoints kWinograd5 = {
    5, 8, {0, 1, -1, 2, -2, 0.5, -0.5, 0}, {0, 0b00011111, 0b11111001, 0b01111111, 0b11111111}};

}  // namespace googlenet::cpu
