// Winograd forward, and backward data: the same convolution with rotated, transposed weights and other padding. Tiles
// are worked on in blocks whose transformed inputs V fit the second-level cache:
//   many tiles   each thread takes whole blocks: transform, then chunk by chunk of outputs products and output
//   few tiles    all threads transform one V, then divide blocks and chunks: the weights are read once
#include <algorithm>

#include "backend/scratch.h"
#include "core/status.h"
#include "cpu/cache.h"
#include "cpu/simd.h"
#include "cpu/view.h"
#include "cpu/winograd.h"
#include "cpu/winograd_tiles.h"
#include "cpu/winograd_weights.h"

namespace googlenet::cpu {
namespace {

constexpr int64_t kLeastBlock = 400 << 10;  // bytes of V
constexpr int kFewTiles = 24;               // a thread

/** Bytes of V: with M and the next weights within the second-level cache; where threads share it, as few blocks as may be,
 *  since each reads all weights. */
int64_t block_bytes(bool shared) {
  const int64_t cache = second_level_cache();
  return std::max(kLeastBlock, shared ? cache / 2 : cache * 3 / 10);
}

class WinogradData : public gn_kernel {
 public:
  WinogradData(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(kernels(device.isa)),
        backward_(step.direction == GN_BACKWARD_DATA),
        bias_at_(backward_ ? -1 : step.bias.offset),
        src_(backward_ ? step.diff_dst : step.src, device.block),
        dst_(backward_ ? step.diff_src : step.dst, device.block),
        taps_(step.attributes.kernel_h),
        points_(winograd_point_count(taps_)),
        few_(WinogradTiles::count(dst_.n, dst_.h, dst_.w) < int64_t(kFewTiles) * pool_.threads()),
        tiles_(taps_, dst_.n, dst_.h, dst_.w, block_count()),
        weights_(WinogradWeights::shared(device, {step.weights.offset, taps_, src_.span, dst_.span, backward_})) {
    implementation = std::string("winograd:") + isa_name(device.isa);
    if (step.accumulate || step.mask.arena != GN_NONE)
      throw Failure(Code::INTERNAL, "a convolution can neither accumulate nor mask");
    const gn_attributes& a = step.attributes;
    shape_ = {taps_,
              src_.h,
              src_.w,
              dst_.h,
              dst_.w,
              backward_ ? taps_ - 1 - a.pad_h : a.pad_h,
              backward_ ? taps_ - 1 - a.pad_w : a.pad_w,
              {tiles_.tile_h[0], tiles_.tile_h[1]},
              {tiles_.tile_w[0], tiles_.tile_w[1]},
              src_.span,
              dst_.span,
              src_.image,
              dst_.image,
              tiles_.point_stride(src_.span),
              tiles_.point_stride(kernels_.winograd_chunk),
              step.direction == GN_FORWARD && a.relu};
    const int64_t threads = pool_.threads(), slots = few_ ? int64_t(tiles_.blocks.size()) : threads;
    v_floats_ = points_ * shape_.v_point, m_floats_ = points_ * shape_.m_point;
    Scratch scratch;
    v_at_ = scratch.add_floats(slots * v_floats_);
    m_at_ = scratch.add_floats(threads * m_floats_);
    scratch_bytes = scratch.bytes();
  }

  void sync(const gn_bindings& bindings) override { weights_->refresh(bindings, pool_); }

  void run(const gn_bindings& bindings) override {
    if (few_)
      run_together(bindings);
    else
      run_apart(bindings);
  }

 private:
  /** As many tiles a block as the budget allows, and blocks a multiple of the threads. */
  int64_t block_count() const {
    const int64_t total = WinogradTiles::count(dst_.n, dst_.h, dst_.w);
    const int64_t tiles = std::max<int64_t>(12, block_bytes(few_) / (int64_t(sizeof(float)) * points_ * src_.span));
    const int64_t blocks = (total + tiles - 1) / tiles, threads = pool_.threads();
    return few_ ? blocks : (blocks + threads - 1) / threads * threads;
  }
  const float* bias(const gn_bindings& b) const { return bias_at_ < 0 ? nullptr : b.parameters + bias_at_; }
  float* v(const gn_bindings& b, int64_t slot) const { return Scratch::floats(b, v_at_) + slot * v_floats_; }
  float* m(const gn_bindings& b, int64_t slot) const { return Scratch::floats(b, m_at_) + slot * m_floats_; }
  int64_t chunks() const { return (shape_.outputs + kernels_.winograd_chunk - 1) / kernels_.winograd_chunk; }

  void run_apart(const gn_bindings& b) {
    const float* src = src_.bind<float>(b);
    float* dst = dst_.bind<float>(b);
    pool_.items(int64_t(tiles_.blocks.size()), [&](int64_t slot, int64_t i) {
      const WinogradBlock& block = tiles_.blocks[size_t(i)];
      kernels_.winograd_input(shape_, block, src, v(b, slot), 0, int64_t(block.first[4]) * src_.blocks);
      kernels_.winograd_output(shape_, block, v(b, slot), weights_->data(), bias(b), dst, m(b, slot), 0, int(chunks()));
    });
  }

  void run_together(const gn_bindings& b) {
    const float* src = src_.bind<float>(b);
    float* dst = dst_.bind<float>(b);
    for (size_t i = 0; i < tiles_.blocks.size(); i++) {
      const WinogradBlock& block = tiles_.blocks[i];
      pool_.ranges(int64_t(block.first[4]) * src_.blocks, [&](int64_t first, int64_t last) {
        kernels_.winograd_input(shape_, block, src, v(b, int64_t(i)), first, last);
      });
    }
    const int64_t blocks = int64_t(tiles_.blocks.size());
    pool_.items(blocks * chunks(), [&](int64_t slot, int64_t item) {
      const int64_t i = item % blocks, chunk = item / blocks;
      kernels_.winograd_output(shape_, tiles_.blocks[size_t(i)], v(b, i), weights_->data(), bias(b), dst, m(b, slot),
                               int(chunk), int(chunk + 1));
    });
  }

  ThreadPool& pool_;
  const Kernels& kernels_;
  const bool backward_;
  const int64_t bias_at_;
  const View src_, dst_;  // backward: diff_dst and diff_src
  const int taps_, points_;
  const bool few_;
  const WinogradTiles tiles_;
  const std::shared_ptr<WinogradWeights> weights_;
  WinogradShape shape_;
  int64_t v_floats_, m_floats_, v_at_, m_at_;
};

}  // namespace

Kernel make_winograd_data(gn_device& device, const gn_step& step) {
  return std::make_unique<WinogradData>(device, step);
}

}  // namespace googlenet::cpu
