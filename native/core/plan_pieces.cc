// Inference depth first: the first layers, whose values are by far the largest, are run a few images at a time, so that
// what one layer writes is still in the cache when the next one reads it. They are the layers from the input on of
// which each is the only reader of the one before; what is between them has room for one piece alone.
#include <algorithm>

#include "core/plan.h"

namespace googlenet {

/** How many units of the layout, the input's included; 0 where there is nothing to gain. */
int Plan::units_in_pieces() const {
  if (request.training || request.keep_all || request.piece < 1 || request.batch <= request.piece) return 0;
  const auto& units = layout_.units;
  size_t count = 0;
  for (; count < units.size(); count++) {
    const int node = units[count].front(), before = count ? units[count - 1].front() : -1;
    const Node& n = graph_.nodes[node];
    const bool alone = units[count].size() == 1 && layout_.concat_of(node) < 0 && !layout_.in_place(node) &&
                       Graph::active(n, false) && (n.row.op == GN_INPUT) == (count == 0);
    if (!alone || (count && n.sources != std::vector<int>{before})) break;
    if (count && (readers(node).size() != 1 || kept(node))) {
      count++;
      break;
    }
  }
  return count > 2 ? int(count) : 0;
}

void Plan::plan_pieces(int units) {
  for (int u = 0; u < units; u++)
    make_storage(layout_.units[u], u == 0 || u + 1 == units ? request.batch : request.piece);
  for (int first = 0; first < request.batch; first += request.piece)
    for (int u = first ? 1 : 0; u < units; u++)
      plan_unit(layout_.units[u], first, std::min(request.piece, request.batch - first));
}

}  // namespace googlenet
