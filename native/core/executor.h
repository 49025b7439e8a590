// A network on a device: parameters, plans by batch size, and the only loop over steps. Not thread-safe: its session
// calls it from one thread.
#pragma once
#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/graph.h"
#include "core/layout.h"
#include "core/memory.h"
#include "core/observer.h"
#include "core/plan.h"
#include "core/quantization.h"
#include "optim/optimizer.h"
#include "train/local_store.h"

namespace googlenet {

/** A host tensor that the caller keeps alive: f32 (N, C, H, W), u8 (N, H, W, 3) RGB, or photos for (N, 3, H, W). */
struct HostInput {
  std::string name;
  gn_host_format format = GN_HOST_F32_NCHW;
  const void* data = nullptr;
  std::vector<int64_t> shape;
  int64_t bytes = 0;  // of data, where it is photos or a next input
};
struct HostTensor {
  std::vector<int64_t> shape;
  std::vector<float> data;
};
struct Loss {
  std::string name;
  float loss = 0, correct = 0;
};

struct RunRequest {
  std::vector<HostInput> inputs;
  const int32_t* labels = nullptr;
  int64_t label_count = 0;
  bool training = false;
  std::vector<std::string> outputs;
  std::vector<HostInput> gradients;  // of blobs nobody reads, training only
  std::vector<std::string> input_gradients;
  uint32_t step = 0;
  int64_t first_sample = 0;
  const std::atomic<bool>* cancelled = nullptr;
  /** Training: the input of the request after this, brought to the device while this one computes. */
  std::optional<HostInput> next;
  /** The input is what the request before named as its next. */
  bool announced = false;
};
struct RunResult {
  std::map<std::string, HostTensor> outputs, input_gradients;
  std::vector<Loss> losses;
};
struct StepResult {
  double loss = 0, gradient_norm = 0;
  std::vector<Loss> losses;
  uint64_t updates = 0;  // of the weights that were used; after step(): this one included
};
struct KernelReport {
  std::string name;
  gn_op op;
  gn_direction direction;
  std::string implementation;
  int64_t macs;
  double milliseconds;
};
struct MemoryReport {
  int64_t parameters, arena, scratch, kernels;
};

enum class ParameterSet { weights, momentum, squares, average, gradients };

class Executor {
 public:
  struct Options {
    std::string device = "cpu";
    int threads = 0;
    bool alone = false;  // threads of its own
    uint64_t seed = 0;
    float mean[3] = {104, 117, 123};  // B, G, R
    bool keep_all = false;
    bool exact = false;
    gn_precision precision = GN_PRECISION_F32;
    std::map<std::string, Calibration> calibrations;  // by blob, for GN_PRECISION_INT8
    bool tune = false;                                // time what a device has several ways for
    bool capture = true;                              // record what is done again, where the device can
    int streams = 1;  // lanes to run steps on side by side, where the device has them; else executors beside this one
  };
  Executor(Graph graph, const Options& options);
  /** Inference beside `first` and others like this one, on `threads` threads of its own: its network, its parameters and
   *  its kernels' copies of them, activations of its own. While any of them runs the parameters do not change. */
  Executor(const Executor& first, int threads);
  ~Executor();

  const Graph& graph() const { return graph_; }
  const char* device_description() const { return backend_.describe(device_); }

  void initialize(uint64_t seed);
  void set_parameter(ParameterSet set, const std::string& name, const float* data, const std::vector<int64_t>& shape);
  HostTensor get_parameter(ParameterSet set, const std::string& name);

  RunResult run(const RunRequest& request);
  /** An inference run that counts the values of every convolution with a ReLU. Throws as run() and Observer::count. */
  void observe(RunRequest request);
  /** What was counted since this was last asked. */
  std::map<std::string, Observer::Blob> take_observations() { return observer_.take(); }
  /** Forward, backward, update. Throws NOT_FINITE before the update when loss or gradients are; nothing changes. */
  StepResult step(const RunRequest& request, const OptimizerOptions& optimizer);
  /** Forward and backward. The gradients stay in gradients(). Throws NOT_FINITE as step(). */
  StepResult differentiate(RunRequest request);
  /** The global L2 norm of gradients in the device's memory. */
  double norm_of(const float* gradients) const;
  /** A push with all that the optimiser decides; gradients, base and policy are the caller's. */
  Push push_of(const OptimizerOptions& optimizer, double gradient_norm) const;
  float* gradients() const { return gradients_.floats(); }
  /** Where the parameters live. */
  const std::shared_ptr<LocalStore>& parameters() const { return store_; }
  const Device& device() const { return *open_; }
  const Layout& layout() const { return *layout_; }
  std::vector<KernelReport> profile(int batch, bool training);
  MemoryReport memory() const;

 private:
  struct Program;  // a plan with its kernels
  Program& program(const PlanRequest& request);
  Program& training_program(RunRequest& request);
  /** The plan of the request, run. The store is held. */
  Program& compute(const RunRequest& request);
  PlanRequest plan_request(const RunRequest& request) const;
  void import_host(const gn_tensor& tensor, int node, const HostInput& host);
  HostTensor export_host(const gn_tensor& tensor, int node);
  void load(Program& program, const RunRequest& request);
  /** Brings the request's next input over, where the device can do that meanwhile. What fails here fails no step: that
   *  input is then brought by its own. */
  void stage(const RunRequest& request);
  void execute(Program& program, bool backward, const std::atomic<bool>* cancelled);
  /** gn_recorder, or null: steps are done as they are told. executor_recorded.cc has the steps that are recorded. */
  const gn_recorder* recorder() const { return options_.capture ? backend_.recorder : nullptr; }
  void replay_forward(Program& program, const RunRequest& request);
  /** differentiate(), and with an optimizer step(). */
  StepResult replay_step(RunRequest request, const OptimizerOptions* optimizer);
  /** The weighted total. Throws when it is not finite. */
  double total_of(const std::vector<Loss>& losses, const Program& program, const RunRequest& request) const;
  static void check_norm(const StepResult& result, const RunRequest& request);
  void sync(Program& program);
  /** The parameters in the device's type, as its kernels read them. */
  const void* weights();
  std::vector<Loss> losses(const Program& program, gn_verdict* verdict = nullptr) const;
  int parameter_named(const std::string& name) const;
  DeviceMemory& arena_of(ParameterSet set);
  void put(int parameter, const float* logical, DeviceMemory& arena);

  RunResult results_of(const RunRequest& request);

  Graph graph_;
  Options options_;
  const bool beside_;  // another executor, which reports what they share
  std::shared_ptr<Device> open_;
  const gn_backend& backend_;
  gn_device* device_;
  std::shared_ptr<const Layout> layout_;
  std::shared_ptr<LocalStore> store_;
  DeviceMemory gradients_, arena_, scratch_;
  DeviceMemory labels_, results_;                 // gn_bindings; results_ begins with a gn_verdict
  DeviceMemory variables_;                        // gn_recorder
  DeviceMemory converted_;                        // gn_bindings.weights, where they are not the parameters themselves
  uint64_t converted_version_ = 0;                // LocalStore::contents
  std::list<std::unique_ptr<Program>> programs_;  // most recently used first
  gn_bindings bindings_{};
  Observer observer_;
};

}  // namespace googlenet
