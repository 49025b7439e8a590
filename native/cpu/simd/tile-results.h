// Where sums of products go: scaled, with bias and ReLU, rounded to bf16 or u8, or not.
#pragma once
#include "cpu/simd/tile-functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

/** Whether inputs are bytes, else they are bf16, and what outputs are: bf16, bytes or f32. */
template <bool bytes, class Output>
struct Kind {
  typedef Output Element;
  static constexpr bool bytes_in = bytes, bytes_out = sizeof(Output) == 1, floats_out = sizeof(Output) == 4;
  static constexpr bool scaled = bytes_in || bytes_out;
};

/** What a product does with its kind: call(Kind()). */
template <class Call>
GOOGLENET_INLINE void with_kind(const TileProduct& p, const Call& call) {
  if (p.floats_out)
    call(Kind<false, float>());
  else if (p.bytes_in && p.bytes_out)
    call(Kind<true, uint8_t>());
  else if (p.bytes_in)
    call(Kind<true, uint16_t>());
  else if (p.bytes_out)
    call(Kind<false, uint8_t>());
  else
    call(Kind<false, uint16_t>());
}

/** Finished sums on their way to dst, from row `next` on: one position a row. */
template <class Kind>
struct Results {
  typedef typename Kind::Element Element;

  Results(const TileProduct& p, const float* scale, const float* bias, void* dst)
      : plane(p.plane),
        least_(p.relu || Kind::bytes_out ? zero() : all(-__builtin_inff())),
        all_scales_(scale),
        all_biases_(bias),
        all_dst_(static_cast<Element*>(dst)) {}

  /** `count` rows of the sums of `blocks` output blocks from `block` on come next. */
  void expect(int block, int count, int rows_of) {
    next = 0, rows = rows_of, blocks = count;
    dst_ = all_dst_ + block * plane;
    for (int i = 0; i < blocks; i++) {
      bias_[i] = all_biases_ ? load(all_biases_ + (block + i) * B) : zero();
      if constexpr (Kind::scaled) scale_[i] = load(all_scales_ + (block + i) * B);
    }
  }
  inline __attribute__((always_inline)) void write(int count) {
    const int last = smaller(next + count, rows);
    for (int row = next; row < last; row++) {
      if (to[row] < 0) continue;
      auto* dst = dst_ + to[row];
      write_block(row, 0, dst);
      if (blocks == 2) write_block(row, 1, dst + plane);
    }
    next = last;
  }

  alignas(64) float sums[2][2 * kTileRows][B];  // [block][row]; s32 where bytes come in
  alignas(64) int32_t to[2 * kTileRows];
  int next = 0, rows = 0, blocks = 0;
  const int64_t plane;

 private:
  inline __attribute__((always_inline)) void write_block(int row, int block, Element* dst) const {
    Vec value = load(sums[block][row]);
    if constexpr (Kind::bytes_in) value = to_floats(load_ints(sums[block][row]));
    value = Kind::scaled ? fma(value, scale_[block], bias_[block]) : add(value, bias_[block]);
    value = max(least_, value);  // a NaN stays one
    if constexpr (Kind::floats_out)
      store(dst, value);
    else if constexpr (Kind::bytes_out)
      store_bytes(dst, value);
    else
      store(reinterpret_cast<Bf16*>(dst), value);
  }

  Vec scale_[2], bias_[2];
  const Vec least_;
  const float *const all_scales_, *const all_biases_;
  Element *const all_dst_, *dst_ = nullptr;
};

}  // namespace googlenet::cpu::GOOGLENET_SIMD
