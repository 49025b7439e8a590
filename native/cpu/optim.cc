// The optimisers' passes over the flat arenas: updates, sums and copies, the gradient norm.
#include <cstring>
#include <vector>

#include "cpu/kernel.h"
#include "cpu/simd.h"

namespace googlenet::cpu {

// A multiple of every vector width: an element is always in the same vector, whatever the number of threads. Large
// enough to hide the cost of taking a chunk, small enough to even out threads of unequal speed.
constexpr int64_t kChunk = 64 * 1024;

void update(gn_device& device, const gn_update& u) {
  const Kernels& k = kernels(device.isa);
  const UpdateFactors factors = {u.rate,          u.momentum_factor, u.decay,        u.gradient_scale,
                                 u.squares_decay, u.epsilon,         u.average_share};
  const auto at = [](float* array, int64_t i) { return array ? array + i : nullptr; };
  device.pool->parallel((u.count + kChunk - 1) / kChunk, [&](int64_t i) {
    const int64_t start = i * kChunk, count = u.count - start < kChunk ? u.count - start : kChunk;
    const int64_t first = u.first + start;
    k.update(
        u.rule,
        {u.parameters + first, at(u.momentum, first), at(u.squares, first), at(u.average, first), u.gradients + first},
        count, factors);
  });
}

void scale_add(gn_device& device, float* dst, const float* src, int64_t count, float keep, float scale) {
  const Kernels& k = kernels(device.isa);
  device.pool->parallel((count + kChunk - 1) / kChunk, [&](int64_t i) {
    const int64_t start = i * kChunk, size = count - start < kChunk ? count - start : kChunk;
    if (keep == 0 && scale == 1)
      std::memcpy(dst + start, src + start, size_t(size) * sizeof(float));
    else
      k.scale_add(dst + start, src + start, size, keep, scale);
  });
}

double square_sum(gn_device& device, const float* values, int64_t count) {
  const Kernels& k = kernels(device.isa);
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  std::vector<double> sums(chunks);
  device.pool->parallel(chunks, [&](int64_t i) {
    const int64_t start = i * kChunk;
    sums[i] = k.square_sum(values + start, count - start < kChunk ? count - start : kChunk);
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace googlenet::cpu
