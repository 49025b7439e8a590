// Stochastic gradient descent with momentum over the flat arenas, Caffe's rule and per-blob factors
// (src/caffe/solvers/sgd_solver.cpp): v = m v + rate·rf·(s g + decay·df·w);  w -= v.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/graph.h"
#include "core/layout.h"

namespace googlenet {

struct SgdOptions {
  float rate = 0, momentum = 0, weight_decay = 0;
  /** Global L2 norm beyond which gradients are scaled down to it; 0: never. */
  float clip = 0;
  std::vector<std::string> frozen;  // parameter names
};

/** The ranges of the arenas that share factors, frozen parameters left out; arenas and device are the caller's. */
std::vector<gn_update> sgd_updates(const Graph& graph, const Layout& layout, const SgdOptions& options,
                                   double gradient_norm);

}  // namespace googlenet
