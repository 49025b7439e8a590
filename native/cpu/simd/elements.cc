// Loops over flat arrays of elements: sums of gradients, ReLU masks, and floats to elements.
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

void combine(Element* diff, const Element* other, const Element* mask, int64_t count) {
  if (!other) {
    for (int64_t i = 0; i < count; i += B) store(diff + i, keep_positive(load(mask + i), load(diff + i)));
  } else if (!mask) {
    for (int64_t i = 0; i < count; i += B) store(diff + i, add(load(diff + i), load(other + i)));
  } else {
    for (int64_t i = 0; i < count; i += B)
      store(diff + i, keep_positive(load(mask + i), add(load(diff + i), load(other + i))));
  }
}

void narrow(const float* from, Element* to, int64_t count) {
  int64_t i = 0;
  for (; i + B <= count; i += B) store(to + i, load(from + i));
  if (i == count) return;
  float tail[B] = {};
  Element last[B];
  __builtin_memcpy(tail, from + i, size_t(count - i) * sizeof(float));
  store(last, load(tail));
  __builtin_memcpy(to + i, last, size_t(count - i) * sizeof(Element));
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
