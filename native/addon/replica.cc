#include "addon/replica.h"

#include <optional>

#include "addon/convert.h"
#include "addon/request.h"
#include "addon/session.h"

namespace googlenet::addon {

static Session& session_of(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject() || !info[1].IsObject())
    throw to_js_error(info.Env(), Code::INVALID_ARGUMENT, "new Replica(session, options) expects two objects");
  return *Session::Unwrap(info[0].As<Napi::Object>());
}

static Executor::Options options_of(const Napi::CallbackInfo& info) {
  Executor::Options options = session_of(info).options();
  options.alone = true;
  const auto given = info[1].As<Napi::Object>();
  options.threads = given.Get("threads").ToNumber().Int32Value();
  options.device = given.Get("device").ToString().Utf8Value();
  return options;
}

static std::shared_ptr<Store> store_of(const Napi::CallbackInfo& info) {
  auto store = session_of(info).store();
  if (!store) throw to_js_error(info.Env(), Code::DISPOSED, "the model has been disposed of");
  return store;
}

ReplicaObject::ReplicaObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ReplicaObject>(info),
      graph_(session_of(info).graph()),
      options_(options_of(info)),
      home_(session_of(info).options().device),
      store_(store_of(info)),
      resident_(
          info.Env(), 0,
          [this](const Replica*, int) { return std::make_unique<Replica>(graph_, options_, store_, home_); },
          [this] { store_.reset(); }) {}

namespace {

struct PushRequest {
  OptimizerOptions optimizer;
  PushPolicy policy;
};

PushRequest to_push_request(const Napi::Object& options) {
  return {to_optimizer_options(options), to_push_policy(options)};
}

Napi::Object to_js(Napi::Env env, const Pushed& pushed) {
  auto object = Napi::Object::New(env);
  object.Set("order", double(pushed.order));
  object.Set("staleness", double(pushed.staleness));
  object.Set("applied", pushed.applied);
  object.Set("updates", double(pushed.updates));
  object.Set("storeSeconds", pushed.seconds);
  return object;
}

}  // namespace

Napi::Value ReplicaObject::compute(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    const auto request = batch_request(job, graph_, info);
    const auto options = info[2].As<Napi::Object>();
    const bool fetch = options.Get("fetch").ToBoolean();
    const OptimizerOptions local = to_optimizer_options(options);
    std::optional<PushRequest> push;
    if (options.Get("push").IsObject()) push = to_push_request(options.Get("push").As<Napi::Object>());
    auto computed = std::make_shared<Computed>();
    auto pushed = std::make_shared<Pushed>();
    job.work = [this, request, fetch, local, push, computed, pushed] {
      *computed = replica().compute(*request, fetch, local);
      if (push) *pushed = replica().push(push->optimizer, push->policy);
    };
    job.result = [computed, pushed, pushes = push.has_value()](Napi::Env env) {
      Napi::Object object = to_js(env, computed->step);
      object.Set("base", double(computed->base));
      object.Set("storeSeconds", computed->store_seconds);
      if (pushes) object.Set("pushed", to_js(env, *pushed));
      return object;
    };
  });
}

Napi::Value ReplicaObject::push(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    if (!info[0].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "push expects options");
    const PushRequest request = to_push_request(info[0].As<Napi::Object>());
    auto pushed = std::make_shared<Pushed>();
    job.work = [this, request, pushed] { *pushed = replica().push(request.optimizer, request.policy); };
    job.result = [pushed](Napi::Env env) { return to_js(env, *pushed); };
  });
}

Napi::Value ReplicaObject::discard(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) { job.work = [this] { replica().discard(); }; });
}

Napi::Value ReplicaObject::flush(const Napi::CallbackInfo& info) {
  return resident_.promised(info, [&](Worker::Job& job) {
    if (!info[0].IsObject()) throw Failure(Code::INVALID_ARGUMENT, "flush expects options");
    const OptimizerOptions optimizer = to_optimizer_options(info[0].As<Napi::Object>());
    auto updates = std::make_shared<uint64_t>();
    job.work = [this, optimizer, updates] { *updates = replica().flush(optimizer); };
    job.result = [updates](Napi::Env env) { return Napi::Number::New(env, double(*updates)); };
  });
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
