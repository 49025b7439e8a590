// Between JavaScript values and the engine's types, with arguments checked; and Failure -> Error with a code.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "core/executor.h"
#include "core/status.h"
#include "optim/average.h"
#include "train/store.h"

namespace googlenet::addon {

/** An Error whose `code` is GOOGLENET_ERR_…; TypeScript makes a GoogLeNetError of it. */
Napi::Error to_js_error(Napi::Env env, Code code, const std::string& message);
inline Napi::Error to_js_error(Napi::Env env, const Failure& failure) {
  return to_js_error(env, failure.code, failure.what());
}

/** Rows of a network table (lib/model/layer.ts). Throws Failure. */
std::vector<Row> to_rows(const Napi::Value& layers);
Executor::Options to_executor_options(const Napi::Object& options);
OptimizerOptions to_optimizer_options(const Napi::Object& options);
AverageOptions to_average_options(const Napi::Value& value);
PushPolicy to_push_policy(const Napi::Object& options);

/** {shape, data}: the data stay in JavaScript's memory, which the caller must keep alive. */
HostInput to_host_input(const std::string& name, const Napi::Value& value);

Napi::Object to_js(Napi::Env env, const HostTensor& tensor);
Napi::Object to_js(Napi::Env env, const std::vector<Loss>& losses);
Napi::Object to_js(Napi::Env env, const StepResult& result);
Napi::Object to_js(Napi::Env env, const MemoryReport& memory);
Napi::Object describe_graph(Napi::Env env, const Graph& graph);

std::string to_string(const Napi::Value& value, const char* what);
std::vector<std::string> to_strings(const Napi::Value& value, const char* what);
ParameterSet to_parameter_set(const Napi::Value& value);

}  // namespace googlenet::addon
