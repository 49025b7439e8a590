// Images that the device makes of photos beside those of the processor: photos and policies of all kinds, in f32 and bf16,
// into a view whose channels are permuted, with padding and neighbours. Prints what is wrong, or nothing.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "cuda/bfloat16.h"
#include "image/photo.h"

using namespace googlenet;

extern "C" const gn_backend* googlenet_cuda_backend();

namespace {

constexpr int kSize = 48, kSpan = 8, kChannels = 24, kFirst = 8;
constexpr int32_t kMap[3] = {4, 0, 2};  // where B, G and R go within the view

/** No two processors take the mean luma in the same order: by sums of 128 values in f32 here, in f64 there, apart by at
 *  most 128 half units in the last place of 255, which a change of contrast and one of saturation can make thrice as
 *  much. Everything else is the same arithmetic. */
constexpr double kContrast = 3 * 128 * 255.0 / (1 << 24);

int problems = 0, kept = 0, resampled = 0;

void expect(bool right, const std::string& what) {
  if (!right && problems++ < 20) std::printf("%s\n", what.c_str());
}
void check(const gn_status& status) { expect(status.code == 0, status.message); }

struct Named {
  const char* name;
  AugmentPolicy policy;
};

std::vector<Named> policies() {
  using Resize = AugmentPolicy::Resize;
  using Crop = AugmentPolicy::Crop;
  AugmentPolicy still;
  still.size = kSize, still.resize_to = 55;
  AugmentPolicy fit = still;
  fit.resize_to = kSize;
  AugmentPolicy shorter = still, whole = still, caffe = still;
  shorter.resize = Resize::SHORT;
  whole.resize = Resize::NONE;
  caffe.crop = Crop::RANDOM, caffe.mirror = 0.5f;
  AugmentPolicy area = still;
  area.crop = Crop::AREA, area.mirror = 0.5f;
  AugmentPolicy inception = area;
  inception.brightness = inception.contrast = inception.saturation = 0.5f, inception.lighting = 0.1f;
  AugmentPolicy strong = caffe;
  strong.brightness = strong.contrast = strong.saturation = 1, strong.lighting = 1, strong.mirror = 1;
  AugmentPolicy bright = caffe, contrast = caffe, saturation = caffe, lighting = caffe;
  bright.brightness = 0.7f, contrast.contrast = 0.7f, saturation.saturation = 0.7f, lighting.lighting = 0.3f;
  return {{"none", fit},           {"evaluate", still},           {"short", shorter},          {"whole", whole},
          {"caffe", caffe},        {"area", area},                {"inception", inception},    {"strong", strong},
          {"brightness", bright},  {"contrast", contrast},        {"saturation", saturation},  {"lighting", lighting}};
}

/** Waves and noise, some of it black and white. */
std::vector<uint8_t> photo_of(int width, int height, uint32_t seed) {
  std::vector<uint8_t> pixels(size_t(width) * size_t(height) * 3);
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < pixels.size(); i++) {
    state = state * 1664525u + 1013904223u;
    const double wave = 128 + 150 * std::sin(double(i) / (5 + seed)) + double(state >> 26);
    pixels[i] = uint8_t(std::fmax(0, std::fmin(255, wave)));
  }
  return pixels;
}

