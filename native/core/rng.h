// Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): a value depends on the key and its counter
// alone, never on the thread or the order in which values are drawn.
#pragma once
#include <array>
#include <cstdint>

namespace googlenet {

struct Philox {
  uint32_t key0, key1;
  constexpr explicit Philox(uint64_t seed) : key0(uint32_t(seed)), key1(uint32_t(seed >> 32)) {}

  /** Four independent 32-bit words for the 128-bit counter (a, b, c, d). */
  constexpr std::array<uint32_t, 4> operator()(uint32_t a, uint32_t b, uint32_t c, uint32_t d) const {
    uint32_t k0 = key0, k1 = key1;
    for (int round = 0; round < 10; round++) {
      const uint64_t p = uint64_t(0xD2511F53u) * a, q = uint64_t(0xCD9E8D57u) * c;
      const uint32_t na = uint32_t(q >> 32) ^ b ^ k0, nc = uint32_t(p >> 32) ^ d ^ k1;
      b = uint32_t(q), d = uint32_t(p), a = na, c = nc;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return {a, b, c, d};
  }

  /** [0, 1) with 24 bits, exact in f32. */
  static constexpr float uniform(uint32_t word) { return float(word >> 8) * (1.0f / 16777216.0f); }
};

}  // namespace googlenet
