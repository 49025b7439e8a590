// Fully connected layers as inner products, weights (O, K).
#include "cpu/linear.h"

namespace googlenet::cpu {

namespace {

class LinearProduct : public Linear {
 public:
  LinearProduct(gn_device& device, const gn_step& step) : Linear(device, step) {
    const memory::desc any({O, K}, f32, memory::format_tag::any);
    rows_ = memory::desc({O, K}, f32, memory::dims{K, 1});
    if (has_bias() && step.direction != GN_BACKWARD_DATA) bias_ = memory::desc({O}, f32, memory::format_tag::a);
    const Forward::primitive_desc forward(
        onednn_.engine, step.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference, x_desc_,
        any, bias_, y_desc_, attributes());
    if (step.direction == GN_FORWARD) {
      weights_ = weights(rows_, forward.weights_desc());
      primitive_ = Forward(forward);
      adopt(forward);
    } else if (step.direction == GN_BACKWARD_DATA) {
      const BackwardData::primitive_desc desc(onednn_.engine, x_desc_, any, y_desc_, forward, attributes());
      weights_ = weights(rows_, desc.weights_desc());
      primitive_ = BackwardData(desc);
      adopt(desc);
    } else {
      const BackwardWeights::primitive_desc desc(onednn_.engine, x_desc_, any, bias_, y_desc_, forward, attributes());
      primitive_ = BackwardWeights(desc);
      gradient_ = desc.diff_weights_desc();
      if (gradient_ != rows_) {
        gradient_at_ = scratch_.add(gradient_.get_size());
        to_rows_ = dnnl::reorder(dnnl::reorder::primitive_desc(onednn_.engine, gradient_, onednn_.engine, rows_));
      }
      if (permutes()) {
        rows_at_ = scratch_.add(rows_.get_size());
        unpermute_ = dnnl::reorder(dnnl::reorder::primitive_desc(onednn_.engine, permuted_, onednn_.engine, plain_));
      }
      adopt(desc);
    }
  }

  void run(const gn_bindings& b) override {
    if (step_.direction == GN_BACKWARD_WEIGHTS) return backward_weights(b);
    const bool forward = step_.direction == GN_FORWARD;
    std::unordered_map<int, memory> arguments{{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_SRC, at(x_desc_, x(b))},
                                              {DNNL_ARG_WEIGHTS, weights_->memory()},
                                              {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, at(y_desc_, y(b))}};
    if (forward && has_bias()) arguments.emplace(DNNL_ARG_BIAS, at(bias_, b.parameters + step_.bias.offset));
    execute(primitive_, std::move(arguments), b);
  }

 private:
  using Forward = dnnl::inner_product_forward;
  using BackwardData = dnnl::inner_product_backward_data;
  using BackwardWeights = dnnl::inner_product_backward_weights;

  void backward_weights(const gn_bindings& b) {
    float* plain = b.gradients + step_.weights.offset;
    void* rows = permutes() ? Scratch::at(b, rows_at_) : plain;
    void* gradient = gradient_ != rows_ ? Scratch::at(b, gradient_at_) : rows;
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, at(x_desc_, x(b))},
                                              {DNNL_ARG_DIFF_DST, at(y_desc_, y(b))},
                                              {DNNL_ARG_DIFF_WEIGHTS, at(gradient_, gradient)}};
    if (has_bias()) arguments.emplace(DNNL_ARG_DIFF_BIAS, at(bias_, b.gradients + step_.bias.offset));
    execute(primitive_, std::move(arguments), b);
    if (gradient_ != rows_) reorder(to_rows_, at(gradient_, gradient), at(rows_, rows));
    if (permutes()) reorder(unpermute_, at(permuted_, rows), at(plain_, plain));
  }
  void reorder(dnnl::reorder& primitive, memory from, memory to) {
    primitive.execute(onednn_.stream, from, to);
    onednn_.stream.wait();
  }

  dnnl::primitive primitive_;
  dnnl::reorder to_rows_, unpermute_;
  memory::desc rows_, gradient_, bias_;
  int64_t rows_at_ = -1, gradient_at_ = -1;
};

}  // namespace

Kernel make_linear_product(gn_device& device, const gn_step& step) {
  return std::make_unique<LinearProduct>(device, step);
}

}  // namespace googlenet::cpu
