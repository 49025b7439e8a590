// Which of several ways to compute a convolution is taken: with gn_device_options.tune each is timed once, and the fastest is
// remembered in a file (backend/tuning_cache.h) that every later run takes it from, so that a run repeated has the same bits.
#pragma once
#include <vector>

#include "cpu/kernel.h"

namespace googlenet::cpu {

struct Way {
  const char* name;  // in the file
  Kernel (*make)(gn_device& device, const gn_step& step);
};

/** What tuning is for: the same libraries, processor, instruction set and number of threads. */
std::string tuning_identity(const gn_device& device, const char* libraries);

/** Null when there is too little memory to try them: then the defaults decide. */
Kernel tuned(gn_device& device, const gn_step& step, const std::vector<Way>& ways);

}  // namespace googlenet::cpu
