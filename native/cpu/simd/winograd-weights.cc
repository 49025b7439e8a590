// Winograd's transform of weights, U = G g G', a vector of output channels at a time.
#include "cpu/simd/winograd.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** `at` points to a window's first tap in the first lane; lanes are `lane` floats apart; u: points `point` floats apart. */
template <int taps>
void transform(const float* at, int64_t lane, bool rotate, float* u, int64_t point) {
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
        transform<3>(at, lane, backward, to, int64_t(inputs) * width);
      else
        transform<5>(at, lane, backward, to, int64_t(inputs) * width);
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
