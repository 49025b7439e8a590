// cuDNN's graph interface on the host, as a library of its own that the backend finds and opens like the real one. Which
// engines a graph has follows what the real library answered without a device (docs/decisions/0009-cuda.md): a fused
// graph has some that work in place, unless its bias is bf16; a bare convolution on slices one that copies them into
// workspace, then a slow one in place. Each stands on tensor cores, which round f32 to tf32, and for f32 off them too.
// Before them stand three that give wrong numbers, one for each note that must be heeded.
//   SIMULATOR_REFUSE         fused: no engines for fused graphs; slices: none in place on slices; weights: none in place
//                            on slices for fused gradients of weights; masks: none for gradients that are masked;
//                            several with commas
//   SIMULATOR_STAND_IN       what cuDNN falls back on is proposed too: engine 0, in place, lone convolutions in f32
//   SIMULATOR_WRONG          an engine that says nothing of it and gives wrong numbers
//   SIMULATOR_TIMES          what events say that engines take: ENGINE=MILLISECONDS, commas between; default 0.1 each
//   SIMULATOR_PLANS          how many plans a process can make; default any number
//   SIMULATOR_TOGETHER       the process ends unless a second plan is begun while the first one is being made
//   SIMULATOR_ABORT          cudnnCreate ends the process, as the real one does when it misses something
//   SIMULATOR_CUDNN_VERSION  what cudnnGetVersion says; default 92801
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "graph.h"
#include "stream.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
  std::atomic<bool> busy = false;
};

namespace {

using simulator::Descriptor;

struct Engine {
  int64_t index;
  cudnnBackendNumericalNote_t note;  // TYPE_COUNT: none
  bool packs;
};

thread_local std::string last_error;

cudnnStatus_t refuse(const std::string& why, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  last_error = why;
  return status;
}

/** What a caller holds: the values are shared with those it was given to. */
struct Holder {
  std::shared_ptr<Descriptor> value;
};
Descriptor& of(cudnnBackendDescriptor_t d) { return *static_cast<Holder*>(d)->value; }

bool refuses(const char* what) {
  const char* list = std::getenv("SIMULATOR_REFUSE");
  return list && std::strstr(list, what);
}

int64_t number(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::atoll(value) : -1;
}

double milliseconds_of(int64_t engine) {
  const char* list = std::getenv("SIMULATOR_TIMES");
  const std::string times = list ? "," + std::string(list) : "", name = "," + std::to_string(engine) + "=";
  const size_t found = times.find(name);
  return found == std::string::npos ? 0.1 : std::atof(times.c_str() + found + name.size());
}

bool packed(const Descriptor& tensor) {
  const simulator::Array a = simulator::array_of(tensor);
  return extent(a) == a.n * a.c * a.h * a.w;
}

const Descriptor& convolution_of(const Descriptor& graph) {
  return *graph.children(CUDNN_ATTR_OPERATIONGRAPH_OPS).at(0);
}

bool computes_weights(const Descriptor& graph) {
  return convolution_of(graph).type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
}
bool has_bf16(const Descriptor& graph) {
  const simulator::Operands o = simulator::operands_of(convolution_of(graph));
  return simulator::size_of(o.x) == 2 || simulator::size_of(o.y) == 2;
}
bool has_bf16_bias(const Descriptor& graph) {
  const auto& next = *graph.children(CUDNN_ATTR_OPERATIONGRAPH_OPS).at(1);
  return next.has(CUDNN_ATTR_OPERATION_POINTWISE_BDESC) &&
         simulator::size_of(next.child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) == 2;
}

bool masks(const Descriptor& graph) {
  return graph.children(CUDNN_ATTR_OPERATIONGRAPH_OPS).at(1)->has(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC);
}

std::vector<Engine> engines_of(const Descriptor& graph) {
  const bool fused = graph.children(CUDNN_ATTR_OPERATIONGRAPH_OPS).size() > 1;
  const simulator::Operands o = simulator::operands_of(convolution_of(graph));
  // A fused convolution's own result is virtual; the last operation has the tensor in memory.
  const bool dense = packed(o.x) && packed(o.y);
  std::vector<Engine> engines = {{90, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, false},
                                 {91, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, false},
                                 {92, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, false}};
  const auto add = [&](int64_t on_tensor_cores, int64_t off_them, bool packs) {
    engines.push_back({on_tensor_cores, CUDNN_NUMERICAL_NOTE_TENSOR_CORE, packs});
    if (!has_bf16(graph)) engines.push_back({off_them, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, packs});
  };
  const bool refused = refuses("fused") || (refuses("weights") && computes_weights(graph) && !dense) ||
                       (refuses("masks") && masks(graph));
  if (fused && !refused)
    add(4, 8, has_bf16_bias(graph));
  if (!fused) add(10, 1, !dense);
  if (!fused && !dense && !refuses("slices")) add(11, 2, false);
  return engines;
}

int64_t workspace_of(const Descriptor& graph, const Engine& engine) {
  if (!engine.packs) return 0;
  const simulator::Operands o = simulator::operands_of(convolution_of(graph));
  const simulator::Array x = simulator::array_of(o.x), y = simulator::array_of(o.y);
  // The real one asks for the operands' bytes; the tests' tensors are so small that this alone would pass as in place.
  return (int64_t(4) << 20) + int64_t(sizeof(float)) * (x.n * x.c * x.h * x.w + y.n * y.c * y.h * y.w);
}

template <class T>
void put(Descriptor& d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
  const char* bytes = reinterpret_cast<const char*>(&value);
  d.values[name] = {type, {bytes, bytes + sizeof value}, {}};
}

/** Fused gradients of weights can be cut into slices (CUDNN_KNOB_TYPE_SPLIT_K_SLC). */
bool can_cut(const Descriptor& engine) {
  const Descriptor& graph = *engine.children(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).at(0);
  return computes_weights(graph) && graph.children(CUDNN_ATTR_OPERATIONGRAPH_OPS).size() > 1;
}

/** The engine's, and a part of each slice of sums. */
int64_t workspace_of(const Descriptor& configuration) {
  const Descriptor& engine = configuration.child(CUDNN_ATTR_ENGINECFG_ENGINE);
  int64_t bytes = engine.one<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 0);
  for (const auto& choice : configuration.children(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES)) {
    const simulator::Array w = simulator::array_of(
        simulator::operands_of(convolution_of(*engine.children(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).at(0))).w);
    const int64_t slices = choice->one<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 1);
    if (slices > 1) bytes += slices * extent(w) * int64_t(sizeof(float));
  }
  return bytes;
}

