// In which ways a step's convolution can be given to cuDNN, and the plans for them. A fully connected layer is a
// convolution whose window is its whole source. Several ways, the first that cuDNN has an engine for is taken:
//   fused   everything in one graph, on the slices;
//   apart   the same of a gradient that is masked, but for the mask, which is a pass of our own;
//   plain   the convolution alone on the slices, the rest in a pass of our own;
//   packed  slices are copied to dense scratch and back, the rest in the same pass.
// A plan on slices that wants more workspace than kInPlace copies them itself, and is refused; only for gradients of
// weights it may be the parts of sums that were cut. With device.tune all ways and engines are candidates, those that
// copy too, and the fastest is taken (tuning.h). On tensor cores, convolutions over few channels are folded first
// (fold.h) and then fused.
//
// In bf16 a graph may end in f32 and a lone convolution may not, so its result passes through scratch. The gradients of
// weights would be rounded there: before that comes one more way, packed-fused, the whole graph on dense copies.
#pragma once
#include <optional>

#include "cuda/device.h"

namespace googlenet::cuda {

struct Way {
  const char* name;
  /** graph: what follows is in it; masks: the mask of a gradient too. */
  bool graph = false, packed = false, folded = false, masks = false;
};
struct Planned {
  Way way;
  Plan plan;
  /** "WAY ENGINE NUMBER" */
  std::string name() const;
};

inline bool is_slice(const gn_tensor& t) { return t.span != t.channels; }

/** The source (or its gradient) and the output (or its gradient) of a step. */
inline const gn_tensor& source(const gn_step& s) { return s.direction == GN_BACKWARD_DATA ? s.diff_src : s.src; }
inline const gn_tensor& output(const gn_step& s) { return s.direction == GN_FORWARD ? s.dst : s.diff_dst; }

/** A lone convolution would round the gradients of weights. */
inline bool rounds_weights(const gn_device& device, const gn_step& step) {
  return step.direction == GN_BACKWARD_WEIGHTS && factors(device) != GN_F32;
}

/** Asks for plans of a step, for a target. */
class Planner {
 public:
  Planner(gn_device& device, const Target& target, const gn_step& step)
      : device_(device), target_(target), step_(step) {}

  /** Attempt by attempt up to the first that cuDNN has an engine for: the last of the list, unless there is none. */
  std::vector<Planned> until_one_fits() const;
  /** Of all ways; where cuDNN has no more engines for one, that is told by a last plan that cannot run. */
  std::vector<Planned> candidates() const;
  /** A candidate by its name. */
  std::optional<Planned> named(const std::string& name) const;

 private:
  Plan plan(const Way& way, const Choice& choice) const;

  gn_device& device_;
  const Target& target_;
  const gn_step& step_;
};

}  // namespace googlenet::cuda
