// The JavaScript class Replica: a worker of asynchronous SGD beside a Session, on a thread of its own. lib/native.ts
// types it.
#pragma once
#include <napi.h>

#include <memory>

#include "addon/worker.h"
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
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  template <class Body>
  Napi::Value promised(const Napi::CallbackInfo& info, const Body& body);
  Replica& replica();  // on the worker: made at its first use

  Graph graph_;
  Executor::Options options_;
  std::shared_ptr<Store> store_;
  std::unique_ptr<Replica> replica_;
  std::mutex facts_;
  MemoryReport memory_{};
  Napi::ObjectReference disposed_;
  std::unique_ptr<Worker> worker_;  // last: its thread uses what stands above
};

}  // namespace googlenet::addon
