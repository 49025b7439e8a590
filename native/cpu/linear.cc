// Fully connected layers as oneDNN matmuls (its inner product answers with a reference-speed gemm in our lean build).
// A source view is a row of K = span·h·w floats per image in blocked order [span/block][h][w][block]; weights are
// permuted to that order from Caffe's (C, H, W) when h·w > 1.
#include "core/status.h"
#include "cpu/onednn.h"

namespace googlenet::cpu {

namespace {

using dnnl::memory;
constexpr auto f32 = memory::data_type::f32;

struct Rows {  // a view as a matrix
  int64_t count, columns, stride;
};
Rows rows_of(const gn_tensor& t) {
  const int64_t plane = int64_t(t.h) * t.w;
  return {t.n, t.span * plane, t.channels * plane};
}

class Linear : public gn_kernel {
 public:
  Linear(gn_device& device, const gn_step& step)
      : onednn_(*device.onednn),
        pool_(*device.pool),
        step_(step),
        src_(step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src),
        dst_(step.direction == GN_FORWARD ? step.dst : step.diff_dst),
        source_(rows_of(src_)),
        output_(rows_of(dst_)) {
    const int64_t K = source_.columns, O = output_.columns;
    const memory::dims dims{O, src_.span, src_.h, src_.w};
    plain_ = memory::desc(dims, f32, memory::format_tag::abcd);
    const bool permutes = src_.h * src_.w > 1;
    permuted_ = permutes ? memory::desc(dims, f32,
                                        device.block == 16 ? memory::format_tag::aBcd16b : memory::format_tag::aBcd8b)
                         : plain_;
    const memory::desc x({source_.count, K}, f32, memory::dims{source_.stride, 1});
    const memory::desc y({output_.count, O}, f32, memory::dims{output_.stride, 1});
    switch (step.direction) {
      case GN_FORWARD: forward(x, y, K, O); break;
      case GN_BACKWARD_DATA: backward_data(x, y, K, O); break;
      default: backward_weights(x, K, O); break;
    }
    scratch_bytes = scratch_.bytes();
  }

  void sync(const gn_bindings& bindings) override {
    if (weights_) weights_->refresh(bindings, onednn_.stream);
  }

  void run(const gn_bindings& b) override {
    std::unordered_map<int, memory> arguments;
    const auto bind = [&](int argument, const memory::desc& desc, void* data) {
      arguments.emplace(argument, memory(desc, onednn_.engine, data));
    };
    bind(DNNL_ARG_SCRATCHPAD, pad_, Scratch::at(b, pad_at_));
    float* x = view_start(src_, b);
    float* y = view_start(dst_, b);
    if (step_.direction == GN_BACKWARD_WEIGHTS) {
      float* gradient = b.gradients + step_.weights.offset;
      void* product = permuted_ == plain_ ? gradient : Scratch::at(b, product_at_);
      bind(DNNL_ARG_SRC, first_, y);
      bind(DNNL_ARG_WEIGHTS, second_, x);
      bind(DNNL_ARG_DST, result_, product);
      execute(arguments);
      if (permuted_ != plain_) {
        memory from(permuted_, onednn_.engine, product), to(plain_, onednn_.engine, gradient);
        unpermute_.execute(onednn_.stream, from, to);
        onednn_.stream.wait();
      }
      if (step_.bias.offset >= 0) bias_gradient(y, b.gradients + step_.bias.offset);
      return;
    }
    const bool forward = step_.direction == GN_FORWARD;
    bind(DNNL_ARG_SRC, first_, forward ? x : y);
    arguments.emplace(DNNL_ARG_WEIGHTS, weights_->memory());
    bind(DNNL_ARG_DST, result_, forward ? y : x);
    if (forward && step_.bias.offset >= 0) bind(DNNL_ARG_BIAS, bias_, b.parameters + step_.bias.offset);
    execute(arguments);
  }

 private:
  void adopt(const dnnl::matmul::primitive_desc& desc) {
    implementation = desc.impl_info_str();
    matmul_ = dnnl::matmul(desc);
    pad_ = desc.scratchpad_desc();
    pad_at_ = scratch_.add(pad_.get_size());
  }
  void execute(const std::unordered_map<int, memory>& arguments) {
    matmul_.execute(onednn_.stream, arguments);
    onednn_.stream.wait();
  }

  // y (N, O) = x (N, K) · W^T (K, O) + bias
  void forward(const memory::desc& x, const memory::desc& y, int64_t K, int64_t O) {
    auto attributes = user_scratchpad();
    if (step_.attributes.relu) {
      dnnl::post_ops ops;
      ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
      attributes.set_post_ops(ops);
    }
    if (step_.bias.offset >= 0) bias_ = memory::desc({1, O}, f32, memory::format_tag::ab);
    const memory::desc any({K, O}, f32, memory::format_tag::any);
    const dnnl::matmul::primitive_desc desc(onednn_.engine, x, any, bias_, y, attributes);
    first_ = x, result_ = y;
    weights_ = onednn_.weights(step_.weights.offset, plain_, permuted_, memory::desc({K, O}, f32, memory::dims{1, K}),
                               desc.weights_desc());
    adopt(desc);
  }
  // dx (N, K) = dy (N, O) · W (O, K)
  void backward_data(const memory::desc& x, const memory::desc& y, int64_t K, int64_t O) {
    if (step_.accumulate || step_.mask.arena != GN_NONE)
      throw Failure(Code::INTERNAL, "a linear layer's backward data can neither accumulate nor mask");
    const memory::desc any({O, K}, f32, memory::format_tag::any);
    const dnnl::matmul::primitive_desc desc(onednn_.engine, y, any, x, user_scratchpad());
    first_ = y, result_ = x;
    weights_ = onednn_.weights(step_.weights.offset, plain_, permuted_, memory::desc({O, K}, f32, memory::dims{K, 1}),
                               desc.weights_desc());
    adopt(desc);
  }
  // dW (O, K) = dy^T (O, N) · x (N, K)
  void backward_weights(const memory::desc& x, int64_t K, int64_t O) {
    first_ = memory::desc({O, output_.count}, f32, memory::dims{1, output_.stride});
    second_ = x;
    result_ = memory::desc({O, K}, f32, memory::dims{K, 1});
    const dnnl::matmul::primitive_desc desc(onednn_.engine, first_, second_, result_, user_scratchpad());
    if (permuted_ != plain_) {
      product_at_ = scratch_.add(permuted_.get_size());
      unpermute_ = dnnl::reorder(dnnl::reorder::primitive_desc(onednn_.engine, permuted_, onednn_.engine, plain_));
    }
    adopt(desc);
  }
  void bias_gradient(const float* y, float* gradient) {
    pool_.ranges(output_.columns, [&](int64_t first, int64_t last) {
      for (int64_t o = first; o < last; o++) gradient[o] = 0;
      for (int64_t n = 0; n < output_.count; n++)
        for (int64_t o = first; o < last; o++) gradient[o] += y[n * output_.stride + o];
    });
  }

  Onednn& onednn_;
  ThreadPool& pool_;
  const gn_step step_;
  const gn_tensor src_, dst_;  // or their gradients
  const Rows source_, output_;
  Scratch scratch_;
  dnnl::matmul matmul_;
  dnnl::reorder unpermute_;
  std::shared_ptr<Weights> weights_;
  memory::desc plain_, permuted_, first_, second_, result_, bias_, pad_;
  int64_t pad_at_ = 0, product_at_ = -1;
};

}  // namespace

Kernel make_linear(gn_device& device, const gn_step& step) { return std::make_unique<Linear>(device, step); }

}  // namespace googlenet::cpu
