// Two layers in one step: a layer and its only reader, where the device has a kernel for both and nobody asks for what
// is between them. Such a blob has no memory, but where the backward pass reads it, and its gradient has none.
#include <algorithm>

#include "core/plan.h"
#include "ops/pair.h"

namespace googlenet {

void Plan::find_pairs() {
  seconds_.assign(graph_.nodes.size(), -1);
  is_second_.assign(graph_.nodes.size(), 0);
  if (!layout_.geometry.pairs || request.keep_all) return;
  for (int i = 0; i < int(graph_.nodes.size()); i++) {
    const Node& node = graph_.nodes[i];
    std::vector<int> readers;
    for (const int reader : graph_.readers(i))
      if (Graph::active(graph_.nodes[reader], request.training)) readers.push_back(reader);
    const bool kept = std::count(request.outputs.begin(), request.outputs.end(), i) > 0;
    if (!Graph::active(node, request.training) || is_second_[i] || kept || readers.size() != 1) continue;
    const int second = readers.front();
    const bool apart = unit_of_[i].size() == 1 && unit_of_[second].size() == 1 && layout_.concat_of(i) < 0;
    const auto pair = pair_of(node.row, graph_.nodes[second].row);
    if (!apart || !pair || !layout_.geometry.pairs(pair->op, &pair->attributes)) continue;
    seconds_[i] = second;
    is_second_[second] = 1;
  }
}

}  // namespace googlenet
