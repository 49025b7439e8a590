// From a call's arguments to a job of a worker: what Session and Replica share.
#pragma once
#include <memory>
#include <string>

#include "addon/convert.h"
#include "addon/worker.h"

namespace googlenet::addon {

/** A typed array must not move or shrink while the worker reads it. */
HostInput keep_input(Worker::Job& job, const std::string& name, const Napi::Value& value);
void keep_labels(Worker::Job& job, const Napi::Value& value, RunRequest& request);
/** Lets the Cancel object, if there is one, stop the request. */
void use_cancel(Worker::Job& job, const Napi::Value& value, RunRequest& request);

/** The name of the network's image input. */
std::string image_input(const Graph& graph);

/** Arguments (input, labels, options, cancel): the network's image input and labels; options.step, .firstSample. */
std::shared_ptr<RunRequest> batch_request(Worker::Job& job, const Graph& graph, const Napi::CallbackInfo& info);

}  // namespace googlenet::addon
