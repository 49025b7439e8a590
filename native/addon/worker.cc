#include "addon/worker.h"

#include <algorithm>
#include <set>

#include "addon/convert.h"

namespace googlenet::addon {

// Never destroyed: it must outlive exit().
static std::mutex& registry_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
static std::set<Worker*>& registry() {
  static auto* workers = new std::set<Worker*>;
  return *workers;
}

void Worker::stop_all(Napi::Env env) {
  std::vector<Worker*> mine;
  {
    std::lock_guard lock(registry_mutex());
    for (Worker* worker : registry())
      if (napi_env(worker->env_) == napi_env(env)) mine.push_back(worker);
  }
  for (Worker* worker : mine) worker->stop();
}

Worker::Worker(Napi::Env env, int helpers) : running_(size_t(1 + helpers)), env_(env) {
  done_ =
      Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "googlenet", 0, 1);
  done_.Unref(env);
  // Runs before the environment's objects are finalized: at exit, in worker.terminate(), on an uncaught error.
  napi_add_env_cleanup_hook(env, stop_hook, this);
  for (size_t i = 0; i < running_.size(); i++) threads_.emplace_back([this, i] { loop(i); });
  std::lock_guard lock(registry_mutex());
  registry().insert(this);
}

Worker::~Worker() {
  {
    std::lock_guard lock(registry_mutex());
    registry().erase(this);
  }
  napi_remove_env_cleanup_hook(env_, stop_hook, this);
  stop();
}

void Worker::stop_hook(void* self) { static_cast<Worker*>(self)->stop(); }

void Worker::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const CancelFlag& running : running_)
      if (running) running->store(true);
  }
  wake_.notify_all();
  if (threads_.empty()) return;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  done_.Release();
}

bool Worker::may_take(size_t thread) const {
  if (waiting_.empty()) return false;
  const bool beside = running_.size() > 1 && waiting_.front()->beside;
  if (beside) return thread > 0 && !running_[0];
  return thread == 0 &&
         std::none_of(running_.begin(), running_.end(), [](const CancelFlag& flag) { return flag != nullptr; });
}

void Worker::loop(size_t thread) {
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      if (running_[thread] && running_.size() > 1)
        wake_.notify_all();  // somebody's job may have waited for the end of this
      running_[thread] = nullptr;
      wake_.wait(lock, [&] { return stopping_ || may_take(thread); });
      if (stopping_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      running_[thread] = job->cancel;
    }
    try {
      if (job->beside)
        job->beside(int(thread));
      else
        job->work();
    } catch (const Failure& failure) {
      job->failure.emplace(failure);
    } catch (const std::bad_alloc&) {
      job->failure.emplace(Code::OUT_OF_MEMORY, "memory could not be allocated");
    } catch (const std::exception& error) {
      job->failure.emplace(Code::INTERNAL, error.what());
    }
    Job* raw = job.release();
    const auto status = done_.NonBlockingCall(raw, [this](Napi::Env env, Napi::Function, Job* finished) {
      std::unique_ptr<Job> owned(finished);
      if (env) finish(env, *owned);
    });
    if (status != napi_ok) return;  // the environment is going away, and raw's handles with it
  }
}

void Worker::finish(Napi::Env env, Job& job) {
  Napi::HandleScope scope(env);
  if (--pending_ == 0) done_.Unref(env);
  job.keep.clear();
  if (job.failure) {
    job.deferred.Reject(to_js_error(env, *job.failure).Value());
    return;
  }
  try {
    job.deferred.Resolve(job.result ? job.result(env) : env.Undefined());
  } catch (const Napi::Error& error) {
    job.deferred.Reject(error.Value());
  } catch (const std::exception& error) {
    job.deferred.Reject(to_js_error(env, Code::INTERNAL, error.what()).Value());
  }
}

Napi::Promise Worker::submit(const Napi::Value& owner, std::unique_ptr<Job> job) {
  const Napi::Env env = owner.Env();
  const Napi::Promise promise = job->deferred.Promise();
  if (closed_) {
    job->deferred.Reject(to_js_error(env, Code::DISPOSED, "the model has been disposed of").Value());
    return promise;
  }
  job->keep.push_back(Napi::Persistent(owner.As<Napi::Object>()));
  if (pending_++ == 0) done_.Ref(env);
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  wake_.notify_all();
  return promise;
}

Napi::Promise Worker::close(const Napi::Value& owner, std::function<void()> last) {
  const Napi::Env env = owner.Env();
  std::deque<std::unique_ptr<Job>> rejected;
  {
    std::lock_guard lock(mutex_);
    rejected.swap(waiting_);
  }
  for (auto& job : rejected) {
    job->failure.emplace(Code::DISPOSED, "the model was disposed of before this call's turn came");
    finish(env, *job);
  }
  auto job = std::make_unique<Job>(env);
  job->work = std::move(last);
  const Napi::Promise promise = submit(owner, std::move(job));
  closed_ = true;
  return promise;
}

}  // namespace googlenet::addon
