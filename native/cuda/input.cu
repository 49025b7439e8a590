// GN_HOST_PHOTOS: the network's input from decoded photos (backend/photos.h). The block crosses as it is; one kernel
// resamples it to grey levels, one takes the mean luma that a change of contrast asks for, and one changes the colours
// and writes the tensor.
#include "backend/photos.h"
#include "cuda/launch.h"
#include "image/pixel.h"

namespace googlenet::cuda {
namespace {

/** a + w · v, rounded twice as on the processor: fused, a tie between two grey levels could fall the other way. */
GN_DEVICE float add_product(float a, float w, float v) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(a, __fmul_rn(w, v));
#else
  return a + w * v;
#endif
}

struct Axis {
  const int32_t* first;
  const float* weights;
  int count;
  GN_DEVICE Axis(const char* part, int size, int taps)
      : first(reinterpret_cast<const int32_t*>(part)),
        weights(reinterpret_cast<const float*>(first + size)),
        count(taps) {}
  GN_DEVICE const char* end(int size) const { return reinterpret_cast<const char*>(weights + size * count); }
};

/** What all three read: the block, and the images' grey levels, (N, size, size, BGR) bytes. */
struct Photos {
  const char* block;
  uint8_t* levels;
  uint32_t size;
  GN_DEVICE uint32_t area() const { return size * size; }
  GN_DEVICE const gn_photo& photo(uint32_t n) const {
    return reinterpret_cast<const gn_photo*>(block + sizeof(gn_photos))[n];
  }
  GN_DEVICE void load(uint32_t pixel, float (&bgr)[3]) const {
    for (int c = 0; c < 3; c++) bgr[c] = levels[size_t(pixel) * 3 + c];
  }
};

struct Resample {
  Photos photos;
  GN_DEVICE void operator()(uint32_t pixel) const {
    const int size = int(photos.size);
    const gn_photo& photo = photos.photo(pixel / photos.area());
    const int y = int(pixel % photos.area()) / size, x = int(pixel % photos.area()) % size;
    const Axis across(photos.block + photo.offset, size, photo.across);
    const Axis down(across.end(size), size, photo.down);
    const auto* source =
        reinterpret_cast<const uint8_t*>(down.end(size)) + (size_t(down.first[y]) * photo.width + across.first[x]) * 3;
    float sum[3] = {};
    for (int i = 0; i < across.count; i++, source += 3) {
      float column[3] = {};
      for (int j = 0; j < down.count; j++)
        for (int c = 0; c < 3; c++)
          column[c] = add_product(column[c], down.weights[y * down.count + j], source[size_t(j) * photo.width * 3 + c]);
      for (int c = 0; c < 3; c++) sum[c] = add_product(sum[c], across.weights[x * across.count + i], column[c]);
    }
    for (int c = 0; c < 3; c++) photos.levels[size_t(pixel) * 3 + c] = uint8_t(grey_level(sum[2 - c]));
  }
};

/** Of each image, before its contrast is changed; in f64 and in one order. Block: an image. */
struct MeanLuma {
  static constexpr int kPhases = 2;
  struct Shared {
    double sum[kThreads];
  };
  Photos photos;
  float* means;
  GN_DEVICE void operator()(int phase, uint32_t n, uint32_t thread, Shared& shared) const {
    const gn_colours& colours = photos.photo(n).colours;
    int before = 0;
    while (before < colours.count && colours.change[before] != GN_CONTRAST) before++;
    if (before == colours.count) return;
    double sum = 0;
    if (phase == 0) {
      for (uint32_t i = thread; i < photos.area(); i += kThreads) {
        float bgr[3];
        photos.load(n * photos.area() + i, bgr);
        change_colours(colours, 0, before, 0, bgr);
        sum += luma(bgr[0], bgr[1], bgr[2]);
      }
      shared.sum[thread] = sum;
    } else if (thread == 0) {
      for (const double part : shared.sum) sum += part;
      means[n] = float(sum / photos.area());
    }
  }
};

template <class T>
struct Colour {
  Photos photos;
  const float* means;
  const int32_t* channels;  // which of B, G, R each physical channel holds, -1 = padding
  View<T> dst;
  uint32_t span;
  GN_DEVICE void operator()(uint32_t pixel) const {
    const uint32_t n = pixel / photos.area();
    const gn_colours& colours = photos.photo(n).colours;
    float bgr[3];
    photos.load(pixel, bgr);
    change_colours(colours, 0, colours.count, means[n], bgr);
    constexpr int N = kPack<T>;
    for (uint32_t channel = 0; channel < span; channel += N) {
      Floats<N> values{};
      for (int k = 0; k < N; k++) {
        const int from = channels[channel + k];
        for (int c = 0; c < 3; c++) values[k] = from == c ? bgr[c] + colours.add[c] : values[k];
      }
      dst.store(pixel, channel, values);
    }
  }
};

}  // namespace

void import_photos(gn_device& device, const gn_tensor& dst, const std::vector<int32_t>& map, void* arena,
                   const gn_photos& block) {
  const auto aligned = [](int64_t bytes) { return (bytes + 15) / 16 * 16; };
  const int64_t map_bytes = int64_t(map.size() * sizeof(int32_t)), mean_bytes = dst.n * int64_t(sizeof(float));
  const int64_t means_at = aligned(block.bytes), map_at = means_at + aligned(mean_bytes),
                levels_at = map_at + aligned(map_bytes);
  char* const staged = static_cast<char*>(device.staging.at_least(levels_at + pixels(dst) * 3));
  device.pinned->send(staged + map_at, map.data(), map_bytes);
  auto* const means = reinterpret_cast<float*>(staged + means_at);
  const auto* channels = reinterpret_cast<const int32_t*>(staged + map_at);
  gn_bindings b{};
  b.arenas[dst.arena] = arena;
  with_host(device, &block, block.bytes, staged, [&](const char* at) {
    const Photos photos{at, reinterpret_cast<uint8_t*>(staged + levels_at), uint32_t(block.size)};
    for_each(device, pixels(dst), Resample{photos});
    for_blocks(device, dst.n, MeanLuma{photos, means});
    with_type(dst.type, [&](auto element) {
      using T = decltype(element);
      for_each(device, pixels(dst), Colour<T>{photos, means, channels, bind<T>(dst, b), uint32_t(dst.span)});
    });
  });
}

}  // namespace googlenet::cuda
