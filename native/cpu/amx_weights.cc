#include "cpu/amx_weights.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/pages.h"
#include "cpu/amx_plan.h"

namespace googlenet::cpu {

namespace {

constexpr int64_t kTileBytes = 1024;

int steps_of(const AmxWeights::Key& key) {
  return key.planar ? key.kernel_h : int(amx_factors(key.inputs, key.kernel_h, key.kernel_w).size() / 2);
}

}  // namespace

void AmxWeights::Free::operator()(void* data) const { std::free(data); }

AmxWeights::AmxWeights(gn_device& device, const Key& key)
    : device_(device),
      key_(key),
      steps_(steps_of(key)),
      bytes_(steps_ * (key.outputs / 16) * kTileBytes),
      data_(allocate_pages(bytes_)) {
  if (!data_) throw std::bad_alloc();
}

std::shared_ptr<AmxWeights> AmxWeights::shared(gn_device& device, const Key& key) {
  return device.amx_weights.shared([&](const AmxWeights& copy) { return copy.key_ == key; },
                                   [&] { return std::make_shared<AmxWeights>(device, key); });
}

void AmxWeights::refresh(const gn_bindings& bindings) {
  const float* source = bindings.parameters + key_.offset;
  if (version_ == bindings.version && source_ == source) return;
  const int64_t taps = int64_t(key_.kernel_h) * key_.kernel_w;
  const AmxFilter filter = {source,
                            key_.backward ? taps : key_.inputs * taps,
                            key_.backward ? key_.outputs * taps : taps,
                            key_.kernel_h,
                            key_.kernel_w,
                            key_.backward,
                            steps_};
  const auto factors = amx_factors(key_.inputs, key_.kernel_h, key_.kernel_w);
  const int blocks = key_.outputs / 16;
  device_.pool->ranges((blocks + 1) / 2, [&](int64_t first, int64_t last) {
    for (int64_t pair = first; pair < last; pair++) {
      uint16_t* to = static_cast<uint16_t*>(data_.get()) + pair * steps_ * 2 * kTileBytes / 2;
      const int count = std::min(2, blocks - int(2 * pair));
      if (key_.planar)
        avx512_bf16::amx_weights_planar(filter, key_.inputs, int(32 * pair), count, to);
      else
        avx512_bf16::amx_weights(filter, factors.data(), int(32 * pair), count, to);
    }
  });
  source_ = source, version_ = bindings.version;
}

}  // namespace googlenet::cpu
