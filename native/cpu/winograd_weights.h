// Weights in Winograd's points, made from the plain masters when those have changed and shared by all kernels that read
// the same parameter in the same direction.
#pragma once
#include <memory>

#include "core/pages.h"
#include "cpu/kernel.h"
#include "cpu/simd.h"

namespace googlenet::cpu {

class WinogradWeights {
 public:
  /** Of the kernel that reads them: backward data swaps inputs and outputs and rotates the window. */
  struct Key {
    int64_t offset;  // of the parameter
    int taps, inputs, outputs;
    bool backward;
    bool operator==(const Key&) const = default;
  };
  static std::shared_ptr<WinogradWeights> shared(gn_device& device, const Key& key);

  WinogradWeights(const gn_device& device, const Key& key);
  void refresh(const gn_bindings& bindings, ThreadPool& pool);
  const float* data() const { return data_.get(); }
  int64_t bytes() const { return floats_ * int64_t(sizeof(float)); }

 private:
  const Kernels& kernels_;
  const Key key_;
  const int64_t floats_;
  std::unique_ptr<float, FreePages> data_;
  Freshness fresh_;
};

}  // namespace googlenet::cpu
