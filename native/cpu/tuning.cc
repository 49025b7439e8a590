#include "cpu/tuning.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <new>

#include "backend/tuning_cache.h"
#include "core/pages.h"
#include "cpu/onednn.h"

namespace googlenet::cpu {
namespace {

constexpr int kRuns = 7;  // timed; the ways take turns, so that a busy moment meets all

/** Floats from -0.5 to 0.5: zeros and denormals take other times than values do. */
class Noise {
 public:
  Noise(ThreadPool& pool, int64_t floats)
      : data_(static_cast<float*>(allocate_pages(floats * int64_t(sizeof(float))))) {
    if (!data_) throw std::bad_alloc();
    pool.ranges(floats, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) data_.get()[i] = float(uint32_t(i) * 2654435761u >> 16) / 65536 - 0.5f;
    });
  }
  float* get() const { return data_.get(); }

 private:
  std::unique_ptr<float, FreePages> data_;
};

/** A step of the same shape and pitches in memory of its own, on a device of its own that shares the threads: its kernels
 *  have no copy of weights in common with the model's. */
class Trial {
 public:
  Trial(const gn_device& device, const gn_step& given) : step(given) {
    device_.pool = device.pool, device_.isa = device.isa, device_.block = device.block, device_.type = device.type;
    device_.onednn = std::make_shared<Onednn>(device_);
    int64_t floats = 0;
    for (gn_tensor* tensor : {&step.src, &step.dst, &step.diff_src, &step.diff_dst}) {
      if (tensor->arena == GN_NONE) continue;
      tensor->offset = floats * int64_t(sizeof(float));
      floats += (int64_t(tensor->n) * tensor->channels * tensor->h * tensor->w + 15) / 16 * 16;
    }
    step.weights.offset = 0;
    if (step.bias.offset >= 0) step.bias.offset = step.weights.size;
    const int64_t parameters = step.weights.size + std::max<int64_t>(step.bias.size, 0);
    bindings_.arenas[GN_ACTIVATIONS] = held(floats);
    bindings_.weights = bindings_.parameters = held(parameters);
    bindings_.gradients = held(parameters);
  }

  Kernel make(const Way& way) {
    Kernel kernel = way.make(device_, step);
    scratch_ = std::max<int64_t>(scratch_, kernel->scratch_bytes);
    return kernel;
  }
  void make_room() { bindings_.scratch = held(scratch_ / int64_t(sizeof(float)) + 16); }

  /** Milliseconds; while training with what new weights cost, as every step brings them. */
  double time(gn_kernel& kernel) {
    if (step.training || bindings_.version == 0) bindings_.version++;
    if (!step.training) kernel.sync(bindings_);
    const auto start = std::chrono::steady_clock::now();
    if (step.training) kernel.sync(bindings_);
    kernel.run(bindings_);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  gn_step step;

 private:
  float* held(int64_t floats) {
    memory_.push_back(std::make_unique<Noise>(*device_.pool, floats));
    return memory_.back()->get();
  }

  gn_device device_;
  std::vector<std::unique_ptr<Noise>> memory_;
  gn_bindings bindings_{};
  int64_t scratch_ = 0;  // bytes, of the kernel that needs most
};

/** The text to remember: the fastest's name and time, then the others'. */
std::string try_all(const gn_device& device, const gn_step& step, const std::vector<Way>& ways) {
  struct Found {
    std::string name;
    Kernel kernel;
    double milliseconds = 0;
  };
  Trial trial(device, step);
  std::vector<Found> found;
  for (const Way& way : ways) found.push_back({way.name, trial.make(way)});
  trial.make_room();
  for (Found& way : found) trial.time(*way.kernel);
  for (int run = 0; run < kRuns; run++)
    for (Found& way : found) {
      const double took = trial.time(*way.kernel);
      if (run == 0 || took < way.milliseconds) way.milliseconds = took;
    }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.milliseconds < b.milliseconds; });
  std::string text;
  for (const Found& way : found) {
    char time[32];
    std::snprintf(time, sizeof time, text.empty() ? ", %.3g ms" : " %.3g ms", way.milliseconds);
    text += (text.empty() ? "" : "; ") + way.name + time;
  }
  return text;
}

TuningCache& cache_of_processors() {
  static auto* cache = new TuningCache("cpu-tuning.json");
  return *cache;
}

}  // namespace

std::string tuning_identity(const gn_device& device, const char* libraries) {
  return std::string(libraries) + ", " + processor_name() + ", " + isa_name(device.isa) + ", " +
         std::to_string(device.pool->threads()) + " threads";
}

Kernel tuned(gn_device& device, const gn_step& step, const std::vector<Way>& ways) {
  const std::string key = tuning_key(device.identity + (step.training ? ", training" : ""), "", step);
  TuningCache& cache = cache_of_processors();
  const std::lock_guard lock(cache.mutex());
  const auto named = [&](const std::string& name) {
    return std::find_if(ways.begin(), ways.end(), [&](const Way& way) { return way.name == name; });
  };
  std::string value = cache.find(key).value_or("");
  const char* how = ", remembered";
  if (named(name_in(value)) == ways.end()) {
    how = ", timed";
    try {
      value = try_all(device, step, ways);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    cache.remember(key, value);
  }
  Kernel kernel = named(name_in(value))->make(device, step);
  kernel->implementation += how + value.substr(name_in(value).size());
  return kernel;
}

}  // namespace googlenet::cpu
