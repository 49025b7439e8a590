#include "addon/session.h"

#include <algorithm>

#include "addon/convert.h"
#include "addon/request.h"
#include "core/threads.h"
#include "cpu/isa.h"
#include "ops/op.h"

namespace googlenet::addon {

// Errors must reach JavaScript with their code, from a member initialiser too.
template <class Body>
static auto told(const Napi::CallbackInfo& info, const Body& body) {
  try {
    if (!info[0].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "new Session(options) expects an object");
    return body(info[0].As<Napi::Object>());
  } catch (const Failure& failure) {
    throw to_js_error(info.Env(), failure);
  }
}

static Executor::Options checked_options(const Napi::Object& object) {
  Executor::Options options = to_executor_options(object);
  backend_named(options.device);
  return options;
}

/** Calls that run side by side: where a device has no lanes to run steps on so. */
static int helpers_of(const Executor::Options& options) {
  return options.streams > 1 && !backend_named(options.device).lanes ? options.streams : 0;
}

Session::Session(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Session>(info),
      graph_(told(info, [](const Napi::Object& options) { return Graph(to_rows(options.Get("layers"))); })),
      options_(told(info, checked_options)),
      resident_(
          info.Env(), helpers_of(options_),
          [this](const Executor* first, int helper) { return first ? make_beside(*first, helper) : make(); },
          [this] {
            std::lock_guard lock(facts_);
            store_.reset();
          }) {}

std::unique_ptr<Executor> Session::make() {
  auto executor = std::make_unique<Executor>(graph_, options_);
  std::lock_guard lock(facts_);
  description_ = executor->device_description();
  store_ = executor->parameters();
  return executor;
}

int Session::all_threads() const { return options_.threads ? options_.threads : available_cores(); }

std::unique_ptr<Executor> Session::make_beside(const Executor& first, int helper) const {
  const int threads = all_threads(),
            share = threads * helper / options_.streams - threads * (helper - 1) / options_.streams;
  return std::make_unique<Executor>(first, std::max(share, 1));
}

Napi::Value Session::initialize(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const auto seed = uint64_t(info[0].ToNumber().DoubleValue());
    job.work = [this, seed] { executor().initialize(seed); };
  });
}

Napi::Value Session::set_parameters(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const ParameterSet set = to_parameter_set(info[0]);
    if (!info[1].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "setParameters expects tensors by name");
    const auto object = info[1].As<Napi::Object>();
    std::vector<HostInput> tensors;
    for (const std::string& name : to_strings(object.GetPropertyNames(), "names")) {
      tensors.push_back(keep_input(job, name, object.Get(name)));
      if (tensors.back().format != GN_HOST_F32_NCHW)
        throw Failure(Code::INVALID_ARGUMENT, "parameter '" + name + "' must be a Float32Array");
    }
    job.work = [this, set, tensors = std::move(tensors)] {
      for (const HostInput& t : tensors)
        executor().set_parameter(set, t.name, static_cast<const float*>(t.data), t.shape);
    };
  });
}

Napi::Value Session::get_parameters(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const ParameterSet set = to_parameter_set(info[0]);
    std::vector<std::string> names = to_strings(info[1], "names");
    if (info[1].IsUndefined())
      for (const Parameter& parameter : graph_.parameters) names.push_back(parameter.name);
    auto tensors = std::make_shared<std::vector<HostTensor>>();
    job.work = [this, set, names, tensors] {
      for (const std::string& name : names) tensors->push_back(executor().get_parameter(set, name));
    };
    job.result = [names, tensors](Napi::Env env) {
      auto object = Napi::Object::New(env);
      for (size_t i = 0; i < names.size(); i++) object.Set(names[i], to_js(env, (*tensors)[i]));
      return object;
    };
  });
}

Napi::Value Session::step(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const auto request = batch_request(job, graph_, info);
    const OptimizerOptions optimizer = to_optimizer_options(info[2].As<Napi::Object>());
    auto result = std::make_shared<StepResult>();
    job.work = [this, request, optimizer, result] { *result = executor().step(*request, optimizer); };
    job.result = [result](Napi::Env env) { return to_js(env, *result); };
  });
}

Napi::Value Session::run(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    if (!info[0].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "run expects a request");
    const auto object = info[0].As<Napi::Object>();
    auto request = std::make_shared<RunRequest>();
    const auto collect = [&](const char* key, std::vector<HostInput>& list) {
      const Napi::Value value = object.Get(key);
      if (!value.IsObject()) return;
      const auto tensors = value.As<Napi::Object>();
      for (const std::string& name : to_strings(tensors.GetPropertyNames(), key))
        list.push_back(keep_input(job, name, tensors.Get(name)));
    };
    collect("inputs", request->inputs);
    collect("gradients", request->gradients);
    keep_labels(job, object.Get("labels"), *request);
    request->training = object.Get("training").ToBoolean();
    request->outputs = to_strings(object.Get("outputs"), "outputs");
    request->input_gradients = to_strings(object.Get("inputGradients"), "inputGradients");
    if (object.Has("step")) request->step = object.Get("step").ToNumber().Uint32Value();
    use_cancel(job, info[1], *request);
    auto result = std::make_shared<RunResult>();
    if (request->training)
      job.work = [this, request, result] { *result = executor().run(*request); };
    else
      job.beside = [this, request, result](int thread) { *result = resident_.engine(thread).run(*request); };
    job.result = [result](Napi::Env env) {
      const auto tensors = [&](const std::map<std::string, HostTensor>& map) {
        auto by_name = Napi::Object::New(env);
        for (const auto& [name, tensor] : map) by_name.Set(name, to_js(env, tensor));
        return by_name;
      };
      auto answer = Napi::Object::New(env);
      answer.Set("outputs", tensors(result->outputs));
      answer.Set("inputGradients", tensors(result->input_gradients));
      answer.Set("losses", to_js(env, result->losses));
      return answer;
    };
  });
}

