// Concatenation of channels. No step is ever made of it: its sources write their slices of one wide buffer.
#include "ops/op.h"

namespace googlenet {

static Shape shape(const Row& row, const std::vector<Shape>& sources) {
  Shape dst = sources[0];
  for (size_t i = 1; i < sources.size(); i++) {
    if (sources[i].h != dst.h || sources[i].w != dst.w)
      invalid_row(row, "sources differ in size: " + to_string(sources[0]) + " and " + to_string(sources[i]));
    dst.c += sources[i].c;
  }
  return dst;
}

const Op op_concat{1, 64, shape, no_weights, no_macs, false, false, true, Op::never, false, Op::made};

}  // namespace googlenet
