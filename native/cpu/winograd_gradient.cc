// Winograd backward weights: for a block of tiles after the other, all threads transform its inputs (V) and its outputs'
// gradients (Z), then divide the points, dU += V' Z; at the end the weights' gradient is transformed back. Blocks do not
// depend on the threads, so neither do the sums. The bias' gradient is the sum of the tiles' sums.
#include <algorithm>

#include "backend/scratch.h"
#include "cpu/cache.h"
#include "cpu/simd.h"
#include "cpu/view.h"
#include "cpu/winograd.h"
#include "cpu/winograd_tiles.h"

namespace googlenet::cpu {
namespace {

/** Tiles of a block, 96 a MiB of the second-level cache: more are more to stream, fewer read and write dU more often. */
int64_t block_tiles() { return 96 * std::max<int64_t>(1, second_level_cache() >> 20); }

int64_t block_count(const gn_tensor& diff_dst) {
  return (WinogradTiles::count(diff_dst.n, diff_dst.h, diff_dst.w) + block_tiles() - 1) / block_tiles();
}

class WinogradGradient : public gn_kernel {
 public:
  WinogradGradient(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(kernels(device.isa)),
        weights_(step.weights.offset),
        bias_(step.bias.offset),
        src_(step.src, device.block),
        diff_dst_(step.diff_dst, device.block),
        taps_(step.attributes.kernel_h),
        points_(winograd_point_count(taps_)),
        tiles_(taps_, src_.n, diff_dst_.h, diff_dst_.w, block_count(step.diff_dst)) {
    implementation = std::string("winograd:") + isa_name(device.isa);
    shape_ = {};
    shape_.taps = taps_;
    shape_.h = src_.h, shape_.w = src_.w, shape_.out_h = diff_dst_.h, shape_.out_w = diff_dst_.w;
    shape_.pad_h = step.attributes.pad_h, shape_.pad_w = step.attributes.pad_w;
    std::copy_n(tiles_.tile_h, 2, shape_.tile_h);
    std::copy_n(tiles_.tile_w, 2, shape_.tile_w);
    shape_.inputs = src_.span, shape_.outputs = diff_dst_.span;
    shape_.src_image = src_.image, shape_.dst_image = diff_dst_.image;
    shape_.v_point = tiles_.point_stride(src_.span), shape_.m_point = tiles_.point_stride(diff_dst_.span);
    Scratch scratch;
    v_at_ = scratch.add_floats(points_ * shape_.v_point);
    z_at_ = scratch.add_floats(points_ * shape_.m_point);
    sums_at_ = scratch.add_floats(int64_t(tiles_.largest) * shape_.outputs);
    du_at_ = scratch.add_floats(int64_t(points_) * shape_.inputs * shape_.outputs);
    scratch_bytes = scratch.bytes();
  }

  void run(const gn_bindings& b) override {
    float* bias = bias_ < 0 ? nullptr : b.gradients + bias_;
    if (bias) std::fill_n(bias, shape_.outputs, 0.f);
    for (const WinogradBlock& block : tiles_.blocks) {
      transform(b, block);
      multiply(b, block);
      if (bias) add_sums(at(b, sums_at_), block.first[4], bias);
    }
    pool_.ranges(int64_t(diff_dst_.blocks) * shape_.inputs, [&](int64_t first, int64_t last) {
      kernels_.winograd_diff_weights(taps_, shape_.inputs, shape_.outputs, at(b, du_at_), b.gradients + weights_, first,
                                     last);
    });
  }

 private:
  static float* at(const gn_bindings& b, int64_t offset) { return Scratch::floats(b, offset); }

  void transform(const gn_bindings& b, const WinogradBlock& block) {
    const float *src = src_.bind<float>(b), *diff_dst = diff_dst_.bind<float>(b);
    const int64_t inputs = int64_t(block.first[4]) * src_.blocks, outputs = int64_t(block.first[4]) * diff_dst_.blocks;
    pool_.ranges(inputs + outputs, [&](int64_t first, int64_t last) {
      kernels_.winograd_input(shape_, block, src, at(b, v_at_), first, std::min(last, inputs));
      kernels_.winograd_diff(shape_, block, diff_dst, at(b, z_at_), at(b, sums_at_),
                             std::max<int64_t>(first - inputs, 0), last - inputs);
    });
  }

  /** Points, cut by chunks of outputs where that takes to give every thread several. */
  void multiply(const gn_bindings& b, const WinogradBlock& block) {
    const int chunks = (shape_.outputs + kernels_.winograd_chunk - 1) / kernels_.winograd_chunk;
    const int parts = std::min(chunks, (8 * pool_.threads() + points_ - 1) / points_);
    pool_.items(int64_t(points_) * parts, [&](int64_t, int64_t item) {
      const int point = int(item / parts), part = int(item % parts);
      kernels_.winograd_gradient(shape_, block, point, at(b, v_at_), at(b, z_at_), at(b, du_at_),
                                 &block == &tiles_.blocks.front(), chunks * part / parts, chunks * (part + 1) / parts);
    });
  }

  void add_sums(const float* sums, int tiles, float* bias) const {
    for (int t = 0; t < tiles; t++, sums += shape_.outputs)
      for (int o = 0; o < shape_.outputs; o++) bias[o] += sums[o];
  }

  ThreadPool& pool_;
  const Kernels& kernels_;
  const int64_t weights_, bias_;  // offsets of the parameters
  const View src_, diff_dst_;
  const int taps_, points_;
  const WinogradTiles tiles_;
  WinogradShape shape_;
  int64_t v_at_, z_at_, sums_at_, du_at_;
};

}  // namespace

Kernel make_winograd_gradient(gn_device& device, const gn_step& step) {
  return std::make_unique<WinogradGradient>(device, step);
}

}  // namespace googlenet::cpu
