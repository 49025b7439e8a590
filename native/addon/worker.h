// Native threads that serve jobs in order, and the promises that wait for them. A job's work runs on a thread; its result
// is made on the JavaScript thread. The event loop stays alive while a promise is pending, no longer.
// Thread 0 does one job at a time, alone. Where there are helpers, threads 1 to N, they do the jobs that may run side by
// side: each begins after all jobs that were submitted before it, of the other kind, and ends before those that come after.
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
    std::function<void(int)> beside;  // instead of work: what may run beside others like it, told on which thread
    std::function<Napi::Value(Napi::Env)> result;  // none: undefined
    CancelFlag cancel = std::make_shared<std::atomic<bool>>(false);
    std::vector<Napi::ObjectReference> keep;  // JavaScript memory that work reads, and the worker's owner
    std::optional<Failure> failure;
  };

  explicit Worker(Napi::Env env, int helpers = 0);
  /** Cancels what runs and waits for the threads. */
  ~Worker();

  /** `owner`, the JavaScript object that has this worker, is not collected before the promise has settled: somebody may
   *  await a call on an object that nothing else refers to. */
  Napi::Promise submit(const Napi::Value& owner, std::unique_ptr<Job> job);
  /** Rejects the jobs that wait (DISPOSED), lets the running ones end, then runs `last` on thread 0. */
  Napi::Promise close(const Napi::Value& owner, std::function<void()> last);
  bool closed() const { return closed_; }

  /** Stops every worker of an environment: called when its process is about to exit, since a thread that still
   *  computes would meet statics (oneDNN's caches) that exit() has already destroyed. */
  static void stop_all(Napi::Env env);

 private:
  void loop(size_t thread);
  /** Under mutex_. */
  bool may_take(size_t thread) const;
  void finish(Napi::Env env, Job& job);
  void stop();
  static void stop_hook(void* self);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> waiting_;
  std::vector<CancelFlag> running_;  // by thread; null: it waits
  bool stopping_ = false, closed_ = false;
  int pending_ = 0;  // promises; JavaScript thread only
  Napi::Env env_;
  Napi::ThreadSafeFunction done_;
  std::vector<std::thread> threads_;
};

}  // namespace googlenet::addon
