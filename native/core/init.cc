// Caffe's fillers (include/caffe/filler.hpp), drawn from counter-based random numbers.
#include <cmath>
#include <numbers>

#include "core/parameters.h"
#include "core/rng.h"

namespace googlenet {

void fill_parameter(const Graph& graph, int index, uint64_t seed, float* logical) {
  const Parameter& parameter = graph.parameters[index];
  const int64_t count = parameter.count();
  const double fan_in = double(count) / double(parameter.shape[0]);
  const Philox random(seed);
  if (parameter.filler.type == Fill::constant) {
    for (int64_t i = 0; i < count; i++) logical[i] = parameter.filler.value;
    return;
  }
  const float bound = float(std::sqrt(3.0 / fan_in)), deviation = float(std::sqrt(2.0 / fan_in));
  for (int64_t i = 0; i < count; i += 4) {
    const auto words = random(uint32_t(i), uint32_t(i >> 32), uint32_t(index), 0x696e6974u);
    float value[4];
    for (int k = 0; k < 4; k += 2) {
      const float u = Philox::uniform(words[k]), v = Philox::uniform(words[k + 1]);
      if (parameter.filler.type == Fill::xavier) {
        value[k] = (2 * u - 1) * bound;
        value[k + 1] = (2 * v - 1) * bound;
      } else {  // Box-Muller
        const float radius = deviation * std::sqrt(-2 * std::log(1 - u));
        value[k] = radius * std::cos(2 * std::numbers::pi_v<float> * v);
        value[k + 1] = radius * std::sin(2 * std::numbers::pi_v<float> * v);
      }
    }
    for (int64_t k = 0; k < 4 && i + k < count; k++) logical[i + k] = value[k];
  }
}

}  // namespace googlenet
