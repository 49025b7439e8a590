// What the two ways of computing a fully connected layer share: views as matrices, and weights in their order.
// A source view is a row of K = span·h·w elements per image in blocked order [span/block][h][w][block]; weights are
// permuted to that order from Caffe's (C, H, W) when h·w > 1.
#pragma once
#include "cpu/onednn.h"

namespace googlenet::cpu {

using dnnl::memory;

/** dims (N, columns), rows `stride` elements apart. */
struct Rows {
  memory::data_type type;
  int64_t count, columns, stride;
};

class Linear : public gn_kernel {
 public:
  Linear(gn_device& device, const gn_step& step);
  void sync(const gn_bindings& bindings) override;

 protected:
  static constexpr auto f32 = memory::data_type::f32;

  bool has_bias() const { return step_.bias.offset >= 0; }
  bool permutes() const { return permuted_ != plain_; }
  dnnl::primitive_attr attributes() const;  // with the ReLU where the step is a forward with one
  /** The step's weights for a primitive that sees them as `viewed` and wants `target`. */
  std::shared_ptr<Weights> weights(const memory::desc& viewed, const memory::desc& target);
  template <class Desc>
  void adopt(const Desc& desc) {
    implementation = desc.impl_info_str();
    pad_ = desc.scratchpad_desc();
    pad_at_ = scratch_.add(pad_.get_size());
    scratch_bytes = scratch_.bytes();
  }
  void execute(const dnnl::primitive& primitive, std::unordered_map<int, memory> arguments, const gn_bindings& b);
  memory at(const memory::desc& desc, void* data) { return memory(desc, onednn_.engine, data); }
  char* x(const gn_bindings& b) const { return view_start(src_, b); }  // the source or its gradient
  char* y(const gn_bindings& b) const { return view_start(dst_, b); }  // the output or its gradient

  Onednn& onednn_;
  ThreadPool& pool_;
  const gn_step step_;
  const gn_tensor src_, dst_;
  const Rows source_, output_;
  const memory::data_type multiplied_;  // type of the weights' copy
  const int64_t K, O;
  memory::desc plain_, permuted_;
  memory::desc x_desc_, y_desc_;
  Scratch scratch_;
  std::shared_ptr<Weights> weights_;

 private:
  memory::desc pad_;
  int64_t pad_at_ = 0;
};

/** By oneDNN's matmul: brgemm on AVX-512, where its inner product answers with reference-speed gemm. */
Kernel make_linear_matmul(gn_device& device, const gn_step& step);
/** By oneDNN's inner product: brgemm on AVX2, where its matmul answers with reference-speed gemm. */
Kernel make_linear_product(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
