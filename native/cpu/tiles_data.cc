// Convolution by tiles forward, and backward data: the same convolution with rotated, transposed weights and other
// padding. The source is packed chunk by chunk, each of which fits the second-level cache:
//   apart     each thread packs a chunk, then multiplies it by all weights
//   together  all threads pack, then divide the outputs: where weights are larger than the source, each is read once
#include <algorithm>
#include <array>
#include <vector>

#include "backend/scratch.h"
#include "core/status.h"
#include "cpu/tiles.h"
#include "cpu/tiles_plan.h"
#include "cpu/tiles_weights.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

constexpr int64_t kChunkBytes = 384 << 10;
constexpr int64_t kItemsAThread = 8, kFewestTiles = 4;

TileShape shape_of(const gn_step& step, const gn_tensor& src, const gn_tensor& dst, bool backward,
                   const TileKernels& kernels) {
  const gn_attributes& a = step.attributes;
  const int64_t src_pixels = int64_t(src.h) * src.w, dst_pixels = int64_t(dst.h) * dst.w;
  TileShape s;
  s.n = dst.n, s.h = src.h, s.w = src.w, s.out_h = dst.h, s.out_w = dst.w;
  s.kernel_h = a.kernel_h, s.kernel_w = a.kernel_w, s.stride_h = a.stride_h, s.stride_w = a.stride_w;
  s.pad_h = backward ? a.kernel_h - 1 - a.pad_h : a.pad_h;
  s.pad_w = backward ? a.kernel_w - 1 - a.pad_w : a.pad_w;
  s.planar = src.planar;
  s.parts = src.type == GN_U8 ? kernels.byte_parts : kernels.bf16_parts;
  s.rows_at_once = kernels.rows_at_once;
  s.pixel_bytes = kernels.bf16_parts == 2 ? 8 : src.c * 4;
  s.inputs = src.planar ? src.c : src.span, s.outputs = dst.span;
  s.src_image = (src.planar ? src.c : src.channels) * src_pixels, s.dst_image = dst.channels * dst_pixels;
  s.src_plane = (src.planar ? 1 : 16) * src_pixels, s.dst_plane = 16 * dst_pixels;
  return s;
}

