#include "addon/convert.h"

#include <cstring>

#include "ops/op.h"

namespace googlenet::addon {

Napi::Error to_js_error(Napi::Env env, Code code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", Napi::String::New(env, code_name(code)));
  return error;
}

std::string to_string(const Napi::Value& value, const char* what) {
  if (!value.IsString()) throw Failure(Code::INVALID_ARGUMENT, std::string(what) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

std::vector<std::string> to_strings(const Napi::Value& value, const char* what) {
  if (value.IsUndefined()) return {};
  if (!value.IsArray()) throw Failure(Code::INVALID_ARGUMENT, std::string(what) + " must be an array of strings");
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); i++) strings.push_back(to_string(array.Get(i), what));
  return strings;
}

ParameterSet to_parameter_set(const Napi::Value& value) {
  const std::string name = to_string(value, "the parameter set");
  if (name == "weights") return ParameterSet::weights;
  if (name == "momentum") return ParameterSet::momentum;
  if (name == "squares") return ParameterSet::squares;
  if (name == "average") return ParameterSet::average;
  if (name == "gradients") return ParameterSet::gradients;
  throw Failure(Code::INVALID_ARGUMENT,
                "parameter sets are weights, momentum, squares, average and gradients, got '" + name + "'");
}

static double number(const Napi::Object& object, const char* key, double fallback) {
  const Napi::Value value = object.Get(key);
  if (value.IsUndefined()) return fallback;
  if (!value.IsNumber()) throw Failure(Code::INVALID_ARGUMENT, std::string("'") + key + "' must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

static bool flag(const Napi::Object& object, const char* key, bool fallback) {
  const Napi::Value value = object.Get(key);
  return value.IsUndefined() ? fallback : value.ToBoolean().Value();
}

// One number or [h, w].
static void pair(const Napi::Object& object, const char* key, int fallback, int32_t& h, int32_t& w) {
  const Napi::Value value = object.Get(key);
  if (value.IsArray()) {
    const auto array = value.As<Napi::Array>();
    h = array.Get(0u).ToNumber().Int32Value(), w = array.Get(1u).ToNumber().Int32Value();
  } else {
    h = w = int32_t(number(object, key, fallback));
  }
}

static Filler filler(const Napi::Object& row, const char* key, Filler fallback) {
  const Napi::Value value = row.Get(key);
  if (!value.IsObject()) return fallback;
  const auto object = value.As<Napi::Object>();
  const std::string type = to_string(object.Get("type"), "a filler's type");
  if (type == "xavier") return {Fill::xavier, 0};
  if (type == "msra") return {Fill::msra, 0};
  if (type == "constant") return {Fill::constant, float(number(object, "value", 0))};
  throw Failure(Code::INVALID_NETWORK, "fillers are xavier, msra and constant, got '" + type + "'");
}

static Row to_row(const Napi::Object& object) {
  Row row;
  row.name = to_string(object.Get("name"), "a layer's name");
  row.op = op_named(to_string(object.Get("op"), "a layer's op"));
  const Napi::Value source = object.Get("src");
  if (source.IsArray())
    row.sources = to_strings(source, "a layer's sources");
  else if (!source.IsUndefined())
    row.sources = {to_string(source, "a layer's source")};
  if (const Napi::Value phase = object.Get("phase"); !phase.IsUndefined())
    row.phase = to_string(phase, "a layer's phase") == "train" ? Phase::train : Phase::inference;
  gn_attributes& a = row.attributes;
  const Napi::Value kernel = object.Get("kernel");
  row.global = kernel.IsString() && kernel.As<Napi::String>().Utf8Value() == "global";
  if (row.global)
    a.kernel_h = a.kernel_w = 1;
  else
    pair(object, "kernel", 1, a.kernel_h, a.kernel_w);
  pair(object, "stride", 1, a.stride_h, a.stride_w);
  pair(object, "pad", 0, a.pad_h, a.pad_w);
  pair(object, "dilation", 1, a.dilation_h, a.dilation_w);
  row.groups = int(number(object, "groups", 1));
  row.outputs = int(number(object, "outputs", 0));
  row.bias = flag(object, "bias", true);
  a.relu = flag(object, "relu", false);
  row.planar = flag(object, "planar", false);
  row.input = {int(number(object, "channels", 0)), int(number(object, "height", 0)), int(number(object, "width", 0))};
  row.weight_filler = filler(object, "weightFiller", {Fill::xavier, 0});
  row.bias_filler = filler(object, "biasFiller", {Fill::constant, 0});
  if (const Napi::Value kind = object.Get("kind"); kind.IsString())
    a.pool_kind = kind.As<Napi::String>().Utf8Value() == "max" ? GN_POOL_MAX : GN_POOL_AVERAGE;
  if (const Napi::Value round = object.Get("round"); round.IsString())
    row.floor = round.As<Napi::String>().Utf8Value() == "floor";
  a.lrn_size = int32_t(number(object, "size", 0));
  a.lrn_alpha = float(number(object, "alpha", 1));
  a.lrn_beta = float(number(object, "beta", 0.75));
  a.lrn_k = float(number(object, "k", 1));
  if (const Napi::Value region = object.Get("region"); region.IsString())
    a.lrn_region = region.As<Napi::String>().Utf8Value() == "within" ? GN_LRN_WITHIN : GN_LRN_ACROSS;
  a.dropout_ratio = float(number(object, "ratio", 0));
  a.loss_weight = float(number(object, "weight", 1));
  return row;
}

std::vector<Row> to_rows(const Napi::Value& layers) {
  if (!layers.IsArray()) throw Failure(Code::INVALID_ARGUMENT, "'layers' must be an array of network table rows");
  const auto array = layers.As<Napi::Array>();
  std::vector<Row> rows;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value value = array.Get(i);
    if (!value.IsObject()) throw Failure(Code::INVALID_ARGUMENT, "a network table row must be an object");
    rows.push_back(to_row(value.As<Napi::Object>()));
  }
  return rows;
}

static gn_precision precision_named(const std::string& name) {
  if (name == "f32") return GN_PRECISION_F32;
  if (name == "tf32") return GN_PRECISION_TF32;
  if (name == "bf16") return GN_PRECISION_BF16;
  if (name == "int8") return GN_PRECISION_INT8;
  throw Failure(Code::INVALID_ARGUMENT, "there is no precision '" + name + "', only f32, tf32, bf16 and int8");
}

/** { range, mean: Float32Array } by blob. */
static std::map<std::string, Calibration> to_calibrations(const Napi::Value& value) {
  std::map<std::string, Calibration> result;
  if (!value.IsObject()) throw Failure(Code::INVALID_ARGUMENT, "calibration must be an object by blob");
  const auto object = value.As<Napi::Object>();
  for (const std::string& name : to_strings(object.GetPropertyNames(), "calibration")) {
    const Napi::Value entry = object.Get(name);
    if (!entry.IsObject()) throw Failure(Code::INVALID_ARGUMENT, "calibration of '" + name + "' must be an object");
    Calibration& calibration = result[name];
    calibration.range = float(number(entry.As<Napi::Object>(), "range", 0));
    const Napi::Value mean = entry.As<Napi::Object>().Get("mean");
    if (mean.IsUndefined()) continue;
    if (!mean.IsTypedArray() || mean.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
      throw Failure(Code::INVALID_ARGUMENT, "calibration of '" + name + "': mean must be a Float32Array");
    const auto values = mean.As<Napi::Float32Array>();
    calibration.means.assign(values.Data(), values.Data() + values.ElementLength());
  }
  return result;
}

Executor::Options to_executor_options(const Napi::Object& object) {
  Executor::Options options;
  const double threads = number(object, "threads", 0);
  if (!(threads >= 0 && threads <= 1024) || threads != double(int(threads)))
    throw Failure(Code::INVALID_ARGUMENT, "threads must be a whole number from 0 (all) to 1024");
  options.threads = int(threads);
  options.seed = uint64_t(number(object, "seed", 0));
  options.keep_all = flag(object, "keepAll", false);
  options.exact = flag(object, "exact", false);
  options.tune = flag(object, "tune", false);
  options.capture = flag(object, "capture", true);
  const double streams = number(object, "streams", 1);
  if (!(streams >= 1 && streams <= 64) || streams != double(int(streams)))
    throw Failure(Code::INVALID_ARGUMENT, "streams must be a whole number from 1 to 64");
  options.streams = int(streams);
  if (const Napi::Value device = object.Get("device"); !device.IsUndefined())
    options.device = to_string(device, "device");
  if (const Napi::Value precision = object.Get("precision"); !precision.IsUndefined())
    options.precision = precision_named(to_string(precision, "precision"));
  if (const Napi::Value calibration = object.Get("calibration"); !calibration.IsUndefined())
    options.calibrations = to_calibrations(calibration);
  if (const Napi::Value mean = object.Get("mean"); mean.IsArray())
    for (uint32_t i = 0; i < 3; i++) options.mean[i] = mean.As<Napi::Array>().Get(i).ToNumber().FloatValue();
  return options;
}

OptimizerOptions to_optimizer_options(const Napi::Object& object) {
  OptimizerOptions options;
  if (const Napi::Value kind = object.Get("kind"); !kind.IsUndefined())
    options.rule = rule_named(to_string(kind, "optimizer kind"));
  options.rate = float(number(object, "rate", 0));
  options.momentum = float(number(object, "momentum", 0));
  options.weight_decay = float(number(object, "weightDecay", 0));
  options.clip = float(number(object, "clip", 0));
  options.squares_decay = float(number(object, "decay", 0));
  options.epsilon = float(number(object, "epsilon", 0));
  options.initial_squares = float(number(object, "initial", 0));
  options.frozen = to_strings(object.Get("frozen"), "frozen");
  return options;
}

AverageOptions to_average_options(const Napi::Value& value) {
  AverageOptions options;
  if (!value.IsObject()) return options;
  const auto object = value.As<Napi::Object>();
  const std::string kind = to_string(object.Get("kind"), "average kind");
  if (kind != "polyak" && kind != "ema")
    throw Failure(Code::INVALID_ARGUMENT, "expected an average of kind polyak or ema, got '" + kind + "'");
  options.kind = kind == "polyak" ? AverageKind::polyak : AverageKind::exponential;
  options.from = uint64_t(number(object, "from", 0));
  options.decay = number(object, "decay", 0);
  return options;
}

PushPolicy to_push_policy(const Napi::Object& object) {
  PushPolicy policy;
  policy.scale_by_staleness = flag(object, "scaleByStaleness", false);
  policy.max_staleness = int64_t(number(object, "maxStaleness", -1));
  policy.group = int(number(object, "group", 1));
  if (policy.group < 1) throw Failure(Code::INVALID_ARGUMENT, "a group holds at least one gradient");
  return policy;
}

HostInput to_host_input(const std::string& name, const Napi::Value& value) {
  const auto fail = [&](const std::string& why) {
    return Failure(Code::INVALID_ARGUMENT, "'" + name +
                                               "' must be {shape, data} with data a Float32Array (N, C, H, W) or a "
                                               "Uint8Array (N, H, W, 3) or of photos: " +
                                               why);
  };
  if (!value.IsObject()) throw fail("it is no object");
  const auto object = value.As<Napi::Object>();
  const Napi::Value data = object.Get("data"), shape = object.Get("shape");
  if (!data.IsTypedArray()) throw fail("data is no typed array");
  if (!shape.IsArray()) throw fail("shape is no array");
  HostInput input;
  input.name = name;
  const auto typed = data.As<Napi::TypedArray>();
  if (typed.TypedArrayType() == napi_float32_array)
    input.format = GN_HOST_F32_NCHW;
  else if (typed.TypedArrayType() == napi_uint8_array || typed.TypedArrayType() == napi_uint8_clamped_array)
    input.format = GN_HOST_U8_NHWC_RGB;
  else
    throw fail("data is of another type");
  if (object.Get("photos").ToBoolean()) {
    if (input.format != GN_HOST_U8_NHWC_RGB) throw fail("photos are a Uint8Array");
    input.format = GN_HOST_PHOTOS;
  }
  int64_t count = 1;
  for (uint32_t i = 0; i < shape.As<Napi::Array>().Length(); i++) {
    input.shape.push_back(shape.As<Napi::Array>().Get(i).ToNumber().Int64Value());
    count *= input.shape.back();
  }
  if (input.format != GN_HOST_PHOTOS && count != int64_t(typed.ElementLength()))
    throw Failure(Code::INVALID_SHAPE, "'" + name + "': the shape holds " + std::to_string(count) + " values, data " +
                                           std::to_string(typed.ElementLength()));
  input.bytes = int64_t(typed.ByteLength());
  input.data = static_cast<const char*>(typed.ArrayBuffer().Data()) + typed.ByteOffset();
  return input;
}

static Napi::Array shape_to_js(Napi::Env env, const std::vector<int64_t>& shape) {
  auto array = Napi::Array::New(env, shape.size());
  for (size_t i = 0; i < shape.size(); i++) array.Set(uint32_t(i), double(shape[i]));
  return array;
}

Napi::Object to_js(Napi::Env env, const HostTensor& tensor) {
  auto data = Napi::Float32Array::New(env, tensor.data.size());
  std::memcpy(data.Data(), tensor.data.data(), tensor.data.size() * sizeof(float));
  auto object = Napi::Object::New(env);
  object.Set("shape", shape_to_js(env, tensor.shape));
  object.Set("data", data);
  return object;
}

Napi::Object to_js(Napi::Env env, const std::vector<Loss>& losses) {
  auto object = Napi::Object::New(env);
  for (const Loss& loss : losses) {
    auto entry = Napi::Object::New(env);
    entry.Set("loss", loss.loss);
    entry.Set("correct", loss.correct);
    object.Set(loss.name, entry);
  }
  return object;
}

static void set_phase(Napi::Object& object, Phase phase) {
  if (phase != Phase::both) object.Set("phase", phase == Phase::train ? "train" : "inference");
}

static std::string detail(const Row& row) {
  const gn_attributes& a = row.attributes;
  if (row.op != GN_CONV && row.op != GN_POOL) return "";
  const auto pair = [](int h, int w) {
    return h == w ? std::to_string(h) : std::to_string(h) + "x" + std::to_string(w);
  };
  std::string text = std::to_string(a.kernel_h) + "x" + std::to_string(a.kernel_w) + "/" + pair(a.stride_h, a.stride_w);
  if (a.pad_h || a.pad_w) text += " pad " + pair(a.pad_h, a.pad_w);
  if (row.op == GN_POOL) text += a.pool_kind == GN_POOL_MAX ? " max" : " average";
  return text;
}

static Napi::Object filler_to_js(Napi::Env env, const Filler& filler) {
  auto object = Napi::Object::New(env);
  object.Set("type", filler.type == Fill::xavier ? "xavier" : filler.type == Fill::msra ? "msra" : "constant");
  if (filler.type == Fill::constant) object.Set("value", filler.value);
  return object;
}

Napi::Object to_js(Napi::Env env, const StepResult& result) {
  auto object = Napi::Object::New(env);
  object.Set("loss", result.loss);
  object.Set("gradientNorm", result.gradient_norm);
  object.Set("losses", to_js(env, result.losses));
  return object;
}

Napi::Object to_js(Napi::Env env, const MemoryReport& memory) {
  auto object = Napi::Object::New(env);
  object.Set("parameters", double(memory.parameters));
  object.Set("arena", double(memory.arena));
  object.Set("scratch", double(memory.scratch));
  object.Set("kernels", double(memory.kernels));
  return object;
}

Napi::Object describe_graph(Napi::Env env, const Graph& graph) {
  auto layers = Napi::Array::New(env, graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); i++) {
    const Node& node = graph.nodes[i];
    auto layer = Napi::Object::New(env);
    layer.Set("name", node.row.name);
    layer.Set("op", op_name(node.row.op));
    auto sources = Napi::Array::New(env);
    for (size_t k = 0; k < node.sources.size(); k++) sources.Set(uint32_t(k), graph.nodes[node.sources[k]].row.name);
    layer.Set("sources", sources);
    layer.Set("shape", shape_to_js(env, {node.shape.c, node.shape.h, node.shape.w}));
    set_phase(layer, node.row.phase);
    int64_t parameters = 0;
    for (const int p : {node.weight, node.bias})
      if (p >= 0) parameters += graph.parameters[p].count();
    layer.Set("parameters", double(parameters));
    layer.Set("macs", double(node.macs));
    layer.Set("detail", detail(node.row));
    layers.Set(uint32_t(i), layer);
  }
  auto parameters = Napi::Array::New(env, graph.parameters.size());
  for (size_t i = 0; i < graph.parameters.size(); i++) {
    const Parameter& p = graph.parameters[i];
    auto parameter = Napi::Object::New(env);
    parameter.Set("name", p.name);
    parameter.Set("layer", graph.nodes[p.node].row.name);
    parameter.Set("shape", shape_to_js(env, p.shape));
    set_phase(parameter, graph.nodes[p.node].row.phase);
    parameter.Set("filler", filler_to_js(env, p.filler));
    parameter.Set("rateFactor", p.rate_factor);
    parameter.Set("decayFactor", p.decay_factor);
    parameters.Set(uint32_t(i), parameter);
  }
  auto object = Napi::Object::New(env);
  object.Set("layers", layers);
  object.Set("parameters", parameters);
  return object;
}

}  // namespace googlenet::addon