float value_of(const char* at, gn_type type) {
  if (type == GN_F32) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  cuda::Bf16 value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

struct Size {
  int width, height;
};
constexpr Size kSizes[] = {{1, 1},   {2, 3},    {1, 40},    {47, 48},    {48, 48},    {61, 37},
                           {96, 96}, {100, 75}, {500, 375}, {3000, 20}, {1601, 1203}, {15, 2500}};
constexpr int kCount = int(sizeof kSizes / sizeof *kSizes);

void compare(const gn_backend& backend, gn_device* device, const Named& named, gn_type type) {
  const AugmentPolicy& policy = named.policy;
  policy.check();
  std::vector<float> images(kCount * policy.floats());
  std::vector<int64_t> block(size_t(part_at(kCount, kCount, kSize)) / 8);
  std::vector<char> part(size_t(part_room(kSize)));
  BlockWriter writer(block.data(), kCount, kSize);
  RenderScratch scratch;
  for (int i = 0; i < kCount; i++) {
    const auto [width, height] = kSizes[i];
    static const std::vector<std::vector<uint8_t>> photos = [] {
      std::vector<std::vector<uint8_t>> photos;
      for (const Size& size : kSizes) photos.push_back(photo_of(size.width, size.height, uint32_t(photos.size())));
      return photos;
    }();
    const Pixels pixels{photos[size_t(i)].data(), Region{0, 0, width, height}};
    const Drawn drawn = draw(policy, width, height, SampleKey{7, 1, uint32_t(i)});
    render(drawn, kSize, pixels, 1, scratch, &images[size_t(i) * policy.floats()]);
    const gn_photo photo = pack_photo(drawn, kSize, pixels, 1, scratch, part.data());
    (photo.across == 1 && photo.down == 1 && photo.width == kSize && photo.height == kSize ? resampled : kept)++;
    writer.add(photo, part.data());
  }
  const int64_t bytes = writer.finish();
  check_photos(block.data(), bytes);

  const int64_t element = gn_bytes_of(type), count = int64_t(kCount) * kSize * kSize * kChannels;
  std::vector<char> values(size_t(count * element), char(0xff));
  gn_tensor tensor{GN_ACTIVATIONS, type, 0, 0, kCount, 3, kSize, kSize, kSpan, kFirst, kChannels, nullptr, nullptr};
  void* arena = nullptr;
  check(backend.allocate(device, int64_t(values.size()), &arena));
  check(backend.upload(device, arena, values.data(), int64_t(values.size())));
  check(backend.import_tensor(device, &tensor, kMap, arena, block.data(), GN_HOST_PHOTOS, nullptr));
  check(backend.download(device, values.data(), arena, int64_t(values.size())));
  backend.release(device, arena);

  const std::string where = std::string(named.name) + (type == GN_F32 ? ", f32, " : ", bf16, ");
  for (int64_t i = 0; i < count; i++) {
    const int64_t pixel = i / kChannels;
    const int channel = int(i % kChannels) - kFirst;
    const char* const at = &values[size_t(i * element)];
    const auto place = [&] {
      return where + std::to_string(kSizes[pixel / (kSize * kSize)].width) + " wide, pixel " +
             std::to_string(pixel % (kSize * kSize)) + ", channel " + std::to_string(channel);
    };
    if (channel < 0 || channel >= kSpan) {
      if (*at != char(0xff)) expect(false, place() + ": a neighbour was written to");
      continue;
    }
    double wanted = 0, tolerance = 0;
    for (int c = 0; c < 3; c++) {
      if (kMap[c] != channel) continue;
      wanted = images[(size_t(pixel / (kSize * kSize)) * 3 + size_t(c)) * kSize * kSize + size_t(pixel % (kSize * kSize))];
      tolerance = (policy.contrast > 0 ? kContrast : 0) + (type == GN_BF16 ? std::fabs(wanted) / 256 : 0);
    }
    const double actual = value_of(at, type);
    if (!(std::fabs(actual - wanted) <= tolerance))
      expect(false, place() + ": " + std::to_string(actual) + " instead of " + std::to_string(wanted));
  }
}

}  // namespace

int main() {
  const gn_backend& backend = *googlenet_cuda_backend();
  gn_device_options options{};
  gn_device* device = nullptr;
  check(backend.open(&options, &device));
  if (!device) return 1;
  for (const Named& named : policies())
    for (const gn_type type : {GN_F32, GN_BF16}) compare(backend, device, named, type);
  expect(kept > 0 && resampled > 0, "photos of one kind alone");
  backend.close(device);
  return problems > 0;
}