static Napi::Object to_js(Napi::Env env, const std::map<std::string, Observer::Blob>& observations) {
  auto object = Napi::Object::New(env);
  for (const auto& [name, blob] : observations) {
    auto histogram = Napi::Float64Array::New(env, blob.histogram.size());
    std::copy(blob.histogram.begin(), blob.histogram.end(), histogram.Data());
    auto mean = Napi::Float32Array::New(env, blob.sums.size());
    for (size_t i = 0; i < blob.sums.size(); i++) mean[i] = float(blob.mean(i));
    auto entry = Napi::Object::New(env);
    entry.Set("images", double(blob.images));
    entry.Set("max", blob.max);
    entry.Set("range", blob.range);
    entry.Set("histogram", histogram);
    entry.Set("mean", mean);
    object.Set(name, entry);
  }
  return object;
}

Napi::Value Session::observe(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    auto request = std::make_shared<RunRequest>();
    request->inputs.push_back(keep_input(job, image_input(graph_), info[0]));
    use_cancel(job, info[1], *request);
    job.work = [this, request] { executor().observe(*request); };
  });
}

Napi::Value Session::observations(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    auto result = std::make_shared<std::map<std::string, Observer::Blob>>();
    job.work = [this, result] { *result = executor().take_observations(); };
    job.result = [result](Napi::Env env) { return to_js(env, *result); };
  });
}

Napi::Value Session::profile(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const int batch = info[0].ToNumber().Int32Value();
    const bool training = info[1].ToBoolean();
    if (batch < 1) throw Failure(Code::INVALID_ARGUMENT, "the batch size must be positive");
    auto reports = std::make_shared<std::vector<KernelReport>>();
    job.work = [this, batch, training, reports] { *reports = executor().profile(batch, training); };
    job.result = [reports](Napi::Env env) {
      static constexpr const char* kDirections[] = {"forward", "backward data", "backward weights"};
      auto list = Napi::Array::New(env, reports->size());
      for (size_t i = 0; i < reports->size(); i++) {
        const KernelReport& report = (*reports)[i];
        auto entry = Napi::Object::New(env);
        entry.Set("name", report.name);
        entry.Set("op", op_name(report.op));
        entry.Set("direction", kDirections[report.direction]);
        entry.Set("implementation", report.implementation);
        entry.Set("macs", double(report.macs));
        entry.Set("milliseconds", report.milliseconds);
        list.Set(uint32_t(i), entry);
      }
      return list;
    };
  });
}

Napi::Value Session::describe(const Napi::CallbackInfo& info) { return describe_graph(info.Env(), graph_); }

Napi::Value Session::configure(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const AverageOptions average = to_average_options(info[0]);
    const auto updates = uint64_t(info[1].ToNumber().DoubleValue());
    job.work = [this, average, updates] {
      const LocalStore::Hold hold(*executor().parameters());
      executor().parameters()->configure(average, updates);
    };
  });
}

Napi::Value Session::swap_average(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    job.work = [this] {
      const LocalStore::Hold hold(*executor().parameters());
      executor().parameters()->swap_average();
    };
  });
}

std::shared_ptr<Store> Session::store() {
  std::lock_guard lock(facts_);
  return store_;
}

Napi::Value Session::threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), all_threads()); }
Napi::Value Session::device_description(const Napi::CallbackInfo& info) {
  std::lock_guard lock(facts_);
  return Napi::String::New(info.Env(), description_);
}
Napi::Value Session::isa(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), isa_name(effective_isa()));
}

void Session::define(Napi::Env env, Napi::Object exports) {
  exports.Set("Session", DefineClass(env, "Session",
                                     {
                                         InstanceMethod<&Session::describe>("describe"),
                                         InstanceMethod<&Session::initialize>("initialize"),
                                         InstanceMethod<&Session::set_parameters>("setParameters"),
                                         InstanceMethod<&Session::get_parameters>("getParameters"),
                                         InstanceMethod<&Session::step>("step"),
                                         InstanceMethod<&Session::run>("run"),
                                         InstanceMethod<&Session::observe>("observe"),
                                         InstanceMethod<&Session::observations>("observations"),
                                         InstanceMethod<&Session::profile>("profile"),
                                         InstanceMethod<&Session::configure>("configure"),
                                         InstanceMethod<&Session::swap_average>("swapAverage"),
                                         InstanceMethod<&Session::memory>("memory"),
                                         InstanceMethod<&Session::dispose>("dispose"),
                                         InstanceAccessor<&Session::threads>("threads"),
                                         InstanceAccessor<&Session::device_description>("deviceDescription"),
                                         InstanceAccessor<&Session::isa>("isa"),
                                     }));
}

void Cancel::define(Napi::Env env, Napi::Object exports) {
  exports.Set("Cancel", DefineClass(env, "Cancel", {InstanceMethod<&Cancel::cancel>("cancel")}));
}

}  // namespace googlenet::addon
