// Weights of AMX convolutions as bf16 in the order of tiles, made from the plain masters when those have changed and
// shared by all kernels that read the same parameter in the same direction.
#pragma once
#include <memory>

#include "cpu/kernel.h"

namespace googlenet::cpu {

class AmxWeights {
 public:
  /** Of the kernel that reads them: backward data swaps inputs and outputs and rotates the window. */
  struct Key {
    int64_t offset;  // of the parameter
    int kernel_h, kernel_w, inputs, outputs;
    bool backward, planar;
    bool operator==(const Key&) const = default;
  };
  static std::shared_ptr<AmxWeights> shared(gn_device& device, const Key& key);

  AmxWeights(gn_device& device, const Key& key);
  void refresh(const gn_bindings& bindings);
  const void* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* data) const;
  };
  const gn_device& device_;
  const Key key_;
  const int steps_;
  const int64_t bytes_;
  std::unique_ptr<void, Free> data_;
  const float* source_ = nullptr;
  uint64_t version_ = 0;
};

}  // namespace googlenet::cpu
