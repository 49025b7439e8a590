// The JavaScript class Session: one network on one device, served by one native thread, on the processor by several where
// `streams` asks for it. lib/native.ts types it.
#pragma once
#include <napi.h>

#include <memory>

#include "addon/resident.h"
#include "core/executor.h"

namespace googlenet::addon {

class Session : public Napi::ObjectWrap<Session> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit Session(const Napi::CallbackInfo& info);

  /** What a replica is made of; the store is null before the parameters exist and after dispose(). */
  const Graph& graph() const { return graph_; }
  const Executor::Options& options() const { return options_; }
  std::shared_ptr<Store> store();

 private:
  Napi::Value describe(const Napi::CallbackInfo& info);
  Napi::Value initialize(const Napi::CallbackInfo& info);
  Napi::Value set_parameters(const Napi::CallbackInfo& info);
  Napi::Value get_parameters(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value observe(const Napi::CallbackInfo& info);
  Napi::Value observations(const Napi::CallbackInfo& info);
  Napi::Value profile(const Napi::CallbackInfo& info);
  Napi::Value configure(const Napi::CallbackInfo& info);
  Napi::Value swap_average(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info) { return resident_.memory(info); }
  Napi::Value dispose(const Napi::CallbackInfo& info) { return resident_.dispose(info); }
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value device_description(const Napi::CallbackInfo& info);
  Napi::Value isa(const Napi::CallbackInfo& info);

  std::unique_ptr<Executor> make();
  std::unique_ptr<Executor> make_beside(const Executor& first, int helper) const;
  int all_threads() const;
  Executor& executor() { return resident_.engine(); }  // on the worker

  const Graph graph_;
  const Executor::Options options_;
  std::mutex facts_;  // what other threads may ask for
  std::string description_;
  std::shared_ptr<Store> store_;
  Resident<Executor> resident_;  // last: its thread uses what stands above
};

/** Cancel: lets JavaScript stop a call between two steps of the network. */
class Cancel : public Napi::ObjectWrap<Cancel> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit Cancel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Cancel>(info) {}
  CancelFlag flag = std::make_shared<std::atomic<bool>>(false);

 private:
  Napi::Value cancel(const Napi::CallbackInfo& info) {
    flag->store(true);
    return info.Env().Undefined();
  }
};

}  // namespace googlenet::addon
