// An engine object that lives on a worker thread of its own, and helpers beside it on theirs: made there at their first
// use, asked for their memory after each job, ended by dispose(). What the JavaScript classes Session and Replica have
// in common.
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
  using Make = std::function<std::unique_ptr<Engine>(const Engine* first, int helper)>;

  /** `make` and `ended` run on the worker; make(nullptr, 0) makes the engine, the first one and a number from 1 to
   *  `helpers` a helper beside it. */
  Resident(Napi::Env env, int helpers, Make make, std::function<void()> ended)
      : make_(std::move(make)),
        ended_(std::move(ended)),
        engines_(size_t(1 + helpers)),
        memory_(engines_.size()),
        worker_(env, helpers) {}

  /** On the worker's thread of that number only. */
  Engine& engine(int thread = 0) {
    const std::lock_guard lock(making_);
    if (!engines_[0]) engines_[0] = make_(nullptr, 0);
    auto& engine = engines_[size_t(thread)];
    if (!engine) engine = make_(engines_[0].get(), thread);
    return *engine;
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
    if (job->beside) {
      job->beside = [this, work = std::move(job->beside)](int thread) {
        work(thread);
        if (thread > 0) remember(thread);
        remember(0);  // what it shares with helpers; it does nothing meanwhile
      };
    } else {
      job->work = [this, work = std::move(job->work)] {
        work();
        remember(0);
      };
    }
    return worker_.submit(info.This(), std::move(job));
  }

  Napi::Value memory(const Napi::CallbackInfo& info) {
    const std::lock_guard lock(mutex_);
    MemoryReport sum{};
    for (const MemoryReport& each : memory_) {
      sum.parameters += each.parameters, sum.arena += each.arena;
      sum.scratch += each.scratch, sum.kernels += each.kernels;
    }
    return to_js(info.Env(), sum);
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    if (disposed_.IsEmpty()) {
      const Napi::Promise promise = worker_.close(info.This(), [this] {
        for (auto& engine : engines_) engine.reset();
        ended_();
        const std::lock_guard lock(mutex_);
        memory_.assign(memory_.size(), {});
      });
      disposed_ = Napi::Persistent(promise.As<Napi::Object>());
    }
    return disposed_.Value();
  }

 private:
  void remember(int thread) {
    const MemoryReport report = engine(thread).memory();
    const std::lock_guard lock(mutex_);
    memory_[size_t(thread)] = report;
  }

  const Make make_;
  const std::function<void()> ended_;
  std::mutex making_;
  std::vector<std::unique_ptr<Engine>> engines_;  // by thread
  std::mutex mutex_;
  std::vector<MemoryReport> memory_;  // by thread, as of its last job
  Napi::ObjectReference disposed_;
  Worker worker_;  // last: its thread uses what stands above
};

}  // namespace googlenet::addon
