// The JavaScript class Replica: a worker of asynchronous SGD beside a Session, on a thread of its own. lib/native.ts
// types it.
#pragma once
#include <napi.h>

#include "addon/resident.h"
#include "train/replica.h"

namespace googlenet::addon {

class ReplicaObject : public Napi::ObjectWrap<ReplicaObject> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit ReplicaObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value compute(const Napi::CallbackInfo& info);
  Napi::Value push(const Napi::CallbackInfo& info);
  Napi::Value discard(const Napi::CallbackInfo& info);
  Napi::Value flush(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info) { return resident_.memory(info); }
  Napi::Value dispose(const Napi::CallbackInfo& info) { return resident_.dispose(info); }

  Replica& replica() { return resident_.engine(); }  // on the worker

  const Graph graph_;
  const Executor::Options options_;
  const std::string home_;  // the session's device
  std::shared_ptr<Store> store_;
  Resident<Replica> resident_;  // last: its thread uses what stands above
};

}  // namespace googlenet::addon
