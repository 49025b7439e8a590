// Policies and placement; colour.cc has the colours.
#include "image/augment.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/status.h"
#include "image/colour.h"
#include "image/draws.h"

namespace googlenet {
namespace {

/** 10 tries, then the largest box of an allowed aspect in the middle. */
Region draw_area(const AugmentPolicy& p, int width, int height, Draws& draws) {
  const double area = double(width) * height;
  const double log_low = std::log(double(p.aspect_min)), log_high = std::log(double(p.aspect_max));
  for (int attempt = 0; attempt < 10; attempt++) {
    const double target = area * draws.uniform(p.area_min, p.area_max);
    const double aspect = std::exp(draws.uniform(log_low, log_high));
    const int w = int(std::lround(std::sqrt(target * aspect))), h = int(std::lround(std::sqrt(target / aspect)));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const int x = draws.integer(width - w), y = draws.integer(height - h);
    return {x, y, w, h};
  }
  int w = width, h = height;
  if (double(w) / h < p.aspect_min)
    h = std::clamp(int(std::lround(w / double(p.aspect_min))), 1, height);
  else if (double(w) / h > p.aspect_max)
    w = std::clamp(int(std::lround(h * double(p.aspect_max))), 1, width);
  return {(width - w) / 2, (height - h) / 2, w, h};
}

/** Sizes after resizing, each at least `size`. */
void resized(const AugmentPolicy& p, int width, int height, int& to_width, int& to_height) {
  if (p.resize == AugmentPolicy::Resize::WARP) {
    to_width = to_height = p.resize_to;
    return;
  }
  const int shorter = std::min(width, height);
  const int to = p.resize == AugmentPolicy::Resize::SHORT ? p.resize_to : std::max(shorter, p.size);
  to_width = int(int64_t(width) * to / shorter);
  to_height = int(int64_t(height) * to / shorter);
}

void require(bool good, const char* field, const char* expected) {
  if (!good) throw Failure(Code::INVALID_ARGUMENT, std::string("augmentation policy: ") + field + ' ' + expected);
}

}  // namespace

void AugmentPolicy::check() const {
  require(size >= 1 && size <= 4096, "size", "must be in [1, 4096]");
  if (crop != Crop::AREA && resize != Resize::NONE)
    require(resize_to >= size && resize_to <= 65535, "resizeTo", "must be at least size");
  require(area_min > 0 && area_min <= area_max && area_max <= 1, "areaMin, areaMax", "must be 0 < min <= max <= 1");
  require(aspect_min > 0 && aspect_min <= aspect_max && aspect_max < 1e3f, "aspectMin, aspectMax",
          "must be 0 < min <= max");
  require(mirror >= 0 && mirror <= 1, "mirror", "must be in [0, 1]");
  require(brightness >= 0 && brightness <= 1, "brightness", "must be in [0, 1]");
  require(contrast >= 0 && contrast <= 1, "contrast", "must be in [0, 1]");
  require(saturation >= 0 && saturation <= 1, "saturation", "must be in [0, 1]");
  require(lighting >= 0 && lighting <= 10, "lighting", "must be in [0, 10]");
  for (const float m : mean) require(std::isfinite(m), "mean", "must be three finite numbers");
}

Placement place(const AugmentPolicy& p, int width, int height, const SampleKey& key) {
  Draws draws(key, Stream::PLACEMENT);
  const bool mirror = draws.uniform() < p.mirror;
  if (p.crop == AugmentPolicy::Crop::AREA) {
    const Region box = draw_area(p, width, height, draws);
    return {double(box.x), double(box.y), double(box.width), double(box.height), box, mirror};
  }
  int to_width, to_height;
  resized(p, width, height, to_width, to_height);
  int left = (to_width - p.size) / 2, top = (to_height - p.size) / 2;
  if (p.crop == AugmentPolicy::Crop::RANDOM) {
    left = draws.integer(to_width - p.size);
    top = draws.integer(to_height - p.size);
  }
  const double step_x = double(width) / to_width, step_y = double(height) / to_height;
  return {left * step_x, top * step_y, p.size * step_x, p.size * step_y, {0, 0, width, height}, mirror};
}

int shrink_for(const AugmentPolicy& p, const Placement& placement) {
  if (p.crop != AugmentPolicy::Crop::AREA) return 1;
  int denominator = 8;
  while (denominator > 1 && std::min(placement.width, placement.height) < double(p.size) * denominator)
    denominator /= 2;
  return denominator;
}

Drawn draw(const AugmentPolicy& policy, int width, int height, const SampleKey& key) {
  return {place(policy, width, height, key), draw_colours(policy, key)};
}

}  // namespace googlenet
