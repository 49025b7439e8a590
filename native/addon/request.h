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
void use_cancel(Worker::Job& job, const Napi::Value& value);

/** Arguments (input, labels, options, cancel): the network's image input and labels; options.step, .firstSample. */
std::shared_ptr<RunRequest> batch_request(Worker::Job& job, const Graph& graph, const Napi::CallbackInfo& info);

/** Queues the job that `body` describes, followed by `report` on the worker. A Failure of body rejects the promise, so
 *  that every method answers with one. */
template <class Body, class Report>
Napi::Value submit(const Napi::CallbackInfo& info, Worker& worker, const Body& body, const Report& report) {
  auto job = std::make_unique<Worker::Job>(info.Env());
  const auto deferred = job->deferred;
  try {
    body(*job);
  } catch (const Failure& failure) {
    deferred.Reject(to_js_error(info.Env(), failure).Value());
    return deferred.Promise();
  }
  job->work = [work = std::move(job->work), report] {
    work();
    report();
  };
  return worker.submit(info.Env(), std::move(job));
}

}  // namespace googlenet::addon
