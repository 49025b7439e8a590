// Convolution by oneDNN's direct kernels on channel-blocked slices: forward with bias and ReLU fused, backward data,
// backward weights with the bias. Backward weights of windows larger than 1x1 would fall to reference code on a
// slice (measured), so slices are first copied to dense scratch: 1 % of a step. Without AVX-512 they would also where
// the window is larger than the map (5x5 on 4x4), so such maps grow by rows and columns of zeros on their way.
#include <cstring>

#include "core/status.h"
#include "cpu/onednn.h"
#include "cpu/tiles.h"
#include "cpu/tuning.h"
#include "cpu/winograd.h"

namespace googlenet::cpu {

namespace {

using dnnl::memory;

struct Problem {
  memory::desc src, dst, plain_weights, bias;
  memory::desc any_weights;  // what is multiplied: of the source's type
  memory::dims stride, dilation, pad_left, pad_right;
};

memory::dims weight_dims(const gn_step& step, const gn_tensor& src, const gn_tensor& dst) {
  return {dst.span, src.planar ? src.c : src.span, step.attributes.kernel_h, step.attributes.kernel_w};
}

// Floor mode may leave source rows unread: the right padding is what makes the output size come out.
int64_t right_pad(int src, int dst, int kernel, int stride, int pad, int dilation) {
  return int64_t(dst - 1) * stride + dilation * (kernel - 1) + 1 - src - pad;
}

Problem problem_of(const gn_device& device, const gn_step& step, const gn_tensor& src, const gn_tensor& dst) {
  const gn_attributes& a = step.attributes;
  const memory::dims weights = weight_dims(step, src, dst);
  Problem p;
  p.src = describe(device, src);
  p.dst = describe(device, dst);
  p.plain_weights = memory::desc(weights, memory::data_type::f32, memory::format_tag::oihw);
  p.any_weights = memory::desc(weights, data_type_of(device.type), memory::format_tag::any);
  if (step.bias.offset >= 0) p.bias = memory::desc({dst.span}, memory::data_type::f32, memory::format_tag::x);
  p.stride = {a.stride_h, a.stride_w};
  p.dilation = {a.dilation_h - 1, a.dilation_w - 1};
  p.pad_left = {a.pad_h, a.pad_w};
  p.pad_right = {right_pad(src.h, dst.h, a.kernel_h, a.stride_h, a.pad_h, a.dilation_h),
                 right_pad(src.w, dst.w, a.kernel_w, a.stride_w, a.pad_w, a.dilation_w)};
  return p;
}

/** What oneDNN prefers; on arm64 of its implementations the first without SVE: in 3.7.2 those of 1x1 write beyond their slice
 *  of a buffer (seen with vectors of 256 and 512 bits, emulated: `npm run test:arm64`). */
template <class Desc>
Desc preferred(Desc desc) {
#if defined(__aarch64__)
  while (std::strstr(desc.impl_info_str(), "sve") && desc.next_impl()) {
  }
#endif
  return desc;
}

using Forward = dnnl::convolution_forward;

Forward::primitive_desc forward_desc(const gn_device& device, const Problem& p, bool relu, bool training) {
  auto attributes = user_scratchpad();
  if (relu) {
    dnnl::post_ops ops;
    ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    attributes.set_post_ops(ops);
  }
  return preferred(Forward::primitive_desc(
      device.onednn->engine, training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference,
      dnnl::algorithm::convolution_direct, p.src, p.any_weights, p.bias, p.dst, p.stride, p.dilation, p.pad_left,
      p.pad_right, attributes));
}

/** What all three directions share: the primitive, its scratchpad and the memories it reads and writes. */
class Conv : public gn_kernel {
 public:
  Conv(gn_device& device, const gn_step& step) : onednn_(*device.onednn), step_(step) {}

 protected:
  template <class Desc>
  void adopt(const Desc& desc) {
    implementation = desc.impl_info_str();
    pad_ = memory(desc.scratchpad_desc(), onednn_.engine, nullptr);
    pad_at_ = scratch_.add(desc.scratchpad_desc().get_size());
    scratch_bytes = scratch_.bytes();
  }
  memory unbound(const memory::desc& desc) { return memory(desc, onednn_.engine, nullptr); }
  memory& bound(memory& m, void* data) {
    m.set_data_handle(data);
    return m;
  }
  void execute(const dnnl::primitive& primitive, std::unordered_map<int, memory> arguments,
               const gn_bindings& bindings) {
    arguments.emplace(DNNL_ARG_SCRATCHPAD, bound(pad_, Scratch::at(bindings, pad_at_)));
    primitive.execute(onednn_.stream, arguments);
    onednn_.stream.wait();
  }

