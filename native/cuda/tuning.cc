#include "cuda/tuning.h"

#include <algorithm>
#include <cstdio>

#include "backend/tuning_cache.h"
#include "cuda/conv_reference.h"
#include "cuda/fold.h"

namespace googlenet::cuda {
namespace {

constexpr int kRuns = 5;  // timed
// Of the magnitudes summed up: some hundred roundings to f32; of both factors to tf32; of the result to bf16.
constexpr double kTolerance[] = {1e-5, 1.5e-3, 4e-3};
constexpr uint32_t kSeed = 1;  // of what is written to; the rest has the next ones

/** A step of the same shape in memory of its own. */
class Trial {
 public:
  Trial(gn_device& device, const gn_step& step) : device_(device), step(step) {
    const bool forward = step.direction == GN_FORWARD, data = step.direction == GN_BACKWARD_DATA;
    gn_tensor& src = data ? this->step.diff_src : this->step.src;
    gn_tensor& dst = forward ? this->step.dst : this->step.diff_dst;
    src_ = pixels(src) * src.channels, dst_ = pixels(dst) * dst.channels;
    src_type_ = src.type, dst_type_ = dst.type;
    src.offset = 0, dst.offset = aligned(src_) * gn_bytes_of(src.type);
    gn_tensor& mask = this->step.mask;
    mask.offset = dst.offset + aligned(dst_) * gn_bytes_of(dst.type);
    const int64_t mask_bytes = mask.arena == GN_NONE ? 0 : pixels(mask) * mask.channels * gn_bytes_of(mask.type);
    this->step.weights.offset = 0;
    if (step.bias.offset >= 0) this->step.bias.offset = aligned(step.weights.size);
    parameters_ = aligned(step.weights.size) + std::max<int64_t>(step.bias.size, 0);
    bindings.arenas[GN_ACTIVATIONS] = arena_.at_least(mask.offset + mask_bytes);
    bindings.weights = multiplied_ = copy_.at_least(parameters_ * int64_t(sizeof(float)));
    bindings.parameters = static_cast<float*>(weights_.at_least(parameters_ * int64_t(sizeof(float))));
    bindings.gradients = static_cast<float*>(gradients_.at_least(parameters_ * int64_t(sizeof(float))));
  }

  void make_room(int64_t scratch) { bindings.scratch = scratch_.at_least(std::max<int64_t>(scratch, 256)); }
  /** Everything as before the first run. */
  void reset() const {
    char* const arena = static_cast<char*>(bindings.arenas[GN_ACTIVATIONS]);
    const bool forward = step.direction == GN_FORWARD;
    fill_noise(device_, arena, src_type_, src_, forward ? kSeed + 1 : kSeed);
    fill_noise(device_, arena + aligned(src_) * gn_bytes_of(src_type_), dst_type_, dst_, forward ? kSeed : kSeed + 1);
    if (const gn_tensor& mask = step.mask; mask.arena != GN_NONE)
      fill_noise(device_, arena + mask.offset, mask.type, pixels(mask) * mask.channels, kSeed + 3, 0);
    fill_noise(device_, multiplied_, factors(device_), parameters_, kSeed + 2);
    fill_noise(device_, bindings.parameters, GN_F32, parameters_, kSeed + 2);
    fill_noise(device_, bindings.gradients, GN_F32, parameters_, kSeed);
    if (Folding::fits(step)) clear_unfolded(device_, bind(step.src, bindings), pixels(step.src), step.src.span);
  }

 private:
  static int64_t aligned(int64_t elements) { return (elements + 63) / 64 * 64; }
  gn_device& device_;
  Memory arena_, weights_, copy_, gradients_, scratch_;
  void* multiplied_;                // the weights as kernels read them
  int64_t src_, dst_, parameters_;  // elements
  gn_type src_type_, dst_type_;

 public:
  gn_step step;
  gn_bindings bindings{};
};

class Stopwatch {
 public:
  explicit Stopwatch(cudaStream_t stream) : stream_(stream) {}

  /** Milliseconds. */
  template <class Body>
  float time(const Body& body) {
    start_.mark(stream_);
    body();
    end_.mark(stream_);
    end_.wait();
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start_, end_), "reading a clock");
    return milliseconds;
  }

 private:
  cudaStream_t stream_;
  Event start_{cudaEventDefault}, end_{cudaEventDefault};
};

struct Found {
  std::string name;  // empty: none was right
  float milliseconds = 0;
  std::string wrong;  // those that were not, "; " between
};

Found try_all(gn_device& device, const gn_step& step, const TuningCandidates& candidates) {
  Found best;
  Trial trial(device, step);
  Stopwatch watch(device.stream);
  for (const Candidate& candidate : candidates.first(trial.step)) {
    trial.make_room(candidate.kernel->scratch_bytes);
    trial.reset();
    candidate.kernel->run(trial.bindings);
    const double error = convolution_error(device, trial.step, trial.bindings, kSeed, kTolerance[device.precision]);
    if (!(error <= 1)) {
      best.wrong += (best.wrong.empty() ? "" : "; ") + candidate.kernel->implementation;
      continue;
    }
    float fastest = 0;
    for (int i = 0; i < kRuns; i++) {
      const float took = watch.time([&] { candidate.kernel->run(trial.bindings); });
      if (i == 0 || took < fastest) fastest = took;
    }
    if (best.name.empty() || fastest < best.milliseconds) best.name = candidate.name, best.milliseconds = fastest;
  }
  return best;
}

std::string key_of(const gn_device& device, const gn_step& step) {
  static constexpr const char* kPrecisions[] = {"", "tf32", "bf16"};
  return tuning_key(device.identity, kPrecisions[device.precision], step);
}

TuningCache& cache_of_gpus() {
  static auto* cache = new TuningCache("cuda-tuning.json");
  return *cache;
}

}  // namespace

std::optional<std::string> remembered(const gn_device& device, const gn_step& step) {
  TuningCache& cache = cache_of_gpus();
  const std::lock_guard lock(cache.mutex());
  const std::optional<std::string> value = cache.find(key_of(device, step));
  return value ? std::optional(name_in(*value)) : std::nullopt;
}

Kernel tuned(gn_device& device, const gn_step& step, const TuningCandidates& candidates) {
  if (step.attributes.groups > 1) return nullptr;
  const std::string key = key_of(device, step);
  TuningCache& cache = cache_of_gpus();
  const std::lock_guard lock(cache.mutex());
  std::optional<std::string> value = cache.find(key);
  Kernel kernel = value ? candidates.named(step, name_in(*value)) : nullptr;
  const char* how = ", remembered";
  if (!kernel) {
    how = ", timed";
    try {
      const Found found = try_all(device, step, candidates);
      char text[64];
      std::snprintf(text, sizeof text, ", %.4g ms", double(found.milliseconds));
      value = found.name + text + (found.wrong.empty() ? "" : ", wrong: " + found.wrong);
      kernel = found.name.empty() ? nullptr : candidates.named(step, found.name);
    } catch (const Failure& failure) {
      if (failure.code != Code::OUT_OF_MEMORY) throw;
    }
    if (!kernel) return nullptr;
    cache.remember(key, *value);
  }
  kernel->implementation += how + value->substr(name_in(*value).size());
  return kernel;
}

}  // namespace googlenet::cuda
