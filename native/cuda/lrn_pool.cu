// LRN and max pooling in one step, the paper's (lrn.h; windows of 3x3 at stride 2): what is between them stays in a
// block's shared memory, in its type, so that the bits are those of two steps. A thread's own result and its neighbours'
// are ready after a barrier, in one of two ways:
//   Row    the neighbours in channels: a block's threads compute packs that follow each other, and the first and the last
//          one theirs for the neighbour alone. For LRN behind the pool, and backward where the pool comes first.
//   Tiles  the neighbours in the plane: a block computes a tile of 32 (f32: 16) channels with what its windows reach into
//          the next tiles, 1.13 and 1.27 times its own. For the pool behind LRN, and backward where LRN comes first.
#include <type_traits>

#include "cuda/lrn.h"
#include "cuda/pool.h"

namespace googlenet::cuda {
namespace {

constexpr int kKernel = 3, kStride = 2;
template <class T>
using Shape = PoolShape<kKernel, kStride, kPack<T>>;
template <class T>
using OnePack = Pack<T, kPack<T>>;

constexpr int kInner = kThreads - 2;
template <class T>
struct Row {
  OnePack<T> packs[kThreads];
  GN_DEVICE Floats<3 * kPack<T>> around(uint32_t thread, uint32_t channel, uint32_t span) const {
    constexpr int N = kPack<T>;
    return joined<N>(channel > 0 ? load<N>(packs[thread - 1].values) : Floats<N>{}, load<N>(packs[thread].values),
                     channel + N < span ? load<N>(packs[thread + 1].values) : Floats<N>{});
  }
};
/** Work: what a pack's thread has ready for its neighbours, and what is written then. */
template <class T, class Work>
struct OnRow {
  static constexpr int kPhases = 2;
  using Shared = Row<T>;
  Shape<T> s;
  int32_t count;
  uint32_t span;
  Work work;
  GN_DEVICE void operator()(int phase, uint32_t block, uint32_t thread, Shared& shared) const {
    const int64_t i = int64_t(block) * kInner + thread - 1;
    const bool inner = thread > 0 && thread + 1 < uint32_t(kThreads);
    if (i < 0 || i >= count || (phase == 1 && !inner)) return;
    const auto at = s(uint32_t(i));
    if (phase == 0)
      store(shared.packs[thread].values, work.begin(s, at, inner));
    else
      work.end(at, shared.around(thread, at.channel, span), span);
  }
};

template <class T>
struct PoolLrnForward {
  static constexpr int N = kPack<T>;
  using Place = typename Shape<T>::Place;
  PapersLrn lrn;
  View<T> src, middle, dst;  // middle: null at inference, as the index is
  View<uint8_t> index;
  GN_DEVICE Floats<N> begin(const Shape<T>& s, const Place& at, bool inner) const {
    const auto best = maximum(s, at, src);
    if (inner && middle.data) middle.store(at.pixel, at.channel, best.value);
    if (inner) store_index(index, at.pixel, at.channel, best.where);
    return best.value;
  }
  GN_DEVICE void end(const Place& at, const Floats<3 * N>& pooled, uint32_t) const {
    dst.store(at.pixel, at.channel, lrn.forward<N>(pooled, at.channel));
  }
};

template <class T>
struct LrnPoolBackward {
  static constexpr int N = kPack<T>;
  using Place = typename Shape<T>::Place;
  PapersLrn lrn;
  Gradient<T> gradient;
  View<T> src, diff_dst;
  View<uint8_t> index;
  GN_DEVICE Floats<N> begin(const Shape<T>& s, const Place& at, bool) const { return gathered(s, at, diff_dst, index); }
  GN_DEVICE void end(const Place& at, const Floats<3 * N>& dy, uint32_t span) const {
    const auto x = load_around<N>(src, at.pixel, at.channel, span);
    gradient.put(at.pixel, at.channel, lrn.backward<N>(x, dy, at.channel));
  }
};

/** A tile of side x side pixels; the packs of its channels are neighbours. */
constexpr int kPacks = 4;
struct Tile {
  int n, y, x;
  uint32_t channel;
};
class Tiles {
 public:
  Tiles(const gn_tensor& t, int side, int pack)
      : side_(side),
        channels_(kPacks * pack),
        groups_(parts(t.span, channels_)),
        columns_(parts(t.w, side)),
        rows_(parts(t.h, side)),
        count_(checked_threads(int64_t(t.n) * parts(t.h, side) * parts(t.w, side) * parts(t.span, channels_))) {}
  int32_t count() const { return count_; }
  GN_DEVICE Tile operator()(uint32_t block) const {
    const auto [a, group] = groups_(block);
    const auto [b, column] = columns_(a);
    const auto [n, row] = rows_(b);
    return {int(n), int(row) * side_, int(column) * side_, group * channels_};
  }

