// Optimisers over the flat arenas: which ranges are updated with which factors. The rules are in rules.def; each
// reads the gradient as scale·g + decay·df·w, with Caffe's per-blob factors (rate·rf, decay·df; biases 2 and 0).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/graph.h"
#include "core/layout.h"

namespace googlenet {

struct OptimizerOptions {
  gn_rule rule = GN_SGD;
  float rate = 0, momentum = 0, weight_decay = 0;
  /** Global L2 norm beyond which gradients are scaled down to it; 0: never. */
  float clip = 0;
  float squares_decay = 0, epsilon = 0, initial_squares = 0;
  std::vector<std::string> frozen;  // parameter names
};

gn_rule rule_named(const std::string& name);
bool keeps_momentum(gn_rule rule);
bool keeps_squares(gn_rule rule);

/** What a gradient of this norm is multiplied by. */
float clip_scale(const OptimizerOptions& options, double gradient_norm);

/** The ranges of the arenas that share factors, frozen parameters left out; arenas are the caller's. */
std::vector<gn_update> updates_of(const Graph& graph, const Layout& layout, const OptimizerOptions& options);

}  // namespace googlenet
