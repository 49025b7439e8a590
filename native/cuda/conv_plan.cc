#include "cuda/conv_plan.h"

#include <algorithm>
#include <optional>

#include "core/status.h"

namespace googlenet::cuda {

/** Numbers of an attribute that has at most `most` of them. */
template <class T>
static std::vector<T> get(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type, int64_t most) {
  std::vector<T> values(most);
  int64_t count = 0;
  check(cudnn().BackendGetAttribute(d, name, type, most, &count, values.data()), "reading an attribute");
  values.resize(std::min(most, count));
  return values;
}

using Notes = std::vector<cudnnBackendNumericalNote_t>;
static Notes notes_of(cudnnBackendDescriptor_t engine) {
  return get<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                          CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
}

/** Engines that give other bits on another run, or fewer of them than the precision has, are left out. Tensor cores
 *  round factors of f32 to tf32. */
static bool acceptable(const Notes& notes, gn_precision precision) {
  for (const auto note : notes) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        if (precision == GN_PRECISION_F32) return false;
        break;
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      case CUDNN_NUMERICAL_NOTE_FFT:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD: return false;
      default: break;
    }
  }
  return true;
}

/** Descriptors of an attribute that has at most `most` of them. */
static std::vector<Descriptor> children(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                        cudnnBackendDescriptorType_t type, int64_t most, const char* what) {
  std::vector<Descriptor> list;
  std::vector<cudnnBackendDescriptor_t> slots;
  for (int64_t i = 0; i < most; i++) slots.push_back(list.emplace_back(type).raw());
  int64_t count = 0;
  check(cudnn().BackendGetAttribute(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, slots.data()), what);
  while (int64_t(list.size()) > count) list.pop_back();
  return list;
}

static Descriptor engine_of(const Descriptor& configuration) {
  auto list = children(configuration.raw(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1,
                       "asking for an engine");
  return std::move(list.at(0));
}

/**
 * Into how many slices the sums of a gradient of weights are cut. Its tiles, of 128 x 128 by what the workspaces of 9.28
 * tell, would keep a few of a GPU's hundred processors busy: on an H200 a gradient of 64 x 512 weights took 0.16 ms on
 * four of them. cuDNN rounds up to powers of two.
 */
static int64_t slices_of(const Convolution& c) {
  constexpr int64_t kTile = 128, kTiles = 256, kShortest = 512, kMost = 128;
  const auto tiles = [](int64_t size) { return (size + kTile - 1) / kTile; };
  const auto& [outputs, inputs, h, w] = c.weights.dims;
  const int64_t results = tiles(outputs) * tiles(inputs) * h * w;
  const int64_t summands = c.dst.dims[0] * c.dst.dims[2] * c.dst.dims[3];
  int64_t slices = 1;
  while (2 * slices <= kMost && 2 * slices * results <= kTiles && 2 * slices * kShortest <= summands) slices *= 2;
  return slices;
}

constexpr int64_t kMostKnobs = 64;

/** The proposal with its sums cut; empty when its engine cannot. */
static std::optional<Descriptor> cut(const Descriptor& configuration, int64_t slices) {
  const cudnnBackendKnobType_t knob = CUDNN_KNOB_TYPE_SPLIT_K_SLC;
  const auto type_of = [](const Descriptor& d, cudnnBackendAttributeName_t name) {
    return get<cudnnBackendKnobType_t>(d.raw(), name, CUDNN_TYPE_KNOB_TYPE, 1).at(0);
  };
  const Descriptor engine = engine_of(configuration);
  const auto infos = children(engine.raw(), CUDNN_ATTR_ENGINE_KNOB_INFO, CUDNN_BACKEND_KNOB_INFO_DESCRIPTOR, kMostKnobs,
                              "asking for an engine's knobs");
  if (std::none_of(infos.begin(), infos.end(),
                   [&](const Descriptor& info) { return type_of(info, CUDNN_ATTR_KNOB_INFO_TYPE) == knob; }))
    return std::nullopt;
  const auto choices = children(configuration.raw(), CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, kMostKnobs, "asking for a proposal's knobs");
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& choice : choices)
    if (type_of(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE) != knob) raw.push_back(choice.raw());
  Descriptor own(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR), result(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  own.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &knob);
  own.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, slices);
  own.finalize();
  raw.push_back(own.raw());
  result.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  result.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(raw.size()), raw.data());
  std::string why;
  if (!result.finalize(why)) return std::nullopt;
  return result;
}

