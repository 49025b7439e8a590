// What an executor holds and reports: parameters in and out, memory, what values look like, the time of every kernel.
#include <algorithm>
#include <chrono>
#include <random>

#include "core/executor.h"
#include "core/executor_program.h"
#include "core/parameters.h"
#include "core/status.h"
#include "ops/op.h"

namespace googlenet {

int Executor::parameter_named(const std::string& name) const {
  for (size_t i = 0; i < graph_.parameters.size(); i++)
    if (graph_.parameters[i].name == name) return int(i);
  throw Failure(Code::INVALID_ARGUMENT, "the network has no parameter '" + name + "'");
}

DeviceMemory& Executor::arena_of(ParameterSet set) {
  switch (set) {
    case ParameterSet::weights: return store_->weights();
    case ParameterSet::momentum: return store_->momentum();
    case ParameterSet::squares: return store_->squares();
    case ParameterSet::average: return store_->average();
    case ParameterSet::gradients: break;
  }
  gradients_.grow_floats(backend_, device_, layout_->parameter_floats);
  return gradients_;
}

void Executor::put(int parameter, const float* logical, DeviceMemory& arena) {
  const PhysicalParameter& place = layout_->parameters[parameter];
  std::vector<float> physical(place.size());
  store_parameter(graph_, *layout_, parameter, logical, physical.data());
  arena.upload(place.offset * 4, physical.data(), place.size() * 4);
}

void Executor::initialize(uint64_t seed) {
  const LocalStore::Hold hold(*store_);
  std::vector<float> values;
  for (size_t i = 0; i < graph_.parameters.size(); i++) {
    values.resize(graph_.parameters[i].count());
    fill_parameter(graph_, int(i), seed, values.data());
    put(int(i), values.data(), store_->weights());
  }
  check(backend_.finish(device_));
  store_->forget_state();
}

void Executor::set_parameter(ParameterSet set, const std::string& name, const float* data,
                             const std::vector<int64_t>& shape) {
  const LocalStore::Hold hold(*store_);
  const int index = parameter_named(name);
  if (shape != graph_.parameters[index].shape)
    throw Failure(Code::INVALID_SHAPE, "parameter '" + name + "' has shape " +
                                           to_string(graph_.parameters[index].shape) + ", got " + to_string(shape));
  put(index, data, arena_of(set));
  check(backend_.finish(device_));  // whoever takes the store next may be another device
  if (set == ParameterSet::weights) store_->changed();
}

HostTensor Executor::get_parameter(ParameterSet set, const std::string& name) {
  const LocalStore::Hold hold(*store_);
  const int index = parameter_named(name);
  HostTensor tensor{graph_.parameters[index].shape, {}};
  tensor.data.resize(graph_.parameters[index].count());
  const PhysicalParameter& place = layout_->parameters[index];
  std::vector<float> physical(place.size());
  arena_of(set).download(place.offset * 4, physical.data(), place.size() * 4);
  fetch_parameter(graph_, *layout_, index, physical.data(), tensor.data.data());
  return tensor;
}

MemoryReport Executor::memory() const {
  MemoryReport report = {store_->bytes() + gradients_.bytes(), arena_.bytes(),
                         scratch_.bytes() + labels_.bytes() + results_.bytes() + variables_.bytes(),
                         backend_.own_bytes(device_) + converted_.bytes()};
  if (beside_) report.parameters = report.kernels = 0;  // another executor's
  return report;
}

void Executor::observe(RunRequest request) {
  const LocalStore::Hold hold(*store_);
  for (const Node& node : graph_.nodes)
    if (node.row.op == GN_CONV && node.row.attributes.relu && Graph::active(node, false))
      request.outputs.push_back(node.row.name);
  Program& p = compute(request);
  for (const int node : p.plan.request.outputs) {
    const HostTensor values = export_host(p.plan.value(node), node);
    observer_.count(graph_.nodes[node].row.name, values.shape, values.data.data());
  }
  check(backend_.finish(device_));
}

std::vector<KernelReport> Executor::profile(int batch, bool training) {
  const LocalStore::Hold hold(*store_);
  RunRequest request;
  request.training = training;
  std::vector<std::vector<float>> data;
  std::vector<int32_t> labels(batch);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 50);
  for (const Node& node : graph_.nodes) {
    if (node.row.op != GN_INPUT || !Graph::active(node, training)) continue;
    auto& values = data.emplace_back(size_t(batch) * node.shape.c * node.shape.h * node.shape.w);
    for (float& v : values) v = normal(random);
    request.inputs.push_back(
        {node.row.name, GN_HOST_F32_NCHW, values.data(), {batch, node.shape.c, node.shape.h, node.shape.w}});
  }
  request.labels = labels.data(), request.label_count = batch;
  Program& p = program(plan_request(request));
  load(p, request);
  sync(p);
  std::vector<KernelReport> reports;
  for (int pass = 0; pass < 2; pass++) {  // the first run warms caches and touches memory
    reports.clear();
    for (size_t i = 0; i < p.kernels.size(); i++) {
      const auto start = std::chrono::steady_clock::now();
      check(backend_.run(device_, p.kernels[i], &bindings_));
      check(backend_.finish(device_));
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      gn_kernel_info info{};
      backend_.inspect(p.kernels[i], &info);
      const gn_step& step = p.step(i);
      const auto same = std::find_if(reports.begin(), reports.end(), [&](const KernelReport& r) {
        return r.name == step.name && r.op == step.op && r.direction == step.direction;
      });  // of a layer that runs piece by piece
      if (same == reports.end()) {
        reports.push_back({step.name, step.op, step.direction, info.implementation, p.plan.macs(step), took.count()});
      } else {
        same->macs += p.plan.macs(step);
        same->milliseconds += took.count();
      }
    }
  }
  return reports;
}

}  // namespace googlenet
