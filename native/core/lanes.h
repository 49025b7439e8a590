// Which steps of a pass may run side by side, and how a pass is walked on a device's lanes (gn_lanes). What a step must
// wait for follows from memory alone: an earlier step that touches the same bytes, one of the two writing them. That is
// the flow of values and gradients, and the reuse of arena memory by buffers that the plan's order keeps apart: a lane
// that runs ahead would break that order, so reuse is a dependency like any other.
#pragma once
#include <vector>

#include "backend/registry.h"

namespace googlenet {

/** Whether two steps touch the same memory, one of them writing it. Channel slices of one buffer are apart. Scratch is
 *  left out: every lane has its own. */
bool conflict(const gn_step& a, const gn_step& b);

struct Assignment {
  int lane = 0;
  std::vector<int> waits;  // for earlier steps on other lanes: none that another wait implies
  bool marked = false;     // a later step waits for it
};
struct Schedule {
  std::vector<Assignment> steps;
  int lanes = 1;  // in use
};

/** On at most `most` lanes. A step goes on where one that it needs was the last; a lane that nothing has run on yet
 *  counts as one whose last step everybody needs. */
Schedule schedule(const std::vector<gn_step>& steps, int most);

/** run(index, lane) for each step. Whatever is asked for afterwards comes after all lanes, however this ends. */
template <class Run>
void walk(const Schedule& schedule, const gn_backend& backend, gn_device* device, const Run& run) {
  const gn_lanes* const lanes = schedule.lanes > 1 ? backend.lanes : nullptr;
  if (lanes) check(lanes->fork(device));
  try {
    for (int i = 0; i < int(schedule.steps.size()); i++) {
      const Assignment& step = schedule.steps[i];
      if (lanes) check(lanes->choose(device, step.lane));
      for (const int other : step.waits) check(lanes->wait(device, other));
      run(size_t(i), step.lane);
      if (step.marked) check(lanes->mark(device, i));
    }
  } catch (...) {
    if (lanes) lanes->join(device);
    throw;
  }
  if (lanes) check(lanes->join(device));
}

}  // namespace googlenet
