// class Pipeline. Promises live on the JavaScript thread: decoding threads only ring a bell (a thread-safe function)
// when a batch is finished, and the JavaScript thread takes what is there. The bell keeps the event loop alive while
// somebody waits, and only then.
#include "addon/pipeline.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <utility>

#include "addon/images.h"
#include "core/threads.h"
#include "image/pipeline.h"

namespace googlenet::addon {
namespace {

/** The batch's images or photos as JavaScript sees them: the same memory where the runtime allows that, else a copy. */
template <class Array>
Array images_to_js(Napi::Env env, const Batch& batch) {
  const size_t length = batch.bytes / sizeof(*std::declval<Array>().Data());
  if (length == 0) return Array::New(env, 0);
  auto* owner = new BatchMemory(batch.images);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, owner->get(), batch.bytes, [](napi_env, void*, void* hint) { delete static_cast<BatchMemory*>(hint); },
      owner, &buffer);
  if (status == napi_ok) return Array::New(env, length, Napi::ArrayBuffer(env, buffer), 0);
  delete owner;
  Array copy = Array::New(env, length);
  std::memcpy(copy.Data(), batch.images.get(), batch.bytes);
  return copy;
}

Napi::Int32Array ints_to_js(Napi::Env env, const std::vector<int32_t>& values) {
  Napi::Int32Array result = Napi::Int32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(result.Data(), values.data(), values.size() * sizeof(int32_t));
  return result;
}

Napi::Object batch_to_js(Napi::Env env, const Batch& batch, Form form) {
  Napi::Object result = Napi::Object::New(env);
  if (form == Form::PHOTOS)
    result["images"] = images_to_js<Napi::Uint8Array>(env, batch);
  else
    result["images"] = images_to_js<Napi::Float32Array>(env, batch);
  result["count"] = Napi::Number::New(env, batch.count);
  result["labels"] = ints_to_js(env, batch.labels);
  result["indices"] = ints_to_js(env, batch.indices);
  Napi::Array skipped = Napi::Array::New(env, batch.skipped.size());
  for (uint32_t i = 0; i < batch.skipped.size(); i++) {
    const Skipped& one = batch.skipped[i];
    Napi::Object entry = Napi::Object::New(env);
    entry["path"] = Napi::String::New(env, one.path);
    entry["index"] = Napi::Number::New(env, one.index);
    entry["code"] = Napi::String::New(env, code_name(one.code));
    entry["message"] = Napi::String::New(env, one.message);
    skipped[i] = entry;
  }
  result["skipped"] = skipped;
  return result;
}

Sample sample_from_js(Napi::Value value) {
  if (!value.IsObject()) throw Failure(Code::INVALID_ARGUMENT, "a sample must be {path, label, index}");
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Value path = object.Get("path"), label = object.Get("label"), index = object.Get("index");
  if (!path.IsString() || !label.IsNumber() || !index.IsNumber())
    throw Failure(Code::INVALID_ARGUMENT, "a sample must be {path: string, label: number, index: number}");
  return {path.As<Napi::String>().Utf8Value(), label.As<Napi::Number>().Int32Value(),
          index.As<Napi::Number>().Int32Value()};
}

class PipelineObject : public Napi::ObjectWrap<PipelineObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Pipeline",
                       {InstanceMethod("push", &PipelineObject::push), InstanceMethod("next", &PipelineObject::next),
                        InstanceMethod("dispose", &PipelineObject::dispose)});
  }

  explicit PipelineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PipelineObject>(info), env_(info.Env()) {
    try {
      if (!info[0].IsObject())
        throw Failure(Code::INVALID_ARGUMENT, "Pipeline expects {policy, photos, seed, threads}");
      const Napi::Object options = info[0].As<Napi::Object>();
      const AugmentPolicy policy = policy_from_js(options.Get("policy"));
      const uint64_t seed = whole_from_js(options.Get("seed"), "seed");
      const uint64_t threads = whole_from_js(options.Get("threads"), "threads");
      if (options.Get("photos").ToBoolean()) form_ = Form::PHOTOS;
      open_bell();
      const napi_threadsafe_function bell = bell_;
      const int count = threads ? int(std::min<uint64_t>(threads, 65535)) : available_cores();
      pipeline_ = std::make_unique<Pipeline>(
          policy, form_, seed, count, [bell] { napi_call_threadsafe_function(bell, nullptr, napi_tsfn_nonblocking); });
      // Registered after the bell, so run before the bell's own clean-up: the threads are gone by then.
      napi_add_env_cleanup_hook(env_, &PipelineObject::at_exit, this);
    } catch (const Failure& failure) {
      close_bell();
      throw to_js_error(env_, failure);
    }
  }

  ~PipelineObject() override {
    if (pipeline_) napi_remove_env_cleanup_hook(env_, &PipelineObject::at_exit, this);
    close();
  }

 private:
  void open_bell() {
    napi_value name;
    napi_create_string_utf8(env_, "googlenet.Pipeline", NAPI_AUTO_LENGTH, &name);
    const napi_status status =
        napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, &on_bell, &bell_);
    if (status != napi_ok) throw Failure(Code::INTERNAL, "the thread-safe function of a Pipeline could not be made");
    napi_unref_threadsafe_function(env_, bell_);
  }
  void close_bell() {
    if (bell_) napi_release_threadsafe_function(bell_, napi_tsfn_abort);
    bell_ = nullptr;
  }
  /** Joins the threads and closes the bell. */
  void close() {
    pipeline_.reset();
    close_bell();
  }
  static void at_exit(void* self) { static_cast<PipelineObject*>(self)->close(); }

  static void on_bell(napi_env env, napi_value, void* context, void*) {
    if (!env) return;  // being torn down
    const Napi::HandleScope scope(env);
    static_cast<PipelineObject*>(context)->settle();
  }

  /** Waiting promises keep the event loop running and this object from being collected. */
  void hold(bool wanted) {
    if (wanted == held_ || !bell_) return;
    held_ = wanted;
    if (wanted) {
      napi_ref_threadsafe_function(env_, bell_);
      Ref();
    } else {
      napi_unref_threadsafe_function(env_, bell_);
      Unref();
    }
  }

  /** Resolves what can be resolved. */
  void settle() {
    while (!waiting_.empty() && pipeline_ && !disposing_) {
      try {
        const std::unique_ptr<Batch> batch = pipeline_->take();
        if (!batch) break;
        const Napi::Object result = batch_to_js(env_, *batch, form_);
        waiting_.front().Resolve(result);
      } catch (const Failure& failure) {
        waiting_.front().Reject(to_js_error(env_, failure).Value());
      } catch (const std::bad_alloc&) {
        waiting_.front().Reject(to_js_error(env_, Failure(Code::OUT_OF_MEMORY, "no memory for a batch")).Value());
      }
      waiting_.pop_front();
    }
    if (disposing_ && pipeline_ && pipeline_->stopped()) {
      // The threads have left their work: joining them takes no time.
      hold(false);
      napi_remove_env_cleanup_hook(env_, &PipelineObject::at_exit, this);
      close();
      for (const Napi::Promise::Deferred& one : ended_) one.Resolve(Env().Undefined());
      ended_.clear();
      return;
    }
    if (!disposing_) hold(!waiting_.empty());
  }

  Napi::Value push(const Napi::CallbackInfo& info) {
    try {
      check();
      if (!info[0].IsArray()) throw Failure(Code::INVALID_ARGUMENT, "push expects an array of samples");
      const Napi::Array array = info[0].As<Napi::Array>();
      std::vector<Sample> samples;
      samples.reserve(array.Length());
      for (uint32_t i = 0; i < array.Length(); i++) {
        const Napi::HandleScope scope(info.Env());
        samples.push_back(sample_from_js(array.Get(i)));
      }
      pipeline_->push(std::move(samples), uint32_t(whole_from_js(info[1], "epoch")));
    } catch (const Failure& failure) {
      throw to_js_error(info.Env(), failure);
    }
    return info.Env().Undefined();
  }

  Napi::Value next(const Napi::CallbackInfo& info) {
    const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(info.Env());
    try {
      check();
      if (pipeline_->queued() <= int64_t(waiting_.size()))
        throw Failure(Code::INVALID_ARGUMENT, "next() without a batch: push() one first");
      waiting_.push_back(deferred);
      settle();
    } catch (const Failure& failure) {
      deferred.Reject(to_js_error(info.Env(), failure).Value());
    }
    return deferred.Promise();
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(info.Env());
    if (!pipeline_) {
      deferred.Resolve(info.Env().Undefined());
      return deferred.Promise();
    }
    ended_.push_back(deferred);
    if (!disposing_) {
      disposing_ = true;
      hold(true);
      const Failure failure(Code::DISPOSED, "this Pipeline was disposed of");
      for (const Napi::Promise::Deferred& one : waiting_) one.Reject(to_js_error(info.Env(), failure).Value());
      waiting_.clear();
      pipeline_->stop();  // the last thread to leave rings the bell
    }
    return deferred.Promise();
  }

  void check() const {
    if (!pipeline_ || disposing_) throw Failure(Code::DISPOSED, "this Pipeline was disposed of");
  }

  napi_env env_;
  napi_threadsafe_function bell_ = nullptr;
  std::unique_ptr<Pipeline> pipeline_;
  Form form_ = Form::IMAGES;
  bool held_ = false, disposing_ = false;
  std::deque<Napi::Promise::Deferred> waiting_;
  std::vector<Napi::Promise::Deferred> ended_;
};

}  // namespace

void register_images(Napi::Env env, Napi::Object exports) {
  exports["Pipeline"] = PipelineObject::define(env);
  register_image_functions(env, exports);
}

}  // namespace googlenet::addon