  Onednn& onednn_;
  const gn_step step_;
  Scratch scratch_;
  memory pad_;
  int64_t pad_at_ = 0;
};

class ConvForward : public Conv {
 public:
  ConvForward(gn_device& device, const gn_step& step) : Conv(device, step) {
    const Problem p = problem_of(device, step, step.src, step.dst);
    const auto desc = forward_desc(device, p, step.attributes.relu, step.training);
    primitive_ = Forward(desc);
    weights_ =
        onednn_.weights(step.weights.offset, p.plain_weights, p.plain_weights, p.plain_weights, desc.weights_desc());
    src_ = unbound(p.src), dst_ = unbound(p.dst);
    if (step.bias.offset >= 0) bias_ = unbound(p.bias);
    adopt(desc);
  }
  void sync(const gn_bindings& bindings) override { weights_->refresh(bindings, onednn_.stream); }
  void run(const gn_bindings& b) override {
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, bound(src_, buffer_of(step_.src, b))},
                                              {DNNL_ARG_WEIGHTS, weights_->memory()},
                                              {DNNL_ARG_DST, bound(dst_, buffer_of(step_.dst, b))}};
    if (step_.bias.offset >= 0) arguments.emplace(DNNL_ARG_BIAS, bound(bias_, b.parameters + step_.bias.offset));
    execute(primitive_, std::move(arguments), b);
  }

 private:
  Forward primitive_;
  std::shared_ptr<Weights> weights_;
  memory src_, dst_, bias_;
};

class ConvBackwardData : public Conv {
 public:
  ConvBackwardData(gn_device& device, const gn_step& step) : Conv(device, step) {
    if (step.accumulate || step.mask.arena != GN_NONE)
      throw Failure(Code::INTERNAL, "a convolution's backward data can neither accumulate nor mask");
    Problem p = problem_of(device, step, step.diff_src, step.diff_dst);
    const auto hint = forward_desc(device, p, false, true);
    const auto desc = preferred(dnnl::convolution_backward_data::primitive_desc(
        onednn_.engine, dnnl::algorithm::convolution_direct, p.src, p.any_weights, p.dst, p.stride, p.dilation,
        p.pad_left, p.pad_right, hint, user_scratchpad()));
    primitive_ = dnnl::convolution_backward_data(desc);
    weights_ =
        onednn_.weights(step.weights.offset, p.plain_weights, p.plain_weights, p.plain_weights, desc.weights_desc());
    diff_src_ = unbound(p.src), diff_dst_ = unbound(p.dst);
    adopt(desc);
  }
  void sync(const gn_bindings& bindings) override { weights_->refresh(bindings, onednn_.stream); }
  void run(const gn_bindings& b) override {
    execute(primitive_,
            {{DNNL_ARG_DIFF_DST, bound(diff_dst_, buffer_of(step_.diff_dst, b))},
             {DNNL_ARG_WEIGHTS, weights_->memory()},
             {DNNL_ARG_DIFF_SRC, bound(diff_src_, buffer_of(step_.diff_src, b))}},
            b);
  }

 private:
  dnnl::convolution_backward_data primitive_;
  std::shared_ptr<Weights> weights_;
  memory diff_src_, diff_dst_;
};

/** Copies a view to a dense buffer whose maps may be larger (h x w): zeros on the right and below. One image a task. */
void pack(ThreadPool& pool, const gn_tensor& view, int h, int w, int block, const gn_bindings& bindings, char* dense) {
  const int64_t element = gn_bytes_of(view.type), plane = view.h * view.w * element, grown = h * w * element;
  const char* start = view_start(view, bindings);
  pool.parallel(view.n, [&](int64_t n) {
    const char* src = start + n * view.channels * plane;
    char* dst = dense + n * view.span * grown;
    if (grown == plane) {
      std::memcpy(dst, src, size_t(view.span * plane));
      return;
    }
    std::memset(dst, 0, size_t(view.span * grown));
    for (int row = 0; row < view.span / block * view.h; row++)
      std::memcpy(dst + (row / view.h * grown + row % view.h * w * element) * block,
                  src + row * view.w * block * element, size_t(view.w * block * element));
  });
}

/** How many outputs must be added so that the map is no smaller than the window. */
int missing_outputs(int src, int kernel, int dilation, int stride) {
  const int lacking = dilation * (kernel - 1) + 1 - src;
  return lacking > 0 ? (lacking + stride - 1) / stride : 0;
}

