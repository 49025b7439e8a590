#include "core/parameters.h"

#include <vector>

namespace googlenet {

// Calls visit(logical index, physical index) for every element.
template <class Visit>
static void walk(const Graph& graph, const Layout& layout, int index, const Visit& visit) {
  const Parameter& parameter = graph.parameters[index];
  const PhysicalParameter& physical = layout.parameters[index];
  const Node& node = graph.nodes[parameter.node];
  const int64_t outputs = parameter.shape[0];
  if (parameter.is_bias) {
    for (int64_t o = 0; o < outputs; o++) visit(o, o);
    return;
  }
  const std::vector<int32_t> map = layout.channel_map(node.sources[0]);
  const int64_t groups = node.row.groups, columns = int64_t(map.size()) / groups, inner = physical.inner;
  int64_t logical = 0;
  for (int64_t o = 0; o < outputs; o++) {
    const int64_t row = o * physical.columns * inner, group = o / (outputs / groups);
    for (int64_t i = 0; i < columns; i++) {
      const int64_t column = row + map[group * columns + i] * physical.column_step;
      for (int64_t k = 0; k < inner; k++) visit(logical++, column + k * physical.inner_step);
    }
  }
}

void store_parameter(const Graph& graph, const Layout& layout, int index, const float* logical, float* physical) {
  walk(graph, layout, index, [&](int64_t from, int64_t to) { physical[to] = logical[from]; });
}

void fetch_parameter(const Graph& graph, const Layout& layout, int index, const float* physical, float* logical) {
  walk(graph, layout, index, [&](int64_t to, int64_t from) { logical[to] = physical[from]; });
}

}  // namespace googlenet
