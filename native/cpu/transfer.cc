// Between host tensors, (N, C, H, W) f32 or (N, H, W, RGB) bytes, and views of planar or blocked buffers.
#include <cstring>
#include <string>
#include <vector>

#include "core/status.h"
#include "cpu/element.h"
#include "cpu/kernel.h"
#include "cpu/simd.h"

namespace googlenet::cpu {
namespace {

/** A view of either layout, in elements. */
struct Layout {
  Layout(const gn_tensor& t, int block_size)
      : block(t.planar ? 1 : block_size),
        area(int64_t(t.h) * t.w),
        image(t.channels * area),
        start(t.offset / gn_bytes_of(t.type) + t.channel * area) {}

  /** Elements from the arena's start to pixel (n, channel, 0, 0); channel is relative to the view. */
  int64_t at(int64_t n, int64_t channel) const {
    return start + n * image + channel / block * block * area + channel % block;
  }

  int block;
  int64_t area, image, start;
};

/** Physical channels by logical ones, checked: one stray entry would write into a neighbour. */
std::vector<int32_t> physical(const gn_tensor& t, const int32_t* map) {
  std::vector<int32_t> channels(t.c);
  for (int c = 0; c < t.c; c++) {
    channels[c] = map ? map[c] : c;
    if (channels[c] < 0 || channels[c] >= t.span)
      throw Failure(Code::INTERNAL, "channel map: entry " + std::to_string(c) + " is " + std::to_string(channels[c]) +
                                        ", but the view has " + std::to_string(t.span) + " channels");
  }
  return channels;
}

constexpr int64_t kStrip = 256;  // pixels worked on together: a few KiB

}  // namespace

template <class Element>
static void import_as(gn_device& device, const gn_tensor& dst, const int32_t* channel_map, void* arena,
                      const void* host, gn_host_format format, const float mean[3]) {
  if (format == GN_HOST_PHOTOS)
    throw Failure(Code::UNSUPPORTED, "the processor makes images of photos while it decodes them: it takes no photos");
  const bool bytes = format == GN_HOST_U8_NHWC_RGB;
  if (bytes && dst.c != 3)
    throw Failure(Code::INVALID_SHAPE, "RGB bytes need an input of 3 channels, but it has " + std::to_string(dst.c));
  const float none[3] = {0, 0, 0};
  const float* minus = mean ? mean : none;
  const Kernels& k = kernels(device.isa);
  const ActivationKernels<Element>& elements = activations<Element>(device.isa);
  const Layout layout(dst, device.block);
  const std::vector<int32_t> channels = physical(dst, channel_map);
  std::vector<int32_t> logical(dst.span, -1);
  for (int c = 0; c < dst.c; c++) logical[channels[c]] = c;
  Element* base = static_cast<Element*>(arena);

  const int64_t strips = (layout.area + kStrip - 1) / kStrip;
  device.pool->ranges(dst.n * strips, [&](int64_t first, int64_t last) {
    float planes[3][kStrip];
    for (int64_t i = first; i < last; i++) {
      const int64_t n = i / strips, pixel = i % strips * kStrip;
      const int64_t count = layout.area - pixel < kStrip ? layout.area - pixel : kStrip;
      if (bytes)
        k.split_rgb(static_cast<const uint8_t*>(host) + (n * layout.area + pixel) * 3, count, minus, planes[0],
                    planes[1], planes[2]);
      for (int channel = 0; channel < dst.span; channel++) {
        Element* to = base + layout.at(n, channel) + pixel * layout.block;
        const int c = logical[channel];
        if (c < 0) {
          for (int64_t x = 0; x < count; x++) to[x * layout.block] = Element{};
          continue;
        }
        const float* from = bytes ? planes[c] : static_cast<const float*>(host) + (n * dst.c + c) * layout.area + pixel;
        if (layout.block == 1)
          elements.narrow(from, to, count);
        else
          for (int64_t x = 0; x < count; x++) assign(to[x * layout.block], from[x]);
      }
    }
  });
}

void import_tensor(gn_device& device, const gn_tensor& dst, const int32_t* channel_map, void* arena, const void* host,
                   gn_host_format format, const float mean[3]) {
  with_element(dst.type, [&](auto element) {
    import_as<decltype(element)>(device, dst, channel_map, arena, host, format, mean);
  });
}

static void export_bytes(gn_device& device, const gn_tensor& src, const std::vector<int32_t>& channels,
                         const void* arena, float* host) {
  const Layout layout(src, device.block);
  device.pool->ranges(int64_t(src.n) * src.c, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const int32_t channel = channels[i % src.c];
      const uint8_t* from = static_cast<const uint8_t*>(arena) + layout.at(i / src.c, channel);
      float* to = host + i * layout.area;
      for (int64_t x = 0; x < layout.area; x++) to[x] = float(from[x * layout.block]) * src.scales[channel];
    }
  });
}

void export_tensor(gn_device& device, const gn_tensor& src, const int32_t* channel_map, const void* arena,
                   float* host) {
  const Layout layout(src, device.block);
  const std::vector<int32_t> channels = physical(src, channel_map);
  if (src.type == GN_U8) return export_bytes(device, src, channels, arena, host);
  with_element(src.type, [&](auto element) {
    const auto* base = static_cast<const decltype(element)*>(arena);
    device.pool->ranges(int64_t(src.n) * src.c, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const auto* from = base + layout.at(i / src.c, channels[i % src.c]);
        float* to = host + i * layout.area;
        for (int64_t x = 0; x < layout.area; x++) to[x] = to_float(from[x * layout.block]);
      }
    });
  });
}

}  // namespace googlenet::cpu
