#include "core/graph.h"

#include <unordered_map>

#include "core/status.h"
#include "ops/op.h"

namespace googlenet {

std::string to_string(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); i++) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

std::string to_string(const Shape& s) { return to_string(std::vector<int64_t>{s.c, s.h, s.w}); }

int64_t Parameter::count() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

static void check_window(const Row& row) {
  const gn_attributes& a = row.attributes;
  const bool windowed = row.op == GN_CONV || (row.op == GN_POOL && !row.global);
  if (windowed && (a.kernel_h < 1 || a.kernel_w < 1 || a.stride_h < 1 || a.stride_w < 1 || a.pad_h < 0 || a.pad_w < 0 ||
                   a.dilation_h < 1 || a.dilation_w < 1))
    invalid_row(row, "kernel, stride and dilation must be positive and pad not negative");
}

Graph::Graph(std::vector<Row> rows) {
  std::unordered_map<std::string, int> index;
  for (Row& row : rows) {
    const Op& op = op_of(row.op);
    Node node;
    std::vector<Shape> shapes;
    for (const std::string& source : row.sources) {
      const auto found = index.find(source);
      if (found == index.end()) invalid_row(row, "its source '" + source + "' is not the name of an earlier row");
      node.sources.push_back(found->second);
      shapes.push_back(nodes[found->second].shape);
    }
    if (int(shapes.size()) < op.min_sources || int(shapes.size()) > op.max_sources)
      invalid_row(row, "takes " + std::to_string(op.min_sources) + " to " + std::to_string(op.max_sources) +
                           " sources, got " + std::to_string(shapes.size()));
    check_window(row);
    node.shape = op.shape(row, shapes);
    if (row.global) {
      row.attributes.kernel_h = shapes[0].h, row.attributes.kernel_w = shapes[0].w;
      row.attributes.stride_h = row.attributes.stride_w = 1;
      row.attributes.pad_h = row.attributes.pad_w = 0;
    }
    const int self = int(nodes.size());
    if (!shapes.empty()) {
      node.macs = op.macs(row, shapes[0], node.shape);
      const auto weights = op.weights(row, shapes[0]);
      if (!weights.empty()) {
        node.weight = int(parameters.size());
        parameters.push_back({row.name + ".weight", self, false, weights, row.weight_filler, 1, 1});
        if (row.bias) {
          node.bias = int(parameters.size());
          parameters.push_back({row.name + ".bias", self, true, {row.outputs}, row.bias_filler, 2, 0});
        }
      }
    }
    row.attributes.classes = node.shape.c;
    row.attributes.groups = row.groups;
    row.attributes.dropout_stream = uint32_t(self);
    if (!index.emplace(row.name, self).second) invalid_row(row, "another row has the same name");
    node.row = std::move(row);
    nodes.push_back(std::move(node));
  }
  readers_.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); i++)
    for (int source : nodes[i].sources) readers_[source].push_back(int(i));
}

int Graph::find(const std::string& name) const {
  for (size_t i = 0; i < nodes.size(); i++)
    if (nodes[i].row.name == name) return int(i);
  return -1;
}

}  // namespace googlenet
