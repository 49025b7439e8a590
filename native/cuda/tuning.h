// Which of several candidates for a convolution is taken: each is timed once on the device, and held once against a
// direct convolution (conv_reference.h); the fastest that is right is remembered in a file (backend/tuning_cache.h) and taken by
// every later run without trying again, so that a run repeated has the same bits.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cuda/device.h"

namespace googlenet::cuda {

constexpr int kMostCandidates = 4;  // of one way of a step; each may take cuDNN a second to compile

struct Candidate {
  std::string name;  // finds it again, on the same card with the same cuDNN
  Kernel kernel;
};

class TuningCandidates {
 public:
  virtual ~TuningCandidates() = default;
  /** The most promising ones, kMostCandidates of a way. */
  virtual std::vector<Candidate> first(const gn_step& step) const = 0;
  /** Null when there is none of that name any more. */
  virtual Kernel named(const gn_step& step, const std::string& name) const = 0;
};

/** The name of the one that was found before. */
std::optional<std::string> remembered(const gn_device& device, const gn_step& step);

/** Null when nothing could be tried: too little memory beside the model, or weights in groups, which the direct
 *  convolution does not know. */
Kernel tuned(gn_device& device, const gn_step& step, const TuningCandidates& candidates);

}  // namespace googlenet::cuda
