// The optimiser's passes over the flat arenas: Caffe's SGD rule and the gradient norm.
#include <vector>

#include "cpu/kernel.h"
#include "cpu/simd.h"

namespace googlenet::cpu {

// A multiple of every vector width: an element is always in the same vector, whatever the number of threads. Large
// enough to hide the cost of taking a chunk, small enough to even out threads of unequal speed.
constexpr int64_t kChunk = 64 * 1024;

void update(gn_device& device, const gn_update& u) {
  const Kernels& k = kernels(device.isa);
  const UpdateFactors factors = {u.rate, u.momentum_factor, u.decay, u.gradient_scale};
  device.pool->parallel((u.count + kChunk - 1) / kChunk, [&](int64_t i) {
    const int64_t start = i * kChunk, count = u.count - start < kChunk ? u.count - start : kChunk;
    const int64_t at = u.first + start;
    k.update(u.parameters + at, u.momentum + at, u.gradients + at, count, factors);
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
