// Softmax over channels at each position (Caffe Softmax, axis 1).
#include "ops/op.h"

namespace googlenet {

const Op op_softmax{1, 1, same_shape, no_weights, no_macs, false, true, false, Op::never, false, Op::contiguous};

}  // namespace googlenet
