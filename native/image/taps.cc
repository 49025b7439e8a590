#include "image/taps.h"

#include <algorithm>
#include <cmath>

namespace googlenet {
namespace {

/** Output pixel i lies at begin + (i + 1/2) step, in pixel edges of the source; taps stay in [low, high). */
void make_taps(Taps& taps, int size, double begin, double step, int low, int high, bool mirror) {
  const double support = std::max(1.0, step);
  taps.count = std::min(int(std::ceil(support * 2)) + 1, high - low);
  taps.first.resize(size_t(size));
  taps.weights.assign(size_t(size) * size_t(taps.count), 0.0f);
  int used = 1;
  for (int i = 0; i < size; i++) {
    const double centre = begin + (i + 0.5) * step;
    int from = std::max(low, int(std::floor(centre - support + 0.5)));
    const int to = std::min(high, int(std::floor(centre + support + 0.5)));
    from = std::min({from, std::max(low, to - 1), high - 1});
    const int slot = mirror ? size - 1 - i : i;
    // Near the edge the run starts earlier, with zero weights, so that `count` taps never read past `high`.
    const int first = std::min(from, high - taps.count);
    float* weights = &taps.weights[size_t(slot) * size_t(taps.count)];
    taps.first[size_t(slot)] = first;
    double sum = 0;
    for (int s = from; s < to; s++) sum += std::max(0.0, 1 - std::fabs(s + 0.5 - centre) / support);
    if (sum <= 0) {  // one source pixel, its centre exactly a support away
      weights[from - first] = 1;
      continue;
    }
    for (int s = from; s < to && s - first < taps.count; s++)
      weights[s - first] = float(std::max(0.0, 1 - std::fabs(s + 0.5 - centre) / support) / sum);
    for (int t = 0; t < taps.count; t++)
      if (weights[t] != 0) used = std::max(used, t + 1);
  }
  // The widest run is often narrower than its bound: bilinear needs 2 taps, not 3.
  for (int i = 0; i < size && used < taps.count; i++)
    for (int t = 0; t < used; t++)
      taps.weights[size_t(i) * size_t(used) + size_t(t)] = taps.weights[size_t(i) * size_t(taps.count) + size_t(t)];
  taps.count = used;
  const auto [lowest, highest] = std::minmax_element(taps.first.begin(), taps.first.end());
  taps.low = *lowest, taps.high = *highest + used;
}

}  // namespace

void choose_taps(const Placement& placement, int size, int denominator, Taps& across, Taps& down) {
  const Region& bounds = placement.bounds;
  const double shrink = 1.0 / denominator;
  // Rounded outwards: a shrunk pixel that the crop covers in part may be read.
  const int left = bounds.x / denominator, top = bounds.y / denominator;
  const int right = (bounds.x + bounds.width + denominator - 1) / denominator;
  const int bottom = (bounds.y + bounds.height + denominator - 1) / denominator;
  make_taps(across, size, placement.x * shrink, placement.width * shrink / size, left, right, placement.mirror);
  make_taps(down, size, placement.y * shrink, placement.height * shrink / size, top, bottom, false);
}

}  // namespace googlenet
