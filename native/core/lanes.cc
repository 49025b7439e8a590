#include "core/lanes.h"

#include <algorithm>

namespace googlenet {

namespace {

/** Memory that a step touches: bytes of the arena of activations, or floats of an array that it names. */
struct Access {
  enum Array { activations, gradients, results } array;
  int64_t first, last;    // one past the end
  const gn_tensor* view;  // null: all of it, else the channels of a buffer
  bool writes;
};

std::vector<Access> accesses_of(const gn_step& s) {
  std::vector<Access> list;
  const bool forward = s.direction == GN_FORWARD, weights = s.direction == GN_BACKWARD_WEIGHTS;
  const auto view = [&](const gn_tensor& t, bool writes) {
    const int64_t bytes = int64_t(t.n) * t.h * t.w * t.channels * gn_bytes_of(t.type);
    if (t.arena != GN_NONE) list.push_back({Access::activations, t.offset, t.offset + bytes, &t, writes});
  };
  view(s.src, false);
  view(s.dst, forward);
  view(s.diff_dst, false);
  view(s.diff_src, true);
  view(s.mask, false);
  view(s.middle, forward);
  if (const gn_tensor& t = s.workspace; t.arena != GN_NONE)
    list.push_back({Access::activations, t.offset, t.offset + int64_t(t.n) * t.h * t.w * t.span, nullptr, forward});
  for (const gn_parameter& p : {s.weights, s.bias})
    if (weights && p.offset >= 0) list.push_back({Access::gradients, p.offset, p.offset + p.size, nullptr, true});
  if (forward && s.op == GN_LOSS)
    list.push_back({Access::results, s.attributes.result, s.attributes.result + 2, nullptr, true});
  return list;
}

/** Of buffers of one shape at one place; any others that share bytes count as sharing all. */
bool slices_apart(const gn_tensor* a, const gn_tensor* b) {
  if (!a || !b || a->offset != b->offset || a->channels != b->channels || a->type != b->type || a->n != b->n ||
      a->h != b->h || a->w != b->w || a->planar != b->planar)
    return false;
  return a->channel + a->span <= b->channel || b->channel + b->span <= a->channel;
}

bool conflict(const Access& a, const Access& b) {
  return a.array == b.array && (a.writes || b.writes) && a.first < b.last && b.first < a.last &&
         !slices_apart(a.view, b.view);
}

/** By lane: the last step of it that is known to be done. */
using Clock = std::vector<int>;
void advance(Clock& clock, const Clock& other) {
  for (size_t lane = 0; lane < clock.size(); lane++) clock[lane] = std::max(clock[lane], other[lane]);
}

int choose_lane(const Clock& needed, const std::vector<int>& last) {
  int best = 0;
  const auto key = [&](int lane) {  // what is needed anyway costs no waiting; else the one that has waited longest
    const bool free = last[lane] <= needed[lane];
    return free ? last[lane] : -2 - last[lane];
  };
  for (int lane = 1; lane < int(last.size()); lane++)
    if (key(lane) > key(best)) best = lane;
  return best;
}

}  // namespace

bool conflict(const gn_step& a, const gn_step& b) {
  const auto first = accesses_of(a), second = accesses_of(b);
  return std::any_of(first.begin(), first.end(), [&](const Access& x) {
    return std::any_of(second.begin(), second.end(), [&](const Access& y) { return conflict(x, y); });
  });
}

Schedule schedule(const std::vector<gn_step>& steps, int most) {
  Schedule result;
  result.steps.resize(steps.size());
  if (most <= 1) return result;
  std::vector<int> last(most, -1);  // step of each lane; -1: the pass's beginning
  std::vector<Clock> clocks;        // when each step is done
  for (int i = 0; i < int(steps.size()); i++) {
    Assignment& step = result.steps[i];
    std::vector<int> needs;  // the latest first, since waiting for it may imply others
    Clock needed(most, -1);
    for (int j = i - 1; j >= 0; j--)
      if (conflict(steps[i], steps[j])) needs.push_back(j), advance(needed, clocks[j]);
    step.lane = choose_lane(needed, last);
    Clock clock = last[step.lane] < 0 ? Clock(most, -1) : clocks[last[step.lane]];
    for (const int j : needs) {
      Assignment& other = result.steps[j];
      if (clock[other.lane] >= j) continue;
      step.waits.push_back(j);
      other.marked = true;
      advance(clock, clocks[j]);
    }
    clock[step.lane] = last[step.lane] = i;
    clocks.push_back(std::move(clock));
    result.lanes = std::max(result.lanes, step.lane + 1);
  }
  return result;
}

}  // namespace googlenet