class ConvBackwardWeights : public Conv {
 public:
  ConvBackwardWeights(gn_device& device, const gn_step& step)
      : Conv(device, step), pool_(*device.pool), block_(device.block), grown_src_(step.src), grown_dst_(step.diff_dst) {
    const gn_attributes& a = step.attributes;
    if (device.isa != Isa::avx512 && !step.src.planar) {
      const int rows = missing_outputs(step.src.h, a.kernel_h, a.dilation_h, a.stride_h);
      const int columns = missing_outputs(step.src.w, a.kernel_w, a.dilation_w, a.stride_w);
      grown_src_.h += rows * a.stride_h, grown_src_.w += columns * a.stride_w;
      grown_dst_.h += rows, grown_dst_.w += columns;
    }
    const bool grows = grown_dst_.h != step.diff_dst.h || grown_dst_.w != step.diff_dst.w;
    const bool dense = a.kernel_h > 1 || a.kernel_w > 1;
    Problem p = problem_of(device, step, grown_src_, grown_dst_);
    if (grows || (dense && is_slice(step.src))) {
      p.src = describe_dense(device, grown_src_);
      src_at_ = scratch_.add(p.src.get_size());
    }
    if (grows || (dense && is_slice(step.diff_dst))) {
      p.dst = describe_dense(device, grown_dst_);
      dst_at_ = scratch_.add(p.dst.get_size());
    }
    const auto hint = forward_desc(device, p, false, true);
    const memory::desc any_gradient(p.plain_weights.get_dims(), memory::data_type::f32, memory::format_tag::any);
    const auto desc = preferred(dnnl::convolution_backward_weights::primitive_desc(
        onednn_.engine, dnnl::algorithm::convolution_direct, p.src, any_gradient, p.bias, p.dst, p.stride, p.dilation,
        p.pad_left, p.pad_right, hint, user_scratchpad()));
    primitive_ = dnnl::convolution_backward_weights(desc);
    src_ = unbound(p.src), diff_dst_ = unbound(p.dst), plain_ = unbound(p.plain_weights);
    if (step.bias.offset >= 0) bias_ = unbound(p.bias);
    reorders_ = desc.diff_weights_desc() != p.plain_weights;
    if (reorders_) {
      weights_ = unbound(desc.diff_weights_desc());
      weights_at_ = scratch_.add(desc.diff_weights_desc().get_size());
      reorder_ = dnnl::reorder(weights_, plain_);
    }
    adopt(desc);
  }
  void run(const gn_bindings& b) override {
    char* src = static_cast<char*>(buffer_of(step_.src, b));
    char* dst = static_cast<char*>(buffer_of(step_.diff_dst, b));
    if (src_at_ >= 0) {
      src = static_cast<char*>(Scratch::at(b, src_at_));
      pack(pool_, step_.src, grown_src_.h, grown_src_.w, block_, b, src);
    }
    if (dst_at_ >= 0) {
      dst = static_cast<char*>(Scratch::at(b, dst_at_));
      pack(pool_, step_.diff_dst, grown_dst_.h, grown_dst_.w, block_, b, dst);
    }
    float* gradient = b.gradients + step_.weights.offset;
    bound(plain_, gradient);
    if (reorders_) bound(weights_, Scratch::at(b, weights_at_));
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, bound(src_, src)},
                                              {DNNL_ARG_DIFF_DST, bound(diff_dst_, dst)},
                                              {DNNL_ARG_DIFF_WEIGHTS, reorders_ ? weights_ : plain_}};
    if (step_.bias.offset >= 0) arguments.emplace(DNNL_ARG_DIFF_BIAS, bound(bias_, b.gradients + step_.bias.offset));
    execute(primitive_, std::move(arguments), b);
    if (reorders_) {
      reorder_.execute(onednn_.stream, weights_, plain_);
      onednn_.stream.wait();
    }
    if (step_.attributes.groups > 1) clear_off_blocks(gradient);
  }

 private:
  // Grouped weights are held dense and block-diagonal.
  void clear_off_blocks(float* gradient) {
    const gn_attributes& a = step_.attributes;
    const int inner = a.kernel_h * a.kernel_w, outputs = step_.diff_dst.c, inputs = step_.src.c;
    for (int o = 0; o < outputs; o++) {
      const int group = o / (outputs / a.groups), first = group * (inputs / a.groups);
      const int last = first + inputs / a.groups;
      float* row = gradient + int64_t(o) * step_.src.span * inner;
      std::fill(row, row + first * inner, 0.f);
      std::fill(row + last * inner, row + step_.src.span * inner, 0.f);
    }
  }

  ThreadPool& pool_;
  const int block_;
  gn_tensor grown_src_, grown_dst_;  // the step's own, or with larger maps
  dnnl::convolution_backward_weights primitive_;
  dnnl::reorder reorder_;
  bool reorders_ = false;
  int64_t src_at_ = -1, dst_at_ = -1, weights_at_ = -1;
  memory src_, diff_dst_, weights_, plain_, bias_;
};

Kernel make_direct(gn_device& device, const gn_step& step) {
  switch (step.direction) {
    case GN_FORWARD: return std::make_unique<ConvForward>(device, step);
    case GN_BACKWARD_DATA: return std::make_unique<ConvBackwardData>(device, step);
    default: return std::make_unique<ConvBackwardWeights>(device, step);
  }
}

}  // namespace

Kernel make_conv(gn_device& device, const gn_step& step) {
  if (device.tune && winograd_may(device, step))
    if (Kernel kernel = tuned(device, step, {{"direct", make_direct}, {"winograd", make_winograd_anyway}}))
      return kernel;
  if (Kernel winograd = make_winograd(device, step)) return winograd;
  if (Kernel tiles = make_tiles(device, step)) return tiles;
  if (device.int8 && device.isa != Isa::avx512)
    throw Failure(Code::UNSUPPORTED,
                  std::string("convolution '") + step.name +
                      "' has a stride, groups or a dilation, which int8 supports with AVX-512 alone, "
                      "and this processor is used as " +
                      isa_name(device.isa) + "; use f32");
  return make_direct(device, step);
}

}  // namespace googlenet::cpu
