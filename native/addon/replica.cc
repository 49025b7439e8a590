#include "addon/replica.h"

#include "addon/convert.h"
#include "addon/request.h"
#include "addon/session.h"

namespace googlenet::addon {

static Session& session_of(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject() || !info[1].IsObject())
    throw to_js_error(info.Env(), Code::INVALID_ARGUMENT, "new Replica(session, options) expects two objects");
  return *Session::Unwrap(info[0].As<Napi::Object>());
}

ReplicaObject::ReplicaObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ReplicaObject>(info),
      graph_(session_of(info).graph()),
      options_(session_of(info).options()),
      store_(session_of(info).store()) {
  if (!store_) throw to_js_error(info.Env(), Code::DISPOSED, "the model has been disposed of");
  options_.alone = true;
  options_.threads = info[1].As<Napi::Object>().Get("threads").ToNumber().Int32Value();
  worker_ = std::make_unique<Worker>(info.Env());
}

Replica& ReplicaObject::replica() {
  if (!replica_) replica_ = std::make_unique<Replica>(graph_, options_, store_);
  return *replica_;
}

template <class Body>
Napi::Value ReplicaObject::promised(const Napi::CallbackInfo& info, const Body& body) {
  return submit(info, *worker_, body, [this] {
    const MemoryReport report = replica().memory();
    std::lock_guard lock(facts_);
    memory_ = report;
  });
}

Napi::Value ReplicaObject::compute(const Napi::CallbackInfo& info) {
  return promised(info, [&](Worker::Job& job) {
    const auto request = batch_request(job, graph_, info);
    const auto options = info[2].As<Napi::Object>();
    const bool fetch = options.Get("fetch").ToBoolean();
    const OptimizerOptions local = to_optimizer_options(options);
    auto computed = std::make_shared<Computed>();
    job.work = [this, request, fetch, local, computed] { *computed = replica().compute(*request, fetch, local); };
    job.result = [computed](Napi::Env env) {
      Napi::Object object = to_js(env, computed->step);
      object.Set("base", double(computed->base));
      object.Set("storeSeconds", computed->store_seconds);
      return object;
    };
  });
}

Napi::Value ReplicaObject::push(const Napi::CallbackInfo& info) {
  return promised(info, [&](Worker::Job& job) {
    if (!info[0].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "push expects options");
    const auto options = info[0].As<Napi::Object>();
    const OptimizerOptions optimizer = to_optimizer_options(options);
    auto pushed = std::make_shared<std::pair<Pushed, double>>();
    job.work = [this, optimizer, push = to_push(options), pushed] {
      pushed->first = replica().push(optimizer, push, &pushed->second);
    };
    job.result = [pushed](Napi::Env env) {
      auto object = Napi::Object::New(env);
      object.Set("order", double(pushed->first.order));
      object.Set("staleness", double(pushed->first.staleness));
      object.Set("applied", pushed->first.applied);
      object.Set("updates", double(pushed->first.updates));
      object.Set("storeSeconds", pushed->second);
      return object;
    };
  });
}

Napi::Value ReplicaObject::discard(const Napi::CallbackInfo& info) {
  return promised(info, [&](Worker::Job& job) { job.work = [this] { replica().discard(); }; });
}

Napi::Value ReplicaObject::flush(const Napi::CallbackInfo& info) {
  return promised(info, [&](Worker::Job& job) {
    if (!info[0].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "flush expects options");
    const OptimizerOptions optimizer = to_optimizer_options(info[0].As<Napi::Object>());
    auto updates = std::make_shared<uint64_t>();
    job.work = [this, optimizer, updates] { *updates = replica().flush(optimizer); };
    job.result = [updates](Napi::Env env) { return Napi::Number::New(env, double(*updates)); };
  });
}

Napi::Value ReplicaObject::memory(const Napi::CallbackInfo& info) {
  std::lock_guard lock(facts_);
  return to_js(info.Env(), memory_);
}

Napi::Value ReplicaObject::dispose(const Napi::CallbackInfo& info) {
  if (disposed_.IsEmpty()) {
    const Napi::Promise promise = worker_->close(info.Env(), [this] {
      replica_.reset();
      store_.reset();
      std::lock_guard lock(facts_);
      memory_ = {};
    });
    disposed_ = Napi::Persistent(promise.As<Napi::Object>());
  }
  return disposed_.Value();
}

void ReplicaObject::define(Napi::Env env, Napi::Object exports) {
  exports.Set("Replica", DefineClass(env, "Replica",
                                     {
                                         InstanceMethod<&ReplicaObject::compute>("compute"),
                                         InstanceMethod<&ReplicaObject::push>("push"),
                                         InstanceMethod<&ReplicaObject::discard>("discard"),
                                         InstanceMethod<&ReplicaObject::flush>("flush"),
                                         InstanceMethod<&ReplicaObject::memory>("memory"),
                                         InstanceMethod<&ReplicaObject::dispose>("dispose"),
                                     }));
}

}  // namespace googlenet::addon
