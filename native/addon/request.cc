#include "addon/request.h"

#include "addon/session.h"

namespace googlenet::addon {

static void keep(Worker::Job& job, const Napi::Value& value) {
  job.keep.push_back(Napi::Persistent(value.As<Napi::Object>()));
}

void use_cancel(Worker::Job& job, const Napi::Value& value, RunRequest& request) {
  if (value.IsObject()) job.cancel = Cancel::Unwrap(value.As<Napi::Object>())->flag;
  request.cancelled = job.cancel.get();
}

HostInput keep_input(Worker::Job& job, const std::string& name, const Napi::Value& value) {
  HostInput input = to_host_input(name, value);
  keep(job, value.As<Napi::Object>().Get("data"));
  return input;
}

void keep_labels(Worker::Job& job, const Napi::Value& value, RunRequest& request) {
  if (value.IsUndefined()) return;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array)
    throw Failure(Code::INVALID_ARGUMENT, "labels must be an Int32Array");
  const auto labels = value.As<Napi::Int32Array>();
  request.labels = labels.Data();
  request.label_count = int64_t(labels.ElementLength());
  keep(job, value);
}

std::string image_input(const Graph& graph) {
  std::string input;
  for (const Node& node : graph.nodes)
    if (node.row.op == GN_INPUT) input = node.row.name;
  return input;
}

std::shared_ptr<RunRequest> batch_request(Worker::Job& job, const Graph& graph, const Napi::CallbackInfo& info) {
  auto request = std::make_shared<RunRequest>();
  const std::string input = image_input(graph);
  request->inputs.push_back(keep_input(job, input, info[0]));
  keep_labels(job, info[1], *request);
  if (!info[2].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "a step expects options");
  const auto options = info[2].As<Napi::Object>();
  request->step = options.Get("step").ToNumber().Uint32Value();
  if (const Napi::Value first = options.Get("firstSample"); !first.IsUndefined())
    request->first_sample = first.ToNumber().Int64Value();
  if (const Napi::Value next = options.Get("next"); !next.IsUndefined()) request->next = keep_input(job, input, next);
  request->announced = options.Get("announced").ToBoolean();
  use_cancel(job, info[3], *request);
  return request;
}

}  // namespace googlenet::addon
