// The optimisers' passes over the flat arenas: updates (the rules are those of cpu/simd/update.cc), sums and copies, the
// gradient norm, and the verdict on a step.
#include <cmath>

#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

struct Update {
  gn_update step;
  GN_DEVICE void operator()(uint32_t offset) const {
    gn_update u = step;
    if (step.variable) {
      const gn_update& now = *step.variable;
      u.rate = now.rate, u.momentum_factor = now.momentum_factor, u.decay = now.decay;
      u.gradient_scale = now.gradient_scale, u.squares_decay = now.squares_decay, u.epsilon = now.epsilon;
      u.average_share = now.average_share;
    }
    if (u.verdict && !u.verdict->finite) return;
    if (u.verdict) u.gradient_scale *= u.verdict->gradient_scale;
    const int64_t i = u.first + offset;
    const float before = u.parameters[i], g = u.gradient_scale * u.gradients[i] + u.decay * before;
    float w = before;
    if (u.rule == GN_SGD) {
      const float v = u.momentum_factor * u.momentum[i] + u.rate * g;
      u.momentum[i] = v;
      w -= v;
    } else if (u.rule == GN_NESTEROV) {
      const float kept = u.momentum_factor * u.momentum[i], v = kept + u.rate * g;
      u.momentum[i] = v;
      w -= (1 + u.momentum_factor) * v - kept;
    } else if (u.rule == GN_ADAGRAD) {
      const float s = u.squares[i] + g * g;
      u.squares[i] = s;
      w -= u.rate * g / (sqrtf(s) + u.epsilon);
    } else {
      const float s = u.squares_decay * u.squares[i] + (1 - u.squares_decay) * (g * g);
      const float v = u.momentum_factor * u.momentum[i] + u.rate * (g / sqrtf(s + u.epsilon));
      u.squares[i] = s;
      u.momentum[i] = v;
      w -= v;
    }
    u.parameters[i] = w;
    if (u.copy) static_cast<Bf16*>(u.copy)[i] = w;
    if (!u.average) return;
    const float a = u.average[i];
    u.average[i] = u.average_share >= 1 ? w : a + u.average_share * (w - a);
  }
};

struct ScaleAdd {
  float* dst;
  const float* src;
  float keep, scale;
  GN_DEVICE void operator()(uint32_t i) const { dst[i] = keep == 0 ? scale * src[i] : keep * dst[i] + scale * src[i]; }
};

constexpr uint32_t kStrands = 1 << 16;  // many enough for every GPU, and the same on each

/** Strand i sums elements i, i + kStrands, … */
struct Strand {
  const float* values;
  double* sums;
  int64_t count;
  GN_DEVICE void operator()(uint32_t i) const {
    double sum = 0;
    for (int64_t k = i; k < count; k += kStrands) sum += double(values[k]) * values[k];
    sums[i] = sum;
  }
};

/** sums[0] = the sum of all strands. */
struct Gather {
  static constexpr int kPhases = 2;
  struct Shared {
    double sum[kThreads];
  };
  double* sums;
  GN_DEVICE void operator()(int phase, uint32_t, uint32_t thread, Shared& shared) const {
    double sum = 0;
    if (phase == 0) {
      for (uint32_t i = thread; i < kStrands; i += kThreads) sum += sums[i];
      shared.sum[thread] = sum;
    } else if (thread == 0) {
      for (uint32_t t = 0; t < kThreads; t++) sum += shared.sum[t];
      sums[0] = sum;
    }
  }
};

GN_DEVICE bool is_finite(double x) { return x - x == 0; }

struct Judge {
  gn_judgement step;
  const double* square_sum;
  GN_DEVICE void operator()(uint32_t) const {
    const double norm = sqrt(*square_sum);
    const float clip = step.variable ? step.variable->clip : step.clip;
    bool finite = is_finite(norm);
    for (int32_t i = 0; i < step.losses; i++) finite = finite && is_finite(step.results[2 * i]);
    *step.verdict = {*square_sum, clip > 0 && norm > clip ? float(clip / norm) : 1.0f, finite};
  }
};

/** Device memory that holds the sum when the stream gets there. */
double* sum_squares(gn_device& device, const float* values, int64_t count) {
  double* sums = static_cast<double*>(device.partials.at_least(kStrands * int64_t(sizeof(double))));
  for_each(device, kStrands, Strand{values, sums, count});
  for_blocks(device, 1, Gather{sums});
  return sums;
}

}  // namespace

void update(gn_device& device, const gn_update& u) { for_each(device, u.count, Update{u}); }

void scale_add(gn_device& device, float* dst, const float* src, int64_t count, float keep, float scale) {
  for_each(device, count, ScaleAdd{dst, src, keep, scale});
}

double square_sum(gn_device& device, const float* values, int64_t count) {
  const double* sum = sum_squares(device, values, count);
  double result = 0;
  device.pinned->receive(&result, sum, sizeof result);
  return result;
}

void judge(gn_device& device, const gn_judgement& judgement) {
  for_each(device, 1, Judge{judgement, sum_squares(device, judgement.gradients, judgement.count)});
}

}  // namespace googlenet::cuda
