// Two layers in one step: a layer and its only reader, where the device has a kernel for both and nobody asks for what
// is between them. Such a blob has no memory, but where the backward pass reads it, and its gradient has none.
#include <algorithm>

#include "core/plan.h"
#include "ops/op.h"
#include "ops/pair.h"

namespace googlenet {

void Plan::find_pairs() {
  seconds_.assign(graph_.nodes.size(), -1);
  if (!layout_.geometry.pairs) return;
  for (int i = 0; i < int(graph_.nodes.size()); i++) {
    const Node& node = graph_.nodes[i];
    const std::vector<int> all = readers(i);
    if (!Graph::active(node, request.training) || is_second(i) || kept(i) || all.size() != 1) continue;
    const int second = all.front();
    const bool apart = unit_of_[i].size() == 1 && unit_of_[second].size() == 1 && layout_.concat_of(i) < 0;
    const auto pair = pair_of(node.row, graph_.nodes[second].row);
    if (apart && pair && layout_.geometry.pairs(pair->op, &pair->attributes)) seconds_[i] = second;
  }
}

bool Plan::is_second(int node) const { return std::count(seconds_.begin(), seconds_.end(), node) > 0; }

/** The nodes whose values a unit's step writes. */
const std::vector<int>& Plan::output_of(const std::vector<int>& unit) const {
  const int second = seconds_[unit.front()];
  return second < 0 ? unit : unit_of_[second];
}

/** What is between a layer and its second is read backward. */
bool Plan::keeps_middle(const std::vector<int>& unit) const {
  const int second = seconds_[unit.front()];
  return request.training && second >= 0 && op_of(graph_.nodes[second].row.op).backward_reads_src;
}

}  // namespace googlenet
