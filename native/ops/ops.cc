// The list of operations as code: names from ops.def, rules from each operation's own file.
#include "core/status.h"
#include "ops/op.h"

namespace googlenet {

namespace {
constexpr const char* kNames[] = {
#define GOOGLENET_OP(name, text) text,
#include "ops/ops.def"
#undef GOOGLENET_OP
};
// MASK and SUM have no row: the planner makes their steps.
const Op kInternal{1, 1, same_shape, no_weights, no_macs, false, false, true, Op::always, false, Op::kept};
}  // namespace

const Op& op_of(gn_op op) {
  switch (op) {
    case GN_INPUT: return op_input;
    case GN_CONV: return op_conv;
    case GN_POOL: return op_pool;
    case GN_LRN: return op_lrn;
    case GN_CONCAT: return op_concat;
    case GN_DROPOUT: return op_dropout;
    case GN_LINEAR: return op_linear;
    case GN_SOFTMAX: return op_softmax;
    case GN_LOSS: return op_loss;
    default: return kInternal;
  }
}

const char* op_name(gn_op op) { return kNames[op]; }

gn_op op_named(const std::string& name) {
  std::string known;
  for (int op = 0; op < GN_MASK; op++) {
    if (name == kNames[op]) return gn_op(op);
    known += std::string(op ? ", " : "") + kNames[op];
  }
  throw Failure(Code::INVALID_NETWORK, "unknown op '" + name + "' in the network table; known: " + known);
}

void invalid_row(const Row& row, const std::string& why) {
  throw Failure(Code::INVALID_NETWORK, "layer '" + row.name + "' (" + op_name(row.op) + "): " + why);
}

}  // namespace googlenet
