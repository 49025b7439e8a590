// Weights of convolutions by tiles in the order of tiles, made from the plain masters when those have changed and
// shared by all kernels that read the same parameter in the same direction: as bf16, or where inputs are bytes as s8. A
// byte's factor is w * (step of its input channel) / (step of its output channel), so that sums over inputs of
// different steps make sense.
#pragma once
#include <memory>
#include <vector>

#include "core/pages.h"
#include "cpu/kernel.h"

namespace googlenet::cpu {

class TileWeights {
 public:
  /** Of the kernel that reads them: backward data swaps inputs and outputs and rotates the window. */
  struct Key {
    int64_t offset;  // of the parameter
    int kernel_h, kernel_w, inputs, outputs;
    bool backward, planar;
    const float *scales, *means;  // (inputs) of bytes (gn_tensor), else null; means may be
    bool bytes_in() const { return scales != nullptr; }
    bool operator==(const Key&) const = default;
  };
  static std::shared_ptr<TileWeights> shared(gn_device& device, const Key& key);

  TileWeights(const gn_device& device, const Key& key);
  void refresh(const gn_bindings& bindings, ThreadPool& pool);
  const void* data() const { return data_.get(); }
  /** Of one step and block. */
  int tile_bytes() const { return tile_bytes_; }
  /** Of bytes, by output: what a sum's 1 stands for, and what rounding takes from the mean output (0 without means). */
  const std::vector<float>& steps() const { return output_steps_; }
  const std::vector<float>& lost() const { return lost_; }
  int64_t bytes() const { return bytes_; }

 private:
  void make(const float* source, ThreadPool& pool);
  /** Of `count` outputs from `first` on. */
  void measure(const float* weights, int first, int count);

  const TileKernels& kernels_;
  const Key key_;
  const int parts_, steps_;  // of a step, and steps of an output
  const int tile_bytes_;
  const int64_t bytes_;
  std::unique_ptr<void, FreePages> data_;
  std::vector<float> output_steps_, lost_;
  Freshness fresh_;
};

}  // namespace googlenet::cpu