std::string problem_of_configuration(const Descriptor& configuration) {
  for (const auto& choice : configuration.children(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES)) {
    const int64_t slices = choice->one<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 0);
    if (choice->one(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_KNOB_TYPE_SWIZZLE) != CUDNN_KNOB_TYPE_SPLIT_K_SLC ||
        !can_cut(configuration.child(CUDNN_ATTR_ENGINECFG_ENGINE)))
      return "the engine has no such knob";
    if (slices < 1 || slices > 128) return "a knob is out of its range";
  }
  return "";
}

Engine engine_of(const Descriptor& d) {
  return {d.one<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1),
          d.one(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT), false};
}

/** Fills the caller's configurations: each holds its engine, and through it the graph. */
int64_t propose(const Descriptor& heuristics, int64_t most, cudnnBackendDescriptor_t* slots) {
  const auto graph = heuristics.children(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).at(0);
  const bool fallback = heuristics.one(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_HEUR_MODE_A) == CUDNN_HEUR_MODE_FALLBACK;
  const bool stand_in = fallback && std::getenv("SIMULATOR_STAND_IN") && !has_bf16(*graph) &&
                        graph->children(CUDNN_ATTR_OPERATIONGRAPH_OPS).size() == 1;
  const auto engines = !fallback  ? engines_of(*graph)
                       : stand_in ? std::vector<Engine>{{0, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, false}}
                                  : std::vector<Engine>();
  for (int64_t i = 0; i < most && i < int64_t(engines.size()); i++) {
    auto engine = std::make_shared<Descriptor>(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    put(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, engines[i].index);
    if (engines[i].note != CUDNN_NUMERICAL_NOTE_TYPE_COUNT)
      put(*engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, engines[i].note);
    put(*engine, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, workspace_of(*graph, engines[i]));
    engine->values[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, {}, {graph}};
    engine->finalized = true;
    Descriptor& configuration = of(slots[i]);
    configuration.values[CUDNN_ATTR_ENGINECFG_ENGINE] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, {}, {engine}};
    configuration.finalized = true;
  }
  return int64_t(engines.size());
}

