#include "core/parameters.h"

#include <vector>

namespace googlenet {

// Calls visit(logical index, arena index, run) for runs of floats that are contiguous on both sides.
template <class Visit>
static void walk(const Graph& graph, const Layout& layout, int index, const Visit& visit) {
  const Parameter& parameter = graph.parameters[index];
  const PhysicalParameter& physical = layout.parameters[index];
  const Node& node = graph.nodes[parameter.node];
  const int64_t outputs = parameter.shape[0];
  if (parameter.is_bias) {
    visit(int64_t(0), physical.offset, outputs);
    return;
  }
  const std::vector<int32_t> map = layout.channel_map(node.sources[0]);
  const int64_t groups = node.row.groups, columns = int64_t(map.size()) / groups, inner = physical.inner;
  int64_t logical = 0;
  for (int64_t o = 0; o < outputs; o++) {
    const int64_t group = o / (outputs / groups);
    for (int64_t i = 0; i < columns; i++, logical += inner) {
      const int64_t column = map[group * columns + i];
      visit(logical, physical.offset + (o * physical.columns + column) * inner, inner);
    }
  }
}

void store_parameter(const Graph& graph, const Layout& layout, int index, const float* logical, float* arena) {
  walk(graph, layout, index, [&](int64_t from, int64_t to, int64_t run) {
    for (int64_t i = 0; i < run; i++) arena[to + i] = logical[from + i];
  });
}

void fetch_parameter(const Graph& graph, const Layout& layout, int index, const float* arena, float* logical) {
  walk(graph, layout, index, [&](int64_t to, int64_t from, int64_t run) {
    for (int64_t i = 0; i < run; i++) logical[to + i] = arena[from + i];
  });
}

}  // namespace googlenet
