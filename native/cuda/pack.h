// How a body moves many channels at once: a pack of N neighbouring elements, 16 bytes where it can be, goes by one load
// or store and is f32 in registers. Every blob of this backend has whole blocks of kBlock channels (geometry() in
// cuda_backend.cc), so each view and each of its pixels begins at a whole pack.
#pragma once
#include "cuda/bfloat16.h"

namespace googlenet::cuda {

/** Channels that blobs are padded to: 16 bytes of bf16, cuDNN's alignment, and twice that of f32. */
constexpr int kBlock = 8;

/** Elements of 16 bytes. */
template <class T>
constexpr int kPack = 16 / sizeof(T);

/** N registers: every index must be known to the compiler, or they become memory. */
template <int N>
struct Floats {
  float values[N];
  GN_DEVICE float& operator[](int i) { return values[i]; }
  GN_DEVICE float operator[](int i) const { return values[i]; }
};

/** N elements in memory. */
template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack {
  T values[N];
};

template <int N, class T>
GN_DEVICE Pack<T, N>& pack_at(T* first) {
  return *reinterpret_cast<Pack<T, N>*>(first);
}

template <int N, class T>
GN_DEVICE Floats<N> load(const T* from) {
  const auto pack = *reinterpret_cast<const Pack<T, N>*>(from);
  Floats<N> floats;
  for (int i = 0; i < N; i++) floats[i] = pack.values[i];
  return floats;
}
template <int N, class T>
GN_DEVICE void store(T* to, const Floats<N>& floats) {
  Pack<T, N> pack;
  for (int i = 0; i < N; i++) pack.values[i] = floats[i];
  pack_at<N>(to) = pack;
}

/** n / d for n < 2^31 by a product and a shift (Granlund and Montgomery 1994), where a division takes twenty
 *  instructions. */
class Divisor {
 public:
  explicit Divisor(uint32_t d) : divisor_(d) {
    while (uint64_t(1) << shift_ < uint64_t(d) << 31) shift_++;
    factor_ = uint32_t(((uint64_t(1) << shift_) + d - 1) / d);
  }
  struct Result {
    uint32_t quotient, remainder;
  };
  GN_DEVICE Result operator()(uint32_t n) const {
    const uint32_t quotient = uint32_t(uint64_t(n) * factor_ >> shift_);
    return {quotient, n - quotient * divisor_};
  }
  GN_DEVICE uint32_t divisor() const { return divisor_; }

 private:
  uint32_t divisor_, factor_, shift_ = 31;
};

/** Pack i of a view of `span` channels. */
template <int N>
class Packs {
 public:
  explicit Packs(int span) : a_pixel_(uint32_t(span / N)) {}
  struct Place {
    uint32_t pixel, channel;
  };
  GN_DEVICE Place operator()(uint32_t i) const {
    const auto [pixel, pack] = a_pixel_(i);
    return {pixel, pack * N};
  }

 private:
  Divisor a_pixel_;
};

}  // namespace googlenet::cuda