[[noreturn]] void end_process(const char* why) {
  std::fprintf(stderr, "simulated cuDNN: %s\n", why);
  std::abort();
}

/** A handle is for one thread at a time. */
class Use {
 public:
  explicit Use(cudnnHandle_t handle) : handle_(handle) {
    if (handle_ && handle_->busy.exchange(true)) end_process("two threads use one handle");
  }
  ~Use() {
    if (handle_) handle_->busy = false;
  }

 private:
  cudnnHandle_t handle_;
};

/** Of whoever makes a plan. */
void meet() {
  static std::mutex mutex;
  static std::condition_variable second;
  static int begun = 0;
  std::unique_lock lock(mutex);
  if (++begun == 2) second.notify_all();
  if (!second.wait_for(lock, std::chrono::seconds(30), [] { return begun > 1; }))
    end_process("plans are made one after the other");
}

const Descriptor& engine_descriptor(const Descriptor& plan) {
  return plan.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).child(CUDNN_ATTR_ENGINECFG_ENGINE);
}

/** The bound pointers by id, checked; a value is read now, memory later. */
std::string bind_all(const Descriptor& pack, const std::vector<std::shared_ptr<const Descriptor>>& operations,
                     std::map<int64_t, void*>& pointers, std::map<int64_t, float>& values) {
  const auto ids = pack.list<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto addresses = pack.list<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  if (ids.size() != addresses.size()) return "ids and pointers differ in number";
  std::map<int64_t, void*> given;
  for (size_t i = 0; i < ids.size(); i++) given[ids[i]] = addresses[i];
  for (const auto& operation : operations)
    for (const auto& [name, value] : operation->values)
      for (const auto& tensor : value.descriptors) {
        if (tensor->type != CUDNN_BACKEND_TENSOR_DESCRIPTOR || tensor->one(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false))
          continue;
        const int64_t id = tensor->one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
        if (!given.count(id) || !given[id]) return "tensor " + std::to_string(id) + " is not bound";
        if (reinterpret_cast<uintptr_t>(given[id]) % tensor->one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16))
          return "tensor " + std::to_string(id) + " is not aligned";
        if (tensor->one(CUDNN_ATTR_TENSOR_IS_BY_VALUE, false))
          values[id] = *static_cast<const float*>(given[id]);
        else
          pointers[id] = given[id];
      }
  return "";
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED size_t cudnnGetVersion() {
  const char* version = std::getenv("SIMULATOR_CUDNN_VERSION");
  return version ? size_t(std::atoi(version)) : 92801;
}
EXPORTED const char* cudnnGetErrorString(cudnnStatus_t status) {
  static constexpr const char* kTexts[] = {"CUDNN_STATUS_SUCCESS", "CUDNN_STATUS_BAD_PARAM",
                                           "CUDNN_STATUS_ALLOC_FAILED", "CUDNN_STATUS_NOT_SUPPORTED"};
  return kTexts[status];
}
EXPORTED void cudnnGetLastErrorString(char* message, size_t size) {
  std::strncpy(message, last_error.c_str(), size - 1);
  message[size - 1] = 0;
}
EXPORTED cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (std::getenv("SIMULATOR_ABORT")) std::abort();
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
EXPORTED cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
EXPORTED cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
EXPORTED cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* d) {
  *d = new Holder{std::make_shared<Descriptor>(type)};
  return CUDNN_STATUS_SUCCESS;
}
EXPORTED cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
  delete static_cast<Holder*>(d);
  return CUDNN_STATUS_SUCCESS;
}

EXPORTED cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                                cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  static constexpr size_t kSizes[] = {
      sizeof(void*), sizeof(cudnnDataType_t), sizeof(bool), 8, 4, sizeof(void*), 4, 4, 4, 4, sizeof(void*), 4};
  if (of(d).finalized) return refuse("the descriptor is finalized");
  Descriptor::Value value{type, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; i++) {
      const auto& held = static_cast<Holder*>(static_cast<const cudnnBackendDescriptor_t*>(values)[i])->value;
      if (!held->finalized) return refuse("a descriptor that is used is not finalized");
      value.descriptors.push_back(held);
    }
  } else {
    const char* bytes = static_cast<const char*>(values);
    value.bytes.assign(bytes, bytes + size_t(count) * kSizes[type]);
  }
  of(d).values[name] = std::move(value);
  return CUDNN_STATUS_SUCCESS;
}

