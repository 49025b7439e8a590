// The random numbers of one sample: Philox keyed by the seed, counted by (epoch, sample index, draw, stream), so that
// they depend on neither threads nor batches nor workers.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

#include "core/rng.h"
#include "image/augment.h"

namespace googlenet {

// The last counter word: what the numbers are for.
enum class Stream : uint32_t { PLACEMENT = 0x1000, COLOUR = 0x1001 };

/** Numbers of one sample, drawn in a fixed order. */
class Draws {
 public:
  Draws(const SampleKey& key, Stream stream) : philox_(key.seed), key_(key), stream_(stream) {}
  uint32_t word() {
    if (at_ == 4) {
      words_ = philox_(key_.epoch, key_.index, draw_++, uint32_t(stream_));
      at_ = 0;
    }
    return words_[at_++];
  }
  double uniform() { return double(word()) * (1.0 / 4294967296.0); }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /** Whole, in [0, last]. */
  int integer(int last) { return int((uint64_t(word()) * (uint64_t(last) + 1)) >> 32); }
  /** Standard normal (Box-Muller). */
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform())), angle = 6.283185307179586 * uniform();
    return radius * std::cos(angle);
  }

 private:
  Philox philox_;
  SampleKey key_;
  Stream stream_;
  uint32_t draw_ = 0;
  std::array<uint32_t, 4> words_{};
  int at_ = 4;
};

}  // namespace googlenet