ConvPlan::ConvPlan(const Target& target, const Convolution& convolution, bool fused, const Choice& choice) {
  const std::vector<Descriptor> operations = operations_of(convolution, fused, ids_);
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& operation : operations) raw.push_back(operation.raw());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  target.describe_graph(graph);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(raw.size()), raw.data());
  if (!graph.finalize(reason_)) return;
  const bool weights = fused && convolution.direction == GN_BACKWARD_WEIGHTS;
  const auto take = [&](Descriptor configuration) {
    return number_ >= choice.from && try_engine(target, std::move(configuration), convolution.precision, choice);
  };
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (mode == CUDNN_HEUR_MODE_FALLBACK && !choice.fallback) break;
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    target.describe_heuristics(heuristics);
    if (!heuristics.finalize(reason_)) continue;
    for (Descriptor& proposal : children(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                         CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, 32, "asking for engines")) {
      if (weights) {
        if (auto sliced = cut(proposal, slices_of(convolution)); sliced && take(std::move(*sliced))) return;
        number_++;
      }
      if (take(std::move(proposal))) return;
      number_++;
    }
  }
  if (reason_.empty()) reason_ = "no engine is deterministic and of this precision";
}

bool ConvPlan::try_engine(const Target& target, Descriptor configuration, gn_precision precision,
                          const Choice& choice) {
  constexpr int64_t kStandIn = 0;  // serves every graph; among proposals it is a fallback wherever it stands
  const Descriptor engine = engine_of(configuration);
  engine_ = get<int64_t>(engine.raw(), CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1).at(0);
  if (engine_ == kStandIn && !choice.fallback) return false;
  const Notes notes = notes_of(engine.raw());
  if (!acceptable(notes, precision)) return false;
  const auto workspace_of = [](cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name) {
    return get<int64_t>(d, name, CUDNN_TYPE_INT64, 1).at(0);
  };
  const auto fits = [&](int64_t bytes) {
    if (bytes > choice.workspace) reason_ = "the engines want " + std::to_string(bytes) + " bytes of workspace";
    return bytes <= choice.workspace;
  };
  // Asked before cuDNN compiles the plan, which takes it half a second and more; the plan has the last word.
  if (!fits(workspace_of(configuration.raw(), CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE))) return false;
  auto plan = std::make_unique<Descriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  target.describe_plan(*plan);
  plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!plan->finalize(reason_)) return false;
  const int64_t bytes = workspace_of(plan->raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  if (!fits(bytes)) return false;
  plan_ = std::move(plan);
  configuration_ = std::make_unique<Descriptor>(std::move(configuration));
  workspace_ = bytes;
  tensor_cores_ = std::count(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE) > 0;
  return true;
}

void ConvPlan::run(const Target& target, const Operands& operands) const {
  const float zero = 0;
  const void* const all[] = {nullptr,       operands.src, operands.weights, operands.dst,
                             operands.bias, &zero,        operands.mask};
  std::vector<const void*> addresses;
  for (const int64_t id : ids_) addresses.push_back(all[id]);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids_);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(addresses.size()), addresses.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &operands.workspace);
  pack.finalize();
  target.execute(*plan_, pack);
}

std::shared_ptr<const ConvPlan> ConvPlans::get(const Target& target, const Convolution& convolution, bool fused,
                                               const Choice& choice) {
  const Key key{convolution, fused, choice};
  std::unique_lock lock(mutex_);
  made_.wait(lock, [&] { return !making_.contains(key); });
  if (const auto found = plans_.find(key); found != plans_.end())
    if (auto plan = found->second.lock()) return plan;
  making_.insert(key);
  lock.unlock();
  const auto done = [&] {
    lock.lock();
    making_.erase(key);
    made_.notify_all();
  };
  std::shared_ptr<const ConvPlan> plan;
  try {
    plan = std::make_shared<const ConvPlan>(target, convolution, fused, choice);
  } catch (...) {
    done();
    throw;
  }
  done();
  std::erase_if(plans_, [](const auto& entry) { return entry.second.expired(); });
  plans_[key] = plan;
  return plan;
}

}  // namespace googlenet::cuda
