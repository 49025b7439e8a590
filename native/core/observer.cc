#include "core/observer.h"

#include <algorithm>
#include <cmath>

#include "core/status.h"

namespace googlenet {

struct Summary {
  double sum = 0;  // finite if and only if all values are: f32 cannot overflow f64
  float max = 0;
};

static Summary summarize(const float* values, int64_t count) {
  constexpr int kLanes = 8;  // independent sums, for vectors
  double sums[kLanes]{};
  float largest[kLanes]{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int k = 0; k < kLanes; k++) {
      sums[k] += values[i + k];
      largest[k] = values[i + k] > largest[k] ? values[i + k] : largest[k];
    }
  Summary total;
  for (int k = 0; k < kLanes; k++) total.sum += sums[k], total.max = std::max(total.max, largest[k]);
  for (; i < count; i++) total.sum += values[i], total.max = std::max(total.max, values[i]);
  return total;
}

// The range doubles until it holds `max`; two bins become one each time.
static void widen(Observer::Blob& blob, float max) {
  blob.max = std::max(blob.max, max);
  int exponent;
  std::frexp(max, &exponent);
  const double needed = max > 0 ? std::ldexp(1.0, exponent) : 0;
  if (blob.range == 0) blob.range = needed;
  for (; blob.range < needed; blob.range *= 2) {
    auto& bins = blob.histogram;
    for (int i = 0; i < Observer::kBins / 2; i++) bins[i] = bins[2 * i] + bins[2 * i + 1];
    std::fill(bins.begin() + Observer::kBins / 2, bins.end(), 0);
  }
}

void Observer::count(const std::string& name, const std::vector<int64_t>& shape, const float* values) {
  const int64_t channels = shape[1], pixels = shape[2] * shape[3], planes = shape[0] * channels;
  Blob& blob = blobs_[name];
  blob.histogram.resize(kBins);
  blob.sums.resize(channels);
  blob.pixels = pixels;
  blob.images += shape[0];
  float max = 0;
  for (int64_t plane = 0; plane < planes; plane++) {
    const Summary summary = summarize(values + plane * pixels, pixels);
    if (!std::isfinite(summary.sum)) {
      blobs_.clear();
      throw Failure(Code::NOT_FINITE, "a value of '" + name + "' is not finite, so its range cannot be observed. " +
                                          "Check the weights and the input");
    }
    blob.sums[plane % channels] += summary.sum;
    max = std::max(max, summary.max);
  }
  widen(blob, max);
  if (blob.range == 0) return;
  const double scale = kBins / blob.range;
  int64_t bins[kBins + 1]{};  // the first: what is not above 0
  for (int64_t i = 0; i < planes * pixels; i++) bins[values[i] > 0 ? 1 + int(values[i] * scale) : 0]++;
  for (int i = 0; i < kBins; i++) blob.histogram[i] += bins[i + 1];
}

}  // namespace googlenet
