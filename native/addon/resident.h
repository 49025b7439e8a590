// An engine object that lives on a worker thread of its own: made there at its first use, asked for its memory after
// each job, ended by dispose(). What the JavaScript classes Session and Replica have in common.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>

#include "addon/convert.h"
#include "addon/worker.h"

namespace googlenet::addon {

template <class Engine>
class Resident {
 public:
  /** `make` and `ended` run on the worker. */
  Resident(Napi::Env env, std::function<std::unique_ptr<Engine>()> make, std::function<void()> ended)
      : make_(std::move(make)), ended_(std::move(ended)), worker_(env) {}

  /** On the worker only. */
  Engine& engine() {
    if (!engine_) engine_ = make_();
    return *engine_;
  }

  /** Queues the job that body(job) describes. A Failure of body rejects the promise, so that every method answers with
   *  one. */
  template <class Body>
  Napi::Value promised(const Napi::CallbackInfo& info, const Body& body) {
    auto job = std::make_unique<Worker::Job>(info.Env());
    const auto deferred = job->deferred;
    try {
      body(*job);
    } catch (const Failure& failure) {
      deferred.Reject(to_js_error(info.Env(), failure).Value());
      return deferred.Promise();
    }
    job->work = [this, work = std::move(job->work)] {
      work();
      remember(engine().memory());
    };
    return worker_.submit(info.This(), std::move(job));
  }

  Napi::Value memory(const Napi::CallbackInfo& info) {
    std::lock_guard lock(mutex_);
    return to_js(info.Env(), memory_);
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    if (disposed_.IsEmpty()) {
      const Napi::Promise promise = worker_.close(info.This(), [this] {
        engine_.reset();
        ended_();
        remember({});
      });
      disposed_ = Napi::Persistent(promise.As<Napi::Object>());
    }
    return disposed_.Value();
  }

 private:
  void remember(const MemoryReport& memory) {
    std::lock_guard lock(mutex_);
    memory_ = memory;
  }

  const std::function<std::unique_ptr<Engine>()> make_;
  const std::function<void()> ended_;
  std::unique_ptr<Engine> engine_;
  std::mutex mutex_;
  MemoryReport memory_{};  // as of the last job
  Napi::ObjectReference disposed_;
  Worker worker_;  // last: its thread uses what stands above
};

}  // namespace googlenet::addon
