// What packs are made of: quotients by Divisor beside the processor's, and packs that are read, rounded and written as
// single elements are. Prints what is wrong, or nothing.
#include "cuda/pack.h"

#include <cstdio>
#include <random>

using namespace googlenet::cuda;

namespace {

int problems = 0;

void divide(uint32_t n, uint32_t d) {
  const auto [quotient, remainder] = Divisor(d)(n);
  if ((quotient != n / d || remainder != n % d) && problems++ < 20)
    std::printf("%u / %u is not %u, rest %u\n", n, d, quotient, remainder);
}

/** All divisors up to 4096, and those around powers of two, at the ends of their multiples. */
void divide_all() {
  constexpr uint32_t kLast = (uint32_t(1) << 31) - 1;
  std::mt19937 random(1);
  const auto around = [&](uint32_t d) {
    const uint32_t last = kLast / d * d;
    for (const uint32_t n : {0u, 1u, d - 1, d, last - 1, last, kLast - 1, kLast, uint32_t(random() >> 1)})
      if (n <= kLast) divide(n, d);
  };
  for (uint32_t d = 1; d <= 4096; d++) around(d);
  for (uint32_t power = 1 << 12; power < uint32_t(1) << 31; power *= 2)
    for (const uint32_t d : {power - 1, power, power + 1}) around(d);
}

template <class T, int N>
void move() {
  alignas(16) T from[3 * N], to[3 * N];
  for (int i = 0; i < 3 * N; i++) from[i] = T{}, to[i] = T{}, from[i] = 1.0f / float(i + 3);
  Floats<N> values = load<N>(from + N);
  for (int i = 0; i < N; i++) values[i] *= 3;
  store(to + N, values);
  for (int i = 0; i < 3 * N; i++) {
    T expected{};
    if (i >= N && i < 2 * N) expected = float(from[i]) * 3;
    if (float(expected) != float(to[i]) && problems++ < 20)
      std::printf("element %d of packs of %d is %g, not %g\n", i, N, float(to[i]), float(expected));
  }
}

}  // namespace

int main() {
  divide_all();
  move<float, 4>();
  move<float, 8>();
  move<Bf16, 4>();
  move<Bf16, 8>();
}
