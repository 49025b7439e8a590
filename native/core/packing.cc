// Places buffers with known lifetimes in one arena: largest first, each at the lowest offset that is free during
// its whole life (the usual greedy for offline memory planning; within a few percent of the peak here).
#include <algorithm>
#include <numeric>

#include "core/plan.h"

namespace googlenet {

int64_t pack_intervals(const std::vector<Interval>& intervals, int64_t alignment, std::vector<int64_t>& offsets) {
  std::vector<int> order(intervals.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return intervals[a].bytes > intervals[b].bytes; });
  offsets.assign(intervals.size(), 0);
  int64_t total = 0;
  std::vector<int> placed;  // by offset
  for (const int i : order) {
    const Interval& interval = intervals[i];
    int64_t at = 0;
    for (const int other : placed) {
      const bool together = intervals[other].first <= interval.last && interval.first <= intervals[other].last;
      if (!together) continue;
      if (at + interval.bytes <= offsets[other]) break;
      const int64_t end = offsets[other] + intervals[other].bytes;
      at = std::max(at, (end + alignment - 1) / alignment * alignment);
    }
    offsets[i] = at;
    total = std::max(total, at + interval.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at,
                                   [&](int64_t value, int other) { return value < offsets[other]; }),
                  i);
  }
  return total;
}

}  // namespace googlenet
