// Fully connected layers: what both primitives share, and the choice between them and tiles (tiles.h). Which one has a
// fast implementation depends on the instruction set (oneDNN 3.7 without its gemm kernels, measured).
#include "cpu/linear.h"

#include "core/status.h"
#include "cpu/tiles.h"

namespace googlenet::cpu {

static Rows rows_of(const gn_tensor& t) {
  const int64_t plane = int64_t(t.h) * t.w;
  return {data_type_of(t.type), t.n, t.span * plane, t.channels * plane};
}

Linear::Linear(gn_device& device, const gn_step& step)
    : onednn_(*device.onednn),
      pool_(*device.pool),
      step_(step),
      src_(step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src),
      dst_(step.direction == GN_FORWARD ? step.dst : step.diff_dst),
      source_(rows_of(src_)),
      output_(rows_of(dst_)),
      multiplied_(data_type_of(device.type)),
      K(source_.columns),
      O(output_.columns) {
  if (step.accumulate || step.mask.arena != GN_NONE)
    throw Failure(Code::INTERNAL, "a linear layer can neither accumulate nor mask");
  const memory::dims dims{O, src_.span, src_.h, src_.w};
  const auto blocked = device.block == 16 ? memory::format_tag::aBcd16b : memory::format_tag::aBcd8b;
  plain_ = memory::desc(dims, f32, memory::format_tag::abcd);
  permuted_ = src_.h * src_.w > 1 ? memory::desc(dims, f32, blocked) : plain_;
  x_desc_ = memory::desc({source_.count, K}, source_.type, memory::dims{source_.stride, 1});
  y_desc_ = memory::desc({output_.count, O}, output_.type, memory::dims{output_.stride, 1});
}

void Linear::sync(const gn_bindings& bindings) {
  if (weights_) weights_->refresh(bindings, onednn_.stream);
}

dnnl::primitive_attr Linear::attributes() const {
  auto attributes = user_scratchpad();
  if (step_.attributes.relu && step_.direction == GN_FORWARD) {
    dnnl::post_ops ops;
    ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    attributes.set_post_ops(ops);
  }
  return attributes;
}

std::shared_ptr<Weights> Linear::weights(const memory::desc& viewed, const memory::desc& target) {
  return onednn_.weights(step_.weights.offset, plain_, permuted_, viewed, target);
}

void Linear::execute(const dnnl::primitive& primitive, std::unordered_map<int, memory> arguments,
                     const gn_bindings& b) {
  arguments.emplace(DNNL_ARG_SCRATCHPAD, at(pad_, Scratch::at(b, pad_at_)));
  primitive.execute(onednn_.stream, arguments);
  onednn_.stream.wait();
}

Kernel make_linear(gn_device& device, const gn_step& step) {
  if (Kernel tiles = make_tiles(device, step)) return tiles;
  return device.isa == Isa::avx512 ? make_linear_matmul(device, step) : make_linear_product(device, step);
}

}  // namespace googlenet::cpu
