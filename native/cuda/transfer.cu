// Between host tensors, (N, C, H, W) f32 or (N, H, W, RGB) bytes, and views of channels-last buffers. The host's bytes
// cross as they are; kernels reorder them on the device. Photos: input.cu.
#include <vector>

#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

/** Where each logical channel lies (export), or which one each physical channel holds, -1 = padding (import). */
std::vector<int32_t> physical(const gn_tensor& t, const int32_t* map) {
  std::vector<int32_t> channels(t.c);
  for (int c = 0; c < t.c; c++) channels[c] = map ? map[c] : c;
  return channels;
}
std::vector<int32_t> logical(const gn_tensor& t, const int32_t* map) {
  std::vector<int32_t> channels(t.span, -1);
  for (int c = 0; c < t.c; c++) channels.at(map ? map[c] : c) = c;
  return channels;
}

template <class T>
struct Import {
  static constexpr int N = kPack<T>;
  Packs<N> packs;
  View<T> dst;
  const int32_t* channels;
  const float* planes;   // (N, C, H, W), or
  const uint8_t* bytes;  // (N, H, W, RGB)
  float mean[3];         // B, G, R
  uint32_t c;
  Divisor area;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    const auto [n, place] = area(pixel);
    Floats<N> values{};
    for (int k = 0; k < N; k++) {
      const int32_t from = channels[channel + k];
      if (from >= 0 && bytes)
        values[k] = float(bytes[size_t(pixel) * 3 + 2 - from]) - (from == 0 ? mean[0] : from == 1 ? mean[1] : mean[2]);
      else if (from >= 0)
        values[k] = planes[size_t(n * c + from) * area.divisor() + place];
    }
    dst.store(pixel, channel, values);
  }
};

template <class T>
struct Export {
  View<T> src;
  const int32_t* channels;
  float* planes;
  uint32_t c, area;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t n = i / area / c;
    planes[i] = src.at(n * area + i % area, channels[i / area % c]);
  }
};

/** The staging memory: a tensor of `bytes`, and behind it the channel map, which this uploads. */
struct Staging {
  Staging(gn_device& device, int64_t bytes, const std::vector<int32_t>& map) {
    const int64_t start = (bytes + 15) / 16 * 16, size = int64_t(map.size() * sizeof(int32_t));
    tensor = static_cast<char*>(device.staging.at_least(start + size));
    channels = reinterpret_cast<int32_t*>(tensor + start);
    device.pinned->send(channels, map.data(), size);
  }
  char* tensor;
  int32_t* channels;
};

}  // namespace

void import_tensor(gn_device& device, const gn_tensor& dst, const int32_t* channel_map, void* arena, const void* host,
                   gn_host_format format, const float mean[3]) {
  const std::vector<int32_t> map = logical(dst, channel_map);
  if (format == GN_HOST_PHOTOS) return import_photos(device, dst, map, arena, *static_cast<const gn_photos*>(host));
  const bool bytes = format == GN_HOST_U8_NHWC_RGB;
  const int64_t size = pixels(dst) * dst.c * (bytes ? 1 : int64_t(sizeof(float)));
  const Staging staging(device, size, map);
  gn_bindings b{};
  b.arenas[dst.arena] = arena;
  with_host(device, host, size, staging.tensor, [&](const char* tensor) {
    with_type(dst.type, [&](auto element) {
      using T = decltype(element);
      Import<T> body{
          Packs<kPack<T>>(dst.span),       bind<T>(dst, b), staging.channels, nullptr, nullptr, {}, uint32_t(dst.c),
          Divisor(uint32_t(dst.h * dst.w))};
      if (bytes)
        body.bytes = reinterpret_cast<const uint8_t*>(tensor);
      else
        body.planes = reinterpret_cast<const float*>(tensor);
      for (int i = 0; i < 3 && mean; i++) body.mean[i] = mean[i];
      for_each(device, packs<T>(dst), body);
    });
  });
}

void stage(gn_device& device, const void* host, int64_t bytes) {
  if (host && !device.feed) device.feed = std::make_unique<Feed>();
  if (host) device.feed->bring(host, bytes);
  if (!host && device.feed) device.feed->forget();
}

void export_tensor(gn_device& device, const gn_tensor& src, const int32_t* channel_map, const void* arena,
                   float* host) {
  const int64_t count = pixels(src) * src.c;
  const std::vector<int32_t> map = physical(src, channel_map);
  const Staging staging(device, count * int64_t(sizeof(float)), map);
  gn_bindings b{};
  b.arenas[src.arena] = const_cast<void*>(arena);
  float* planes = reinterpret_cast<float*>(staging.tensor);
  with_type(src.type, [&](auto element) {
    using T = decltype(element);
    const Export<T> body{bind<T>(src, b), staging.channels, planes, uint32_t(src.c), uint32_t(src.h * src.w)};
    for_each(device, count, body);
  });
  device.pinned->receive(host, planes, count * int64_t(sizeof(float)));
}

}  // namespace googlenet::cuda