class TileData : public gn_kernel {
 public:
  TileData(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(*device.tiles),
        backward_(step.direction == GN_BACKWARD_DATA),
        src_(backward_ ? step.diff_dst : step.src),
        dst_(backward_ ? step.diff_src : step.dst),
        bias_at_(backward_ ? -1 : step.bias.offset),
        weights_(TileWeights::shared(device, {step.weights.offset, step.attributes.kernel_h, step.attributes.kernel_w,
                                              src_.planar ? src_.c : src_.span, dst_.span, backward_, src_.planar != 0,
                                              src_.scales, src_.means})),
        together_(weights_->bytes() > int64_t(src_.n) * src_.h * src_.w * src_.span * gn_bytes_of(src_.type) &&
                  pool_.threads() > 1),
        plan_(shape_of(step, src_, dst_, backward_, kernels_), kChunkBytes, together_ ? 1 : pool_.threads()) {
    if (step.accumulate || step.mask.arena != GN_NONE)
      throw Failure(Code::INTERNAL, "a convolution can neither accumulate nor mask");
    implementation = kernels_.name + std::string(src_.type == GN_U8 ? ":int8" : ":bf16");
    product_ = {plan_.rows,         plan_.row_bytes,    plan_.steps(),         plan_.offsets.data(),
                plan_.to.data(),    dst_.span / 16,     plan_.shape.dst_plane, !backward_ && step.attributes.relu,
                src_.type == GN_U8, dst_.type == GN_U8, dst_.type == GN_F32};
    product_.tile_bytes = weights_->tile_bytes();
    if (src_.planar && kernels_.bf16_parts == 1) product_.words = plan_.shape.kernel_w * src_.c;
    Scratch scratch;
    packed_at_ = scratch.add((together_ ? int64_t(plan_.chunks.size()) : pool_.threads()) * plan_.chunk_bytes);
    scratch_bytes = scratch.bytes();
  }

  void sync(const gn_bindings& bindings) override {
    weights_->refresh(bindings, pool_);
    if (!product_.bytes_in && !product_.bytes_out) return;
    scale_.assign(size_t(dst_.span), 1), bias_.assign(size_t(dst_.span), 0);
    for (size_t o = 0; o < scale_.size(); o++) {
      if (bias_at_ >= 0) bias_[o] = bindings.parameters[bias_at_ + int64_t(o)];
      if (product_.bytes_in) scale_[o] = weights_->steps()[o], bias_[o] += weights_->lost()[o];
      if (product_.bytes_out) scale_[o] /= dst_.scales[o], bias_[o] /= dst_.scales[o];
    }
  }

  void run(const gn_bindings& b) override {
    const int64_t count = int64_t(plan_.chunks.size()), pairs = (product_.blocks + 1) / 2;
    if (!together_) {
      pool_.items(count, [&](int64_t slot, int64_t i) {
        const TilePlan::Chunk& chunk = plan_.chunks[size_t(i)];
        pack(b, chunk, packed(b, slot), 0, parts(chunk));
        multiply(b, chunk, packed(b, slot), {chunk.first, chunk.last}, {0, int(pairs)});
      });
      return;
    }
    for (int64_t i = 0; i < count; i++) {
      const TilePlan::Chunk& chunk = plan_.chunks[size_t(i)];
      pool_.ranges(parts(chunk), [&](int64_t first, int64_t last) { pack(b, chunk, packed(b, i), first, last); });
    }
    // Pairs of outputs are few: some tiles of one are an item, so that no thread waits long for another. Chunks differ
    // by two tiles at most, so none is cut into nothing.
    const int64_t most = std::max<int64_t>(1, (plan_.chunks[0].last - plan_.chunks[0].first) / kFewestTiles);
    const int64_t cuts = std::min(most, (kItemsAThread * pool_.threads() + count * pairs - 1) / (count * pairs));
    pool_.items(count * pairs * cuts, [&](int64_t, int64_t item) {
      const int64_t cut = item % cuts, i = item / cuts % count, pair = item / cuts / count;
      const TilePlan::Chunk& chunk = plan_.chunks[size_t(i)];
      const int64_t twos = (chunk.last - chunk.first + 1) / 2;
      const Range tiles = {int(chunk.first + twos * cut / cuts * 2),
                           std::min(chunk.last, int(chunk.first + twos * (cut + 1) / cuts * 2))};
      multiply(b, chunk, packed(b, i), tiles, {int(pair), int(pair + 1)});
    });
  }

 private:
  char* packed(const gn_bindings& b, int64_t slot) const {
    return static_cast<char*>(Scratch::at(b, packed_at_)) + slot * plan_.chunk_bytes;
  }
  const char* src(const gn_bindings& b, const TilePlan::Chunk& chunk) const {
    return static_cast<const char*>(b.arenas[src_.arena]) + view_offset(src_) +
           int64_t(chunk.group) * plan_.group * plan_.shape.src_image * gn_bytes_of(src_.type);
  }

  /** What packing can be divided into: rows of a planar source, tiles that have rows of their own, or planes. */
  int64_t parts(const TilePlan::Chunk& c) const {
    return src_.planar ? c.high - c.low : plan_.alone ? c.last - c.first : plan_.planes();
  }
  void pack(const gn_bindings& b, const TilePlan::Chunk& chunk, char* to, int64_t first, int64_t last) const {
    const char* from = src(b, chunk);
    if (src_.planar) {
      for (int64_t row = first; row < last; row++) pack_row(from, chunk.low + row, to + row * plan_.unit_bytes);
    } else if (plan_.alone) {  // plane by plane, as the source lies
      for (int plane = 0; plane < plan_.planes(); plane++)
        for (int64_t tile = first; tile < last; tile++)
          pack_plane(from, plane, plan_.tiles[size_t(chunk.first + tile)].to, plan_.rows,
                     to + (tile * plan_.planes() + plane) * plan_.block_bytes);
    } else {
      for (int64_t plane = first; plane < last; plane++)
        pack_plane(from, int(plane), chunk.low, chunk.high - chunk.low, to + plane * plan_.block_bytes);
    }
  }
  void pack_row(const char* src, int64_t row, char* to) const {
    const TileShape& s = plan_.shape;
    const int64_t y = row - s.pad_h;
    const uint16_t* from = y < 0 || y >= s.h ? nullptr : reinterpret_cast<const uint16_t*>(src) + y * s.w;
    kernels_.pack_planar(from, s.src_plane, s.inputs, s.w, s.pad_w, int(plan_.unit_bytes / s.pixel_bytes), to);
  }
  void pack_plane(const char* src, int plane, int64_t position, int64_t count, char* to) const {
    if (product_.bytes_in)
      kernels_.pack_bytes(parts_of(reinterpret_cast<const uint8_t*>(src), plane, position).data(), count, to);
    else
      kernels_.pack(parts_of(reinterpret_cast<const uint16_t*>(src), plane, position).data(), count, to);
  }
  /** The blocks of a packed plane's rows; the last plane's few blocks come again as the next taps of a row. */
  template <class Element>
  std::array<TilePart<Element>, 4> parts_of(const Element* src, int plane, int64_t position) const {
    const int parts = plan_.shape.parts, blocks = std::min(parts, src_.span / 16 - parts * plane);
    const int taps = tile_taps(blocks, plan_.shape.kernel_w, parts);
    std::array<TilePart<Element>, 4> result = {};
    for (int p = 0; p < blocks * taps; p++)
      result[size_t(p)] = {src + (parts * plane + p % blocks) * plan_.shape.src_plane,
                           plan_.from.data() + position + p / blocks * plan_.group};
    return result;
  }

  struct Range {
    int first, last;
  };
  /** Some tiles of a packed chunk by some pairs of output blocks. */
  void multiply(const gn_bindings& b, const TilePlan::Chunk& chunk, const char* packed, Range tiles,
                Range pairs) const {
    char* dst = static_cast<char*>(b.arenas[dst_.arena]) + view_offset(dst_) +
                int64_t(chunk.group) * plan_.group * plan_.shape.dst_image * gn_bytes_of(dst_.type);
    const float* bias = !bias_.empty() ? bias_.data() : bias_at_ < 0 ? nullptr : b.parameters + bias_at_;
    kernels_.product(product_, plan_.tiles.data() + tiles.first, tiles.last - tiles.first, packed + plan_.start(chunk),
                     weights_->data(), scale_.data(), bias, dst, pairs.first, pairs.last);
  }

  ThreadPool& pool_;
  const TileKernels& kernels_;
  const bool backward_;
  const gn_tensor src_, dst_;  // backward: diff_dst and diff_src
  const int64_t bias_at_;
  const std::shared_ptr<TileWeights> weights_;
  const bool together_;
  const TilePlan plan_;
  TileProduct product_;
  std::vector<float> scale_, bias_;  // by output, where bytes come in or go out
  int64_t packed_at_;
};

}  // namespace

Kernel make_tiles_data(gn_device& device, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const bool backward = step.direction == GN_BACKWARD_DATA;
  const gn_tensor& src = backward ? step.diff_src : step.src;
  const gn_tensor& dst = backward ? step.diff_dst : step.dst;
  if (src.type == GN_F32 || (dst.type == GN_F32 && (backward || src.type != GN_BF16)) || a.groups != 1 ||
      a.dilation_h != 1 || a.dilation_w != 1)
    return nullptr;
  const bool can = src.planar ? !backward && src.c <= 4 && a.kernel_w <= 8 : a.stride_h == 1 && a.stride_w == 1;
  return can ? std::make_unique<TileData>(device, step) : nullptr;
}

// Caffe flattens (C, H, W), which are a window's weights.
Kernel make_tiles_linear(gn_device& device, const gn_step& step) {
  if (step.direction != GN_FORWARD || step.src.planar) return nullptr;
  gn_step window = step;
  gn_attributes& a = window.attributes;
  a.kernel_h = step.src.h, a.kernel_w = step.src.w, a.pad_h = a.pad_w = 0;
  a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = a.groups = 1;
  return make_tiles_data(device, window);
}

}  // namespace googlenet::cpu
