// One native thread that serves jobs in order, and the promises that wait for them. A job's work runs on the thread;
// its result is made on the JavaScript thread. The event loop stays alive while a promise is pending, no longer.
#pragma once
#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/status.h"

namespace googlenet::addon {

using CancelFlag = std::shared_ptr<std::atomic<bool>>;

class Worker {
 public:
  struct Job {
    explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
    Napi::Promise::Deferred deferred;
    std::function<void()> work;
    std::function<Napi::Value(Napi::Env)> result;  // none: undefined
    CancelFlag cancel = std::make_shared<std::atomic<bool>>(false);
    std::vector<Napi::ObjectReference> keep;  // JavaScript memory that work reads, and the worker's owner
    std::optional<Failure> failure;
  };

  explicit Worker(Napi::Env env);
  /** Cancels what runs and waits for the thread. */
  ~Worker();

  /** `owner`, the JavaScript object that has this worker, is not collected before the promise has settled: somebody may
   *  await a call on an object that nothing else refers to. */
  Napi::Promise submit(const Napi::Value& owner, std::unique_ptr<Job> job);
  /** Rejects the jobs that wait (DISPOSED), lets the running one end, then runs `last` on the thread and ends it. */
  Napi::Promise close(const Napi::Value& owner, std::function<void()> last);
  bool closed() const { return closed_; }

  /** Stops every worker of an environment: called when its process is about to exit, since a thread that still
   *  computes would meet statics (oneDNN's caches) that exit() has already destroyed. */
  static void stop_all(Napi::Env env);

 private:
  void loop();
  void finish(Napi::Env env, Job& job);
  void stop();
  static void stop_hook(void* self);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> waiting_;
  CancelFlag running_;
  bool stopping_ = false, closed_ = false;
  int pending_ = 0;  // promises; JavaScript thread only
  Napi::Env env_;
  Napi::ThreadSafeFunction done_;
  std::thread thread_;
};

}  // namespace googlenet::addon
