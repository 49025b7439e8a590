// Winograd's transform of weights, U = G g G', and back of their gradient, G' dU G, a vector of output channels at a
// time.
#include "cpu/simd/winograd.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** `at` points to a window's first tap in the first lane, lanes `lane` floats apart; in u points are `point` floats apart. */
template <int taps>
void to_points(const float* at, int64_t lane, bool rotate, float* u, int64_t point) {
  constexpr int size = kWinogradTile + taps - 1;
  Vec half[taps][size];  // by column of taps: transformed down
  for (int x = 0; x < taps; x++) {
    Vec in[taps];
    for (int y = 0; y < taps; y++) {
      const int tap = rotate ? (taps - 1 - y) * taps + taps - 1 - x : y * taps + x;
      float lanes[B];
      for (int i = 0; i < B; i++) lanes[i] = at[i * lane + tap];
      in[y] = load(lanes);
    }
    expand<Side::taps, taps, kWinogradTile>(in, half[x]);
  }
  for (int p = 0; p < size; p++) {
    Vec in[taps], out[size];
    for (int x = 0; x < taps; x++) in[x] = half[x][p];
    expand<Side::taps, taps, kWinogradTile>(in, out);
    for (int q = 0; q < size; q++) store(u + (p * size + q) * point, out[q]);
  }
}

template <int taps>
void from_points(const float* u, int64_t point, float* at, int64_t lane) {
  constexpr int size = kWinogradTile + taps - 1;
  Vec half[size][taps];  // by column of points: transformed up
  for (int q = 0; q < size; q++) {
    Vec in[size];
    for (int p = 0; p < size; p++) in[p] = load(u + (p * size + q) * point);
    collect<Side::taps, taps, kWinogradTile>(in, half[q]);
  }
  for (int y = 0; y < taps; y++) {
    Vec in[size], out[taps];
    for (int q = 0; q < size; q++) in[q] = half[q][y];
    collect<Side::taps, taps, kWinogradTile>(in, out);
    for (int x = 0; x < taps; x++) {
      float lanes[B];
      store(lanes, out[x]);
      for (int i = 0; i < B; i++) at[i * lane + y * taps + x] = lanes[i];
    }
  }
}

}  // namespace

void winograd_weights(int taps, int inputs, int outputs, bool backward, const float* weights, float* u, int64_t first,
                      int64_t last) {
  const int points = points_of(taps).count * points_of(taps).count, chunk = kChunkVectors * B, window = taps * taps;
  for (int64_t i = first; i < last; i++) {
    const int channel = int(i / inputs) * chunk, input = int(i % inputs);
    const int width = smaller(chunk, outputs - channel);
    for (int j = 0; j < width; j += B) {
      const int64_t output = channel + j;
      const float* at = weights + (backward ? int64_t(input) * outputs + output : output * inputs + input) * window;
      const int64_t lane = backward ? window : int64_t(inputs) * window;
      float* to = u + int64_t(channel) * points * inputs + int64_t(input) * width + j;
      if (taps == 3)
        to_points<3>(at, lane, backward, to, int64_t(inputs) * width);
      else
        to_points<5>(at, lane, backward, to, int64_t(inputs) * width);
    }
  }
}

void winograd_diff_weights(int taps, int inputs, int outputs, const float* du, float* gradient, int64_t first,
                           int64_t last) {
  const int64_t point = int64_t(inputs) * outputs;
  for (int64_t i = first; i < last; i++) {
    const int64_t output = i / inputs * B, input = i % inputs;
    float* at = gradient + (output * inputs + input) * taps * taps;
    if (taps == 3)
      from_points<3>(du + input * outputs + output, point, at, int64_t(inputs) * 9);
    else
      from_points<5>(du + input * outputs + output, point, at, int64_t(inputs) * 25);
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
