// Averages of the weights over the updates, after Polyak. Whatever the optimiser, each update of number u (from 1) is
// followed by average += share(u)·(weights - average); up to update `from` the average is the weights themselves.
//   polyak       the uniform mean of the weights after the updates from + 1 … u (Polyak and Juditsky 1992)
//   exponential  decay min(decay, (1 + t) / (10 + t)) with t = u - from, the warm-up of TensorFlow's
//                ExponentialMovingAverage: early on it forgets quickly
#pragma once
#include <algorithm>
#include <cstdint>

namespace googlenet {

enum class AverageKind { none, polyak, exponential };

struct AverageOptions {
  AverageKind kind = AverageKind::none;
  uint64_t from = 0;
  double decay = 0.999;

  double share(uint64_t update) const {
    if (update <= from + 1) return 1;
    const double t = double(update - from);
    return kind == AverageKind::polyak ? 1 / t : 1 - std::min(decay, (1 + t) / (10 + t));
  }
};

}  // namespace googlenet