EXPORTED cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                                cudnnBackendAttributeType_t, int64_t most, int64_t* count,
                                                void* values) {
  const Descriptor& from = of(d);
  if (!from.finalized) return refuse("the descriptor is not finalized");
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    *count = propose(from, most, static_cast<cudnnBackendDescriptor_t*>(values));
  } else if (name == CUDNN_ATTR_ENGINECFG_ENGINE) {
    of(*static_cast<cudnnBackendDescriptor_t*>(values)) = from.child(name);
    *count = 1;
  } else if (name == CUDNN_ATTR_ENGINE_KNOB_INFO) {
    *count = can_cut(from);
    if (*count > most) return refuse("there is no room for a knob");
    if (*count > 0) {
      Descriptor& knob = of(*static_cast<cudnnBackendDescriptor_t*>(values));
      put(knob, CUDNN_ATTR_KNOB_INFO_TYPE, CUDNN_TYPE_KNOB_TYPE, CUDNN_KNOB_TYPE_SPLIT_K_SLC);
      knob.finalized = true;
    }
  } else if (name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES) {
    const auto& choices = from.children(name);
    for (int64_t i = 0; i < most && i < int64_t(choices.size()); i++)
      of(static_cast<cudnnBackendDescriptor_t*>(values)[i]) = *choices[i];
    *count = int64_t(choices.size());
  } else if (name == CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE) {
    *static_cast<int64_t*>(values) = workspace_of(from);
    *count = 1;
  } else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
    *static_cast<int64_t*>(values) = workspace_of(from.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
    *count = 1;
  } else if (from.has(name)) {
    const auto& bytes = from.values.at(name).bytes;
    std::memcpy(values, bytes.data(), bytes.size());
    *count = 1;
  } else {
    *count = 0;
  }
  return CUDNN_STATUS_SUCCESS;
}

EXPORTED cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
  const Use graph(of(d).one<cudnnHandle_t>(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, nullptr));
  const Use plan(of(d).one<cudnnHandle_t>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, nullptr));
  if (of(d).type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && std::getenv("SIMULATOR_TOGETHER")) meet();
  if (const std::string problem = problem_of(of(d)); !problem.empty())
    return refuse(problem, CUDNN_STATUS_NOT_SUPPORTED);
  if (of(d).type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
    if (const std::string problem = problem_of_configuration(of(d)); !problem.empty()) return refuse(problem);
  static std::atomic<int64_t> plans = 0;
  if (of(d).type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && ++plans > number("SIMULATOR_PLANS") &&
      std::getenv("SIMULATOR_PLANS"))
    return refuse("more plans than SIMULATOR_PLANS", CUDNN_STATUS_NOT_SUPPORTED);
  of(d).finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

EXPORTED cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                           cudnnBackendDescriptor_t pack) {
  const Use use(handle);
  const Descriptor& engine = engine_descriptor(of(plan));
  const auto graph = engine.children(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).at(0);
  const auto& operations = graph->children(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  std::map<int64_t, void*> pointers;
  std::map<int64_t, float> values;
  if (const std::string problem = bind_all(of(pack), operations, pointers, values); !problem.empty())
    return refuse(problem);
  const int64_t bytes = workspace_of(of(plan).child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
  void* const workspace = of(pack).one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, nullptr);
  if (bytes > 0 && !workspace) return refuse("the workspace is missing");
  const Engine described = engine_of(engine);
  const bool tensor_cores = described.note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  const bool noted = !tensor_cores && described.note != CUDNN_NUMERICAL_NOTE_TYPE_COUNT;
  const bool wrong = noted || described.index == number("SIMULATOR_WRONG");
  handle->stream->enqueue([=, values = std::move(values)]() mutable {
    for (auto& [id, value] : values) pointers[id] = &value;
    if (bytes > 0) std::memset(workspace, 0xff, size_t(bytes));
    simulator::run(graph->children(CUDNN_ATTR_OPERATIONGRAPH_OPS), pointers, tensor_cores);
    if (wrong)
      for (const auto& [id, pointer] : pointers)  // the exponents of the first floats, or bf16
        for (const int byte : {1, 3}) static_cast<char*>(pointer)[byte] ^= 0x40;
  }, milliseconds_of(described.index));
  return CUDNN_STATUS_SUCCESS;
}
