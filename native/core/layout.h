// Where every blob and parameter lies physically, for a device's geometry; the same for all batch sizes and
// both phases. Three rules make an Inception module copy-free (measured: shared figures in ARCHITECTURE.md):
//   - the sources of a concat are slices of one wide buffer, each padded to whole blocks;
//   - 1x1 convolutions that read the same blob become one unit, its outputs side by side in one buffer: the reduces
//     in front of the concat's slices, [3x3_reduce | 5x5_reduce | 1x1 | 3x3 | 5x5 | pool_proj];
//   - dropout works in place when nothing else reads its source.
#pragma once
#include <cstdint>
#include <vector>

#include "core/graph.h"

namespace googlenet {

/** Physical channels [channel, channel + span) of a buffer. */
struct Place {
  int buffer = -1, channel = 0, span = 0;
};
struct Buffer {
  int channels = 0, h = 0, w = 0;
  bool planar = false;
  gn_type type = GN_F32, gradient_type = GN_F32;  // of its values, of their gradients
  std::vector<float> scales = {}, means = {};     // by channel, where the type is GN_U8; means may be empty
};
/** A parameter in the flat arenas: O span rows of I span columns and kh·kw inner floats; a bias has 1 x 1 of them. */
struct PhysicalParameter {
  int64_t offset = 0;
  int rows = 0, columns = 1, inner = 1;
  int64_t column_step = 1, inner_step = 1;  // floats
  int64_t size() const { return int64_t(rows) * columns * inner; }
};

class Layout {
 public:
  /** Throws UNSUPPORTED naming the layer for a topology it cannot lay out. */
  Layout(const Graph& graph, const gn_geometry& geometry);

  const gn_geometry geometry;
  std::vector<Place> places;  // by node
  std::vector<Buffer> buffers;
  /** Nodes that run as one step, in order; concat nodes have no step but keep their place in the order. */
  std::vector<std::vector<int>> units;
  std::vector<PhysicalParameter> parameters;  // by Graph::parameters
  int64_t parameter_floats = 0;

  bool in_place(int node) const { return in_place_[node]; }
  /** The concat whose buffer slice the node's blob is, or -1. */
  int concat_of(int node) const { return concat_of_[node]; }
  /** Physical channel, relative to the blob's view, of each logical channel. */
  std::vector<int32_t> channel_map(int node) const;

 private:
  bool planar(const Node& node) const { return node.row.planar && geometry.order == GN_BLOCKED; }
  void choose_in_place();
  void choose_spans();
  void place_concats();
  void place_merged();
  void place_rest();
  void choose_types();
  void place(int node, int buffer, int channel);
  void layout_parameters();

  const Graph& graph_;
  std::vector<char> in_place_;
  std::vector<int> concat_of_, spans_, unit_of_;
};

}  // namespace googlenet
