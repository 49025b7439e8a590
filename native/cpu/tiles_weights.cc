#include "cpu/tiles_weights.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "cpu/tiles_plan.h"

namespace googlenet::cpu {

namespace {

int steps_of(const TileWeights::Key& key, int parts) {
  return key.planar ? key.kernel_h : int(tile_factors(key.inputs, key.kernel_h, key.kernel_w, parts).size()) / parts;
}

}  // namespace

TileWeights::TileWeights(const gn_device& device, const Key& key)
    : kernels_(*device.tiles),
      key_(key),
      parts_(key.bytes_in() ? kernels_.byte_parts : kernels_.bf16_parts),
      steps_(steps_of(key, parts_)),
      tile_bytes_(key.planar && parts_ == 1 ? 2 * kTileBytes : kTileBytes),
      bytes_(int64_t(steps_) * (key.outputs / 16) * tile_bytes_),
      data_(allocate_pages(bytes_)) {
  if (!data_) throw std::bad_alloc();
}

std::shared_ptr<TileWeights> TileWeights::shared(gn_device& device, const Key& key) {
  return device.copies->tiles.shared([&](const TileWeights& copy) { return copy.key_ == key; },
                                     [&] { return std::make_shared<TileWeights>(device, key); });
}

void TileWeights::refresh(const gn_bindings& bindings, ThreadPool& pool) {
  const float* source = bindings.parameters + key_.offset;
  fresh_.ensure(source, bindings.version, [&] { make(source, pool); });
}

void TileWeights::make(const float* source, ThreadPool& pool) {
  const int64_t taps = int64_t(key_.kernel_h) * key_.kernel_w;
  const TileFilter filter = {source,
                             key_.backward ? taps : key_.inputs * taps,
                             key_.backward ? key_.outputs * taps : taps,
                             key_.kernel_h,
                             key_.kernel_w,
                             key_.backward,
                             steps_};
  const auto factors =
      key_.planar ? std::vector<TileFactor>() : tile_factors(key_.inputs, key_.kernel_h, key_.kernel_w, parts_);
  const int blocks = key_.outputs / 16;
  if (key_.bytes_in())
    for (auto* values : {&output_steps_, &lost_}) values->resize(size_t(key_.outputs));
  pool.ranges((blocks + 1) / 2, [&](int64_t first, int64_t last) {
    for (int64_t pair = first; pair < last; pair++) {
      void* to = static_cast<char*>(data_.get()) + pair * steps_ * 2 * tile_bytes_;
      const int output = int(32 * pair), count = std::min(2, blocks - int(2 * pair));
      if (key_.planar) {
        kernels_.weights_planar(filter, key_.inputs, output, count, to);
      } else if (key_.bytes_in()) {
        measure(source, output, 16 * count);
        kernels_.weights_bytes(filter, factors.data(), key_.scales, output_steps_.data(), output, count, to);
      } else {
        kernels_.weights(filter, factors.data(), output, count, to);
      }
    }
  });
}

void TileWeights::measure(const float* weights, int first, int count) {
  const int taps = key_.kernel_h * key_.kernel_w;
  for (int o = first; o < first + count; o++) {
    const float* row = weights + int64_t(o) * key_.inputs * taps;
    float largest = 0;
    for (int i = 0; i < key_.inputs; i++)
      for (int t = 0; t < taps; t++) largest = std::max(largest, std::fabs(row[i * taps + t]) * key_.scales[i]);
    output_steps_[o] = largest > 0 ? largest / 127 : 1;
    const float inverse = 1 / output_steps_[o];
    double lost = 0;
    for (int i = 0; key_.means && i < key_.inputs; i++) {
      double weight = 0;
      for (int t = 0; t < taps; t++) {
        const float exact = row[i * taps + t] * key_.scales[i] * inverse;
        weight += exact - std::nearbyint(exact);
      }
      lost += weight * output_steps_[o] / key_.scales[i] * key_.means[i];
    }
    lost_[o] = float(lost);
  }
}

}  // namespace googlenet::cpu
