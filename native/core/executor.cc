// Programs (plans with kernels), runs and training steps. Parameters and profiling: executor_state.cc.
#include "core/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/photos.h"
#include "core/executor_program.h"
#include "core/status.h"
#include "ops/op.h"

namespace googlenet {

static constexpr size_t kPrograms = 8;  // batch sizes 1, 2, 4, 8, on GPUs 32 and 128 too, training, and one to spare

static std::shared_ptr<Device> open_device(const Executor::Options& options, const gn_device* beside = nullptr) {
  gn_device_options device{};
  device.threads = options.threads, device.alone = options.alone, device.exact = options.exact;
  device.tune = options.tune;
  device.precision = options.precision;
  device.lanes = options.streams;
  device.beside = beside;
  return std::make_shared<Device>(options.device, device);
}

Executor::Executor(Graph graph, const Options& options)
    : graph_(std::move(graph)),
      options_(options),
      beside_(false),
      open_(open_device(options)),
      backend_(open_->backend),
      device_(open_->handle()) {
  const gn_geometry geometry = backend_.geometry(device_);
  auto layout = std::make_shared<Layout>(graph_, geometry);
  if (geometry.quantized) quantize(graph_, options.calibrations, *layout);
  layout_ = std::move(layout);
  store_ = std::make_shared<LocalStore>(open_, layout_->parameter_floats);
}

static Executor::Options on_own_threads(Executor::Options options, int threads) {
  options.threads = threads, options.alone = true;
  return options;
}

Executor::Executor(const Executor& first, int threads)
    : graph_(first.graph_),
      options_(on_own_threads(first.options_, threads)),
      beside_(true),
      open_(open_device(options_, first.device_)),
      backend_(open_->backend),
      device_(open_->handle()),
      layout_(first.layout_),
      store_(first.store_) {}

Executor::~Executor() = default;

PlanRequest Executor::plan_request(const RunRequest& request) const {
  PlanRequest plan;
  plan.training = request.training;
  plan.keep_all = options_.keep_all;
  plan.piece = request.training ? 0 : backend_.geometry(device_).piece;
  const auto node = [&](const std::string& name, const char* what) {
    const int found = graph_.find(name);
    if (found < 0 || !Graph::active(graph_.nodes[found], request.training))
      throw Failure(Code::INVALID_ARGUMENT, std::string(what) + " '" + name + "' is not a blob of the " +
                                                (request.training ? "training" : "inference") + " network");
    return found;
  };
  for (const HostInput& input : request.inputs) {
    const int found = node(input.name, "input");
    if (graph_.nodes[found].row.op != GN_INPUT)
      throw Failure(Code::INVALID_ARGUMENT, "'" + input.name + "' is not an input of the network");
  }
  for (const std::string& name : request.outputs) plan.outputs.push_back(node(name, "output"));
  for (const HostInput& gradient : request.gradients) plan.seeds.push_back(node(gradient.name, "gradient"));
  for (const std::string& name : request.input_gradients) {
    const int found = node(name, "input gradient");
    if (graph_.nodes[found].row.op != GN_INPUT || graph_.nodes[found].row.planar)
      throw Failure(Code::INVALID_ARGUMENT, "'" + name + "' is not an input that a gradient can reach");
    plan.input_gradients.push_back(found);
  }
  for (size_t i = 0; i < graph_.nodes.size(); i++) {
    if (graph_.nodes[i].row.op != GN_INPUT || !Graph::active(graph_.nodes[i], request.training)) continue;
    const auto given = std::find_if(request.inputs.begin(), request.inputs.end(),
                                    [&](const HostInput& input) { return input.name == graph_.nodes[i].row.name; });
    if (given == request.inputs.end())
      throw Failure(Code::INVALID_ARGUMENT, "the input '" + graph_.nodes[i].row.name + "' was not given");
  }
  if (request.inputs.empty() || request.inputs[0].shape.empty() || request.inputs[0].shape[0] < 1)
    throw Failure(Code::INVALID_SHAPE, "a batch must hold at least one image");
  plan.batch = int(request.inputs[0].shape[0]);
  return plan;
}

Executor::Program& Executor::program(const PlanRequest& request) {
  const auto found = std::find_if(programs_.begin(), programs_.end(),
                                  [&](const auto& program) { return program->plan.request == request; });
  if (found != programs_.end()) {
    programs_.splice(programs_.begin(), programs_, found);
  } else {
    const int lanes = backend_.lanes ? options_.streams : 1;
    programs_.push_front(std::make_unique<Program>(graph_, *layout_, request, backend_, device_, lanes));
    if (programs_.size() > kPrograms) programs_.pop_back();
  }
  Program& program = *programs_.front();
  arena_.grow(backend_, device_, program.plan.arena_bytes);
  scratch_.grow(backend_, device_, program.scratch_bytes());
  if (request.training) gradients_.grow_floats(backend_, device_, layout_->parameter_floats);
  return program;
}

Executor::Program& Executor::training_program(RunRequest& request) {
  request.training = true;
  Program& p = program(plan_request(request));
  if (p.plan.losses.empty())
    throw Failure(Code::INVALID_NETWORK, "the network has no loss, so there is nothing to train");
  return p;
}

void Executor::import_host(const gn_tensor& tensor, int node, const HostInput& host) {
  const Shape& s = graph_.nodes[node].shape;
  const bool rgb = host.format != GN_HOST_F32_NCHW;
  const std::vector<int64_t> expected = host.format == GN_HOST_U8_NHWC_RGB
                                            ? std::vector<int64_t>{tensor.n, s.h, s.w, 3}
                                            : std::vector<int64_t>{tensor.n, s.c, s.h, s.w};
  if (host.shape != expected || (rgb && s.c != 3))
    throw Failure(Code::INVALID_SHAPE,
                  "'" + host.name + "' must have shape " + to_string(expected) + ", got " + to_string(host.shape));
  if (host.format == GN_HOST_PHOTOS) {
    check_photos(host.data, host.bytes);
    const auto* block = static_cast<const gn_photos*>(host.data);
    if (block->count != tensor.n || block->size != s.h || block->size != s.w)
      throw Failure(Code::INVALID_SHAPE, "'" + host.name + "' holds " + std::to_string(block->count) +
                                             " photos for images of " + std::to_string(block->size) +
                                             " pixels, but must have shape " + to_string(expected));
  }
  const auto map = layout_->channel_map(node);
  check(backend_.import_tensor(device_, &tensor, map.data(), arena_.data(), host.data, host.format, options_.mean));
}

HostTensor Executor::export_host(const gn_tensor& tensor, int node) {
  const Shape& s = graph_.nodes[node].shape;
  HostTensor host{{tensor.n, s.c, s.h, s.w}, {}};
  host.data.resize(size_t(tensor.n) * s.c * s.h * s.w);
  const auto map = layout_->channel_map(node);
  check(backend_.export_tensor(device_, &tensor, map.data(), arena_.data(), host.data.data()));
  return host;
}

void Executor::load(Program& program, const RunRequest& request) {
  const Plan& plan = program.plan;
  if (backend_.stage && !request.announced) check(backend_.stage(device_, nullptr, 0));
  for (const HostInput& input : request.inputs) {
    const int node = graph_.find(input.name);
    import_host(plan.value(node), node, input);
  }
  for (const HostInput& gradient : request.gradients) {
    const int node = graph_.find(gradient.name);
    import_host(plan.gradient(node), node, gradient);
  }
  if (!plan.losses.empty()) {
    if (request.label_count != plan.request.batch)
      throw Failure(Code::INVALID_SHAPE, "expected " + std::to_string(plan.request.batch) +
                                             " labels, one an image, got " + std::to_string(request.label_count));
    int classes = graph_.nodes[plan.losses[0]].shape.c;
    for (const int loss : plan.losses) classes = std::min(classes, graph_.nodes[loss].shape.c);
    for (int64_t i = 0; i < request.label_count; i++)
      if (request.labels[i] < 0 || request.labels[i] >= classes)
        throw Failure(Code::LABEL_OUT_OF_RANGE, "label " + std::to_string(request.labels[i]) + " of image " +
                                                    std::to_string(i) + " is not in [0, " + std::to_string(classes) +
                                                    ")");
    labels_.grow(backend_, device_, request.label_count * 4);
    labels_.upload(0, request.labels, request.label_count * 4);
    results_.grow(backend_, device_, int64_t(sizeof(gn_verdict) + plan.losses.size() * 8));
  }
  bindings_.arenas[GN_ACTIVATIONS] = arena_.data();
  bindings_.parameters = store_->weights().floats();
  bindings_.gradients = gradients_.floats();
  bindings_.scratch = scratch_.data();
  bindings_.labels = static_cast<const int32_t*>(labels_.data());
  bindings_.results = results_.data() ? results_.floats() + sizeof(gn_verdict) / sizeof(float) : nullptr;
  bindings_.seed = options_.seed;
  bindings_.step = request.step;
  bindings_.first_sample = request.first_sample;
  bindings_.variable = nullptr;
}

void Executor::stage(const RunRequest& request) {
  if (!backend_.stage || !request.next) return;
  backend_.stage(device_, request.next->data, request.next->bytes);
}

const void* Executor::weights() {
  const gn_type type = backend_.geometry(device_).type;
  const float* const parameters = store_->weights().floats();
  if (type == GN_F32 || !backend_.convert) return parameters;
  const int64_t floats = layout_->parameter_floats;
  converted_.grow(backend_, device_, std::max<int64_t>(floats, 1) * gn_bytes_of(type));
  if (converted_version_ != store_->contents()) check(backend_.convert(device_, converted_.data(), parameters, floats));
  converted_version_ = store_->contents();
  return converted_.data();
}

void Executor::sync(Program& program) {
  bindings_.version = store_->contents();
  bindings_.weights = weights();
  if (program.version == bindings_.version) return;
  for (gn_kernel* kernel : program.kernels) check(backend_.sync(device_, kernel, &bindings_));
  program.version = bindings_.version;
}

void Executor::execute(Program& program, bool backward, const std::atomic<bool>* cancelled) {
  gn_kernel* const* kernels = program.kernels.data() + (backward ? program.plan.forward.size() : 0);
  gn_bindings bindings = bindings_;
  walk(program.passes[backward], backend_, device_, [&](size_t i, int lane) {
    stop_if(cancelled);
    bindings.scratch = static_cast<char*>(bindings_.scratch) + lane * program.lane_scratch;
    check(backend_.run(device_, kernels[i], &bindings));
  });
}

std::vector<Loss> Executor::losses(const Program& program, gn_verdict* verdict) const {
  const size_t count = program.plan.losses.size();
  std::vector<char> bytes(sizeof(gn_verdict) + count * 8);
  if (count) results_.download(0, bytes.data(), int64_t(bytes.size()));
  if (verdict) std::memcpy(verdict, bytes.data(), sizeof(gn_verdict));
  std::vector<float> results(2 * count);
  std::memcpy(results.data(), bytes.data() + sizeof(gn_verdict), count * 8);
  std::vector<Loss> list;
  for (size_t k = 0; k < count; k++)
    list.push_back({graph_.nodes[program.plan.losses[k]].row.name, results[2 * k], results[2 * k + 1]});
  return list;
}

double Executor::total_of(const std::vector<Loss>& losses, const Program& program, const RunRequest& request) const {
  double total = 0;
  for (size_t k = 0; k < losses.size(); k++)
    total += double(graph_.nodes[program.plan.losses[k]].row.attributes.loss_weight) * losses[k].loss;
  if (!std::isfinite(total))
    throw Failure(Code::NOT_FINITE,
                  "the loss is " + std::to_string(total) + " at step " + std::to_string(request.step) +
                      "; the weights were left as they were. Lower the rate, clip gradients, or check the input");
  return total;
}

void Executor::check_norm(const StepResult& result, const RunRequest& request) {
  if (!std::isfinite(result.gradient_norm))
    throw Failure(Code::NOT_FINITE, "a gradient is not finite at step " + std::to_string(request.step) + " (loss " +
                                        std::to_string(result.loss) +
                                        "); the weights were left as they were. Lower the rate or clip gradients");
}

Executor::Program& Executor::compute(const RunRequest& request) {
  Program& p = program(plan_request(request));
  load(p, request);
  sync(p);
  if (recorder() && !request.training) {
    replay_forward(p, request);
  } else {
    execute(p, false, request.cancelled);
    if (request.training) execute(p, true, request.cancelled);
  }
  return p;
}

RunResult Executor::run(const RunRequest& request) {
  if (request.training) {
    const LocalStore::Hold hold(*store_);
    return results_of(request);
  }
  const LocalStore::Reading reading(*store_);
  return results_of(request);
}

RunResult Executor::results_of(const RunRequest& request) {
  Program& p = compute(request);
  RunResult result;
  for (const int node : p.plan.request.outputs)
    result.outputs[graph_.nodes[node].row.name] = export_host(p.plan.value(node), node);
  for (const int node : p.plan.request.input_gradients)
    result.input_gradients[graph_.nodes[node].row.name] = export_host(p.plan.gradient(node), node);
  result.losses = losses(p);
  check(backend_.finish(device_));  // whoever takes the store next may write what is read here
  return result;
}

double Executor::norm_of(const float* gradients) const {
  double squares = 0;
  check(backend_.square_sum(device_, gradients, layout_->parameter_floats, &squares));
  return std::sqrt(squares);
}

Push Executor::push_of(const OptimizerOptions& optimizer, double gradient_norm) const {
  Push push;
  push.updates = updates_of(graph_, *layout_, optimizer);
  push.initial_squares = optimizer.initial_squares;
  push.gradient_scale = clip_scale(optimizer, gradient_norm);
  return push;
}

StepResult Executor::differentiate(RunRequest request) {
  if (recorder()) return replay_step(std::move(request), nullptr);
  const LocalStore::Hold hold(*store_);
  Program& p = training_program(request);
  load(p, request);
  sync(p);
  execute(p, false, request.cancelled);
  stage(request);
  StepResult result;
  result.losses = losses(p);
  result.loss = total_of(result.losses, p, request);
  execute(p, true, request.cancelled);
  result.gradient_norm = norm_of(gradients());
  check_norm(result, request);
  result.updates = store_->updates();
  return result;
}

// The model is a worker of its own store, one that computes on the weights themselves.
StepResult Executor::step(const RunRequest& request, const OptimizerOptions& optimizer) {
  if (recorder()) return replay_step(request, &optimizer);
  StepResult result = differentiate(request);
  Push push = push_of(optimizer, result.gradient_norm);
  stop_if(request.cancelled);
  push.gradients = gradients();
  push.base = result.updates;
  result.updates = store_->push(device_, push).updates;
  return result;
}

}  // namespace googlenet
