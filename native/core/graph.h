// A network table, checked: rows in topological order with resolved sources, output shapes, parameters and costs.
// Knows nothing of devices, batches or memory.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace googlenet {

struct Shape {
  int c = 0, h = 0, w = 0;
  bool operator==(const Shape&) const = default;
};
std::string to_string(const Shape& shape);
std::string to_string(const std::vector<int64_t>& shape);

enum class Phase { both, train, inference };
enum class Fill { xavier, msra, constant };
struct Filler {
  Fill type = Fill::xavier;
  float value = 0;
};

/** One row as the table gives it; lib/model/layer.ts explains the fields. */
struct Row {
  gn_op op = GN_INPUT;
  std::string name;
  std::vector<std::string> sources;
  Phase phase = Phase::both;
  gn_attributes attributes{};
  int outputs = 0, groups = 1;
  bool bias = true, planar = false, global = false, floor = false;
  Filler weight_filler, bias_filler{Fill::constant, 0};
  Shape input;
};

/** A parameter in Caffe's own shape: weight (O, I / groups, kh, kw) or (O, C·H·W), bias (O). */
struct Parameter {
  std::string name;
  int node = 0;
  bool is_bias = false;
  std::vector<int64_t> shape;
  Filler filler;
  float rate_factor = 1, decay_factor = 1;
  int64_t count() const;
};

struct Node {
  Row row;
  std::vector<int> sources;    // nodes
  Shape shape;                 // of the output blob, which has the node's name
  int weight = -1, bias = -1;  // index into Graph::parameters
  int64_t macs = 0;
};

class Graph {
 public:
  /** Throws INVALID_NETWORK naming the row. */
  explicit Graph(std::vector<Row> rows);

  std::vector<Node> nodes;
  std::vector<Parameter> parameters;

  int find(const std::string& name) const;  // -1: no such blob
  /** Nodes that read the blob of `node`, in order; all phases. */
  const std::vector<int>& readers(int node) const { return readers_[node]; }
  static bool active(const Node& node, bool training) {
    return node.row.phase == Phase::both || (node.row.phase == Phase::train) == training;
  }

 private:
  std::vector<std::vector<int>> readers_;
};

}  // namespace googlenet
