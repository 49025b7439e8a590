#include "cpu/winograd_weights.h"

#include <new>

#include "cpu/winograd_tiles.h"

namespace googlenet::cpu {

WinogradWeights::WinogradWeights(const gn_device& device, const Key& key)
    : kernels_(kernels(device.isa)),
      key_(key),
      floats_(int64_t(key.inputs) * key.outputs * winograd_point_count(key.taps)),
      data_(static_cast<float*>(allocate_pages(bytes()))) {
  if (!data_) throw std::bad_alloc();
}

std::shared_ptr<WinogradWeights> WinogradWeights::shared(gn_device& device, const Key& key) {
  return device.copies->winograd.shared([&](const WinogradWeights& copy) { return copy.key_ == key; },
                                        [&] { return std::make_shared<WinogradWeights>(device, key); });
}

void WinogradWeights::refresh(const gn_bindings& bindings, ThreadPool& pool) {
  const float* source = bindings.parameters + key_.offset;
  const int64_t chunks = (key_.outputs + kernels_.winograd_chunk - 1) / kernels_.winograd_chunk;
  fresh_.ensure(source, bindings.version, [&] {
    pool.ranges(chunks * key_.inputs, [&](int64_t first, int64_t last) {
      kernels_.winograd_weights(key_.taps, key_.inputs, key_.outputs, key_.backward, source, data_.get(), first, last);
    });
  });
}

}  // namespace googlenet::cpu
