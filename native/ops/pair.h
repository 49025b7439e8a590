// Two layers in one step: which can be, and what the step is then.
#pragma once
#include <optional>

#include "core/graph.h"

namespace googlenet {

struct Pair {
  gn_op op;
  gn_attributes attributes;  // of both
};
/** What a layer and its reader could be together, on a device that has a kernel for it (gn_geometry.pairs). */
std::optional<Pair> pair_of(const Row& first, const Row& second);

}  // namespace googlenet