 private:
  static uint32_t parts(int size, int of) { return uint32_t((size + of - 1) / of); }
  int side_, channels_;
  Divisor groups_, columns_, rows_;
  int32_t count_;  // less than 2^31, for Divisor
};

template <class T>
struct LrnPoolForward {
  static constexpr int N = kPack<T>, kPhases = 2;
  static constexpr int kTile = 8, kSide = (kTile - 1) * kStride + kKernel;  // pixels of the output, of the source
  static_assert(kTile * kTile * kPacks == kThreads);
  struct Shared {
    OnePack<T> packs[kSide * kSide * kPacks];
  };
  Shape<T> s;
  PapersLrn lrn;
  Tiles tiles;
  uint32_t span;
  View<T> src, dst;
  View<uint8_t> index;
  GN_DEVICE void operator()(int phase, uint32_t block, uint32_t thread, Shared& shared) const {
    const Tile tile = tiles(block);
    const int y0 = s.y.start(tile.y), x0 = s.x.start(tile.x);
    const uint32_t pack = thread % kPacks, channel = tile.channel + pack * N;  // the same in every round
    if (channel >= span) return;
    if (phase == 0) {
      for (int i = int(thread); i < kSide * kSide * kPacks; i += kThreads) {
        const int y = y0 + i / kPacks / kSide, x = x0 + i / kPacks % kSide;
        if (y < 0 || y >= s.y.size || x < 0 || x >= s.x.size) continue;
        const uint32_t pixel = uint32_t((tile.n * s.y.size + y) * s.x.size + x);
        store(shared.packs[i].values, lrn.forward<N>(load_around<N>(src, pixel, channel, span), channel));
      }
      return;
    }
    const int y = tile.y + int(thread) / kPacks / kTile, x = tile.x + int(thread) / kPacks % kTile;
    if (y >= s.y.out || x >= s.x.out) return;
    const uint32_t pixel = uint32_t((tile.n * s.y.out + y) * s.x.out + x);
    const auto best = maximum(s, {pixel, channel, tile.n, y, x}, [&](int at_y, int at_x) {
      return load<N>(shared.packs[((at_y - y0) * kSide + at_x - x0) * kPacks + int(pack)].values);
    });
    dst.store(pixel, channel, best.value);
    store_index(index, pixel, channel, best.where);
  }
};

template <class T>
struct PoolLrnBackward {
  static constexpr int N = kPack<T>, kPhases = 2;
  static constexpr int kTile = 16, kSide = (kTile + kKernel - 2) / kStride + 1;  // pixels of the source, of the output
  struct Shared {
    OnePack<T> gradients[kSide * kSide * kPacks];
    Pack<uint8_t, N> where[kSide * kSide * kPacks];
  };
  Shape<T> s;
  PapersLrn lrn;
  Tiles tiles;
  uint32_t span;
  Gradient<T> gradient;  // of the pool's source
  bool masked;           // where a maximum is <= 0, so is the element that it was, whose gradient the mask takes
  View<T> middle, diff_dst;
  View<uint8_t> index;
  GN_DEVICE void operator()(int phase, uint32_t block, uint32_t thread, Shared& shared) const {
    const Tile tile = tiles(block);
    const int y0 = s.y.begin(tile.y), x0 = s.x.begin(tile.x);
    const uint32_t pack = thread % kPacks, channel = tile.channel + pack * N;
    if (channel >= span) return;
    if (phase == 0) {
      for (int i = int(thread); i < kSide * kSide * kPacks; i += kThreads) {
        const int y = y0 + i / kPacks / kSide, x = x0 + i / kPacks % kSide;
        if (y >= s.y.out || x >= s.x.out) continue;
        const uint32_t pixel = uint32_t((tile.n * s.y.out + y) * s.x.out + x);
        const auto value = load_around<N>(middle, pixel, channel, span);
        auto g = lrn.backward<N>(value, load_around<N>(diff_dst, pixel, channel, span), channel);
        if (masked)
          for (int c = 0; c < N; c++) g[c] = value[N + c] > 0 ? g[c] : 0.0f;
        store(shared.gradients[i].values, g);
        shared.where[i] = index.template pack<N>(pixel, channel);
      }
      return;
    }
    for (int i = int(thread); i < kTile * kTile * kPacks; i += kThreads) {
      const int y = tile.y + i / kPacks / kTile, x = tile.x + i / kPacks % kTile;
      if (y >= s.y.size || x >= s.x.size) continue;
      const uint32_t pixel = uint32_t((tile.n * s.y.size + y) * s.x.size + x);
      const auto sum = gathered(s, {pixel, channel, tile.n, y, x}, [&](int at_y, int at_x, bool covers) {
        const int at = (covers ? (at_y - y0) * kSide + at_x - x0 : 0) * kPacks + int(pack);
        return Taken<N>{load<N>(shared.gradients[at].values), shared.where[at]};
      });
      gradient.put(pixel, channel, sum);
    }
  }
};

}  // namespace

int32_t has_lrn_pool(gn_op, const gn_attributes* a) {
  return PapersLrn::is(*a) && a->pool_kind == GN_POOL_MAX && a->kernel_h == kKernel && a->kernel_w == kKernel &&
         a->stride_h == kStride && a->stride_w == kStride;
}

Kernel make_lrn_pool(gn_device& device, const gn_step& step) {
  const bool forward = step.direction == GN_FORWARD, ends_in_pool = step.op == GN_LRN_POOL;
  const gn_tensor &src = forward ? step.src : step.diff_src, &dst = forward ? step.dst : step.diff_dst;
  return with_type(src.type, [&](auto element) {
    using T = decltype(element);
    constexpr int N = kPack<T>;
    const gn_tensor& places = forward ? dst : src;  // of what is written
    const Shape<T> s = pool_shape<kKernel, kStride, N>(step.attributes, src, dst, places);
    const PapersLrn lrn(step.attributes, dst);
    const Tiles tiles(places, forward ? LrnPoolForward<T>::kTile : PoolLrnBackward<T>::kTile, N);
    const int32_t count = checked_threads(packs<T>(places));
    const uint32_t span = uint32_t(dst.span);
    return own_kernel([&device, step, forward, ends_in_pool, s, lrn, tiles, count, span](const gn_bindings& b) {
      const View x = bind<T>(step.src, b), middle = bind<T>(step.middle, b), y = bind<T>(step.dst, b);
      const View<T> dy = bind<T>(step.diff_dst, b);
      const View<uint8_t> index = bind_index(step.workspace, b);
      Gradient<T> gradient = bind_gradient<T>(step, b);
      const auto on_row = [&](const auto& work) {
        for_blocks(device, (int64_t(count) + kInner - 1) / kInner,
                   OnRow<T, std::decay_t<decltype(work)>>{s, count, span, work});
      };
      const auto on_tiles = [&](const auto& body) { for_blocks(device, tiles.count(), body); };
      if (forward && ends_in_pool) return on_tiles(LrnPoolForward<T>{s, lrn, tiles, span, x, y, index});
      if (forward) return on_row(PoolLrnForward<T>{lrn, x, middle, y, index});
      if (ends_in_pool) return on_row(LrnPoolBackward<T>{lrn, gradient, x, dy, index});
      const bool masked = gradient.mask.data && !gradient.accumulate;
      if (masked) gradient.mask = {};
      on_tiles(PoolLrnBackward<T>{s, lrn, tiles, span, gradient, masked, middle, dy, index});
    });
  });
}

}  // namespace googlenet::cuda
