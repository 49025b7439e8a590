#include "cpu/winograd_weights.h"

#include <new>

#include "cpu/simd.h"
#include "cpu/winograd_tiles.h"

namespace googlenet::cpu {

WinogradWeights::WinogradWeights(gn_device& device, const Key& key)
    : device_(device),
      key_(key),
      floats_(int64_t(key.inputs) * key.outputs * winograd_point_count(key.taps)),
      data_(static_cast<float*>(allocate_pages(bytes()))) {
  if (!data_) throw std::bad_alloc();
}

std::shared_ptr<WinogradWeights> WinogradWeights::shared(gn_device& device, const Key& key) {
  return device.winograd_weights.shared([&](const WinogradWeights& copy) { return copy.key_ == key; },
                                        [&] { return std::make_shared<WinogradWeights>(device, key); });
}

void WinogradWeights::refresh(const gn_bindings& bindings) {
  const float* source = bindings.parameters + key_.offset;
  if (version_ == bindings.version && source_ == source) return;
  const Kernels& simd = kernels(device_.isa);
  const int64_t chunks = (key_.outputs + simd.winograd_chunk - 1) / simd.winograd_chunk;
  device_.pool->ranges(chunks * key_.inputs, [&](int64_t first, int64_t last) {
    simd.winograd_weights(key_.taps, key_.inputs, key_.outputs, key_.backward, source, data_.get(), first, last);
  });
  source_ = source, version_ = bindings.version;
}

}  // namespace googlenet::cpu
