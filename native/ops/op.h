// What an operation declares about itself. Shared code asks these questions and never "is this a pool?".
// Where to add one: a line in ops.def, ops/<name>.cc with its Op, a line in ops/ops.cc, cpu/<name>.cc.
#pragma once
#include "core/graph.h"

namespace googlenet {

struct Op {
  /** Sources it takes: at least, at most. */
  int min_sources, max_sources;
  /** Shape of the output; throws INVALID_NETWORK where the sources or attributes do not fit. */
  Shape (*shape)(const Row& row, const std::vector<Shape>& sources);
  /** Shape of the weights for the (one) source; empty: no parameters. */
  std::vector<int64_t> (*weights)(const Row& row, const Shape& source);
  /** Multiply-accumulates for one image. */
  int64_t (*macs)(const Row& row, const Shape& source, const Shape& output);
  /** Backward data reads: src, dst (besides the workspace and diff_dst). */
  bool backward_reads_src, backward_reads_dst;
  /** Backward data can add to diff_src. */
  bool accumulates;
  /** Backward data can apply the mask of a fused ReLU behind it: `some` devices' can (gn_geometry.masks). */
  enum Masks { never, some, always } masks;
  /** Takes labels and starts the backward pass. */
  bool is_loss;
  /** How output channels relate to the source's: made anew, each from its own (so a view's padding and gaps carry
   *  over), or from all of them in order (so gaps are not allowed). */
  enum Channels { made, kept, contiguous } channels;
};

const Op& op_of(gn_op op);
const char* op_name(gn_op op);
/** By its name in a table; throws INVALID_NETWORK listing the known ones. */
gn_op op_named(const std::string& name);

extern const Op op_input, op_conv, op_pool, op_lrn, op_concat, op_dropout, op_linear, op_softmax, op_loss;

[[noreturn]] void invalid_row(const Row& row, const std::string& why);
inline std::vector<int64_t> no_weights(const Row&, const Shape&) { return {}; }
inline int64_t no_macs(const Row&, const Shape&, const Shape&) { return 0; }
inline Shape same_shape(const Row&, const std::vector<Shape>& sources) { return sources[0]; }

}  // namespace googlenet
