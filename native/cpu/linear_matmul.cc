// Fully connected layers as matmuls, and the bias gradient as column sums.
#include "cpu/linear.h"

namespace googlenet::cpu {

namespace {

class LinearMatmul : public Linear {
 public:
  LinearMatmul(gn_device& device, const gn_step& step) : Linear(device, step) {
    const bool forward = step.direction == GN_FORWARD;
    if (step.direction == GN_BACKWARD_WEIGHTS) {  // dW (O, K) = dy^T (O, N) · x (N, K)
      transposed_ = memory::desc({O, output_.count}, output_.type, memory::dims{1, output_.stride});
      product_ = memory::desc({O, K}, f32, memory::dims{K, 1});
      if (permutes()) {
        product_at_ = scratch_.add(permuted_.get_size());
        unpermute_ = dnnl::reorder(dnnl::reorder::primitive_desc(onednn_.engine, permuted_, onednn_.engine, plain_));
      }
      finish({onednn_.engine, transposed_, x_desc_, product_, attributes()});
    } else if (forward) {  // y (N, O) = x (N, K) · W^T (K, O) + bias
      if (has_bias()) bias_ = memory::desc({1, O}, f32, memory::format_tag::ab);
      const memory::desc any({K, O}, multiplied_, memory::format_tag::any);
      const Desc desc(onednn_.engine, x_desc_, any, bias_, y_desc_, attributes());
      weights_ = weights(memory::desc({K, O}, f32, memory::dims{1, K}), desc.weights_desc());
      finish(desc);
    } else {  // dx (N, K) = dy (N, O) · W (O, K)
      const memory::desc any({O, K}, multiplied_, memory::format_tag::any);
      const Desc desc(onednn_.engine, y_desc_, any, x_desc_, attributes());
      weights_ = weights(memory::desc({O, K}, f32, memory::dims{K, 1}), desc.weights_desc());
      finish(desc);
    }
  }

  void run(const gn_bindings& b) override {
    switch (step_.direction) {
      case GN_FORWARD: {
        std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, at(x_desc_, x(b))},
                                                  {DNNL_ARG_WEIGHTS, weights_->memory()},
                                                  {DNNL_ARG_DST, at(y_desc_, y(b))}};
        if (has_bias()) arguments.emplace(DNNL_ARG_BIAS, at(bias_, b.parameters + step_.bias.offset));
        return execute(matmul_, std::move(arguments), b);
      }
      case GN_BACKWARD_DATA:
        return execute(matmul_,
                       {{DNNL_ARG_SRC, at(y_desc_, y(b))},
                        {DNNL_ARG_WEIGHTS, weights_->memory()},
                        {DNNL_ARG_DST, at(x_desc_, x(b))}},
                       b);
      default: return backward_weights(b);
    }
  }

 private:
  using Desc = dnnl::matmul::primitive_desc;

  void finish(const Desc& desc) {
    matmul_ = dnnl::matmul(desc);
    adopt(desc);
  }

  void backward_weights(const gn_bindings& b) {
    float* gradient = b.gradients + step_.weights.offset;
    void* product = permutes() ? Scratch::at(b, product_at_) : gradient;
    execute(matmul_,
            {{DNNL_ARG_SRC, at(transposed_, y(b))},
             {DNNL_ARG_WEIGHTS, at(x_desc_, x(b))},
             {DNNL_ARG_DST, at(product_, product)}},
            b);
    if (permutes()) {
      memory from = at(permuted_, product), to = at(plain_, gradient);
      unpermute_.execute(onednn_.stream, from, to);
      onednn_.stream.wait();
    }
    if (!has_bias()) return;
    float* bias = b.gradients + step_.bias.offset;
    with_element(dst_.type, [&](auto element) {
      const auto* dy = reinterpret_cast<decltype(element)*>(y(b));
      pool_.ranges(O, [&](int64_t first, int64_t last) {
        for (int64_t o = first; o < last; o++) bias[o] = 0;
        for (int64_t n = 0; n < output_.count; n++)
          for (int64_t o = first; o < last; o++) bias[o] += to_float(dy[n * output_.stride + o]);
      });
    });
  }

  dnnl::matmul matmul_;
  dnnl::reorder unpermute_;
  memory::desc transposed_, product_, bias_;
  int64_t product_at_ = -1;
};

}  // namespace

Kernel make_linear_matmul(gn_device& device, const gn_step& step) {
  return std::make_unique<LinearMatmul>(device, step);
}

}  // namespace googlenet::cpu
