// The addon's names. Each class and function says more in its own file; lib/native.ts types them all.
#include <napi.h>

#include "addon/convert.h"
#include "addon/pipeline.h"
#include "addon/replica.h"
#include "addon/session.h"
#include "backend/registry.h"
#include "core/device.h"
#include "core/threads.h"

namespace googlenet::addon {

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  Session::define(env, exports);
  ReplicaObject::define(env, exports);
  Cancel::define(env, exports);
  register_images(env, exports);
  exports.Set("libraries", Napi::String::New(env, backend_named("cpu").libraries()));
  exports.Set("availableCores", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return Napi::Number::New(info.Env(), available_cores());
              }));
  exports.Set("probe", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                try {
                  const Device device(to_string(info[0], "device"), gn_device_options{});
                  return Napi::String::New(info.Env(), device.backend.describe(device.handle()));
                } catch (const Failure& failure) {
                  throw to_js_error(info.Env(), failure);
                }
              }));
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto at_exit = Napi::Function::New(env, [](const Napi::CallbackInfo& info) { Worker::stop_all(info.Env()); });
  process.Get("on").As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), at_exit});
  return exports;
}

NODE_API_MODULE(googlenet, initialize)

}  // namespace googlenet::addon
