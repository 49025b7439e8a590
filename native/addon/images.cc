// One image at a time, for predict(), files that are no JPEG, and tests; other training data goes through Pipeline.
#include "addon/images.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "image/photo.h"

namespace googlenet::addon {
namespace {

[[noreturn]] void invalid(const std::string& message) { throw Failure(Code::INVALID_ARGUMENT, message); }

double number_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) invalid(std::string("augmentation policy: ") + name + " must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

int whole_field(const Napi::Object& object, const char* name) {
  const double value = number_field(object, name);
  if (!(value >= 0 && value <= 65535) || value != std::floor(value))
    invalid(std::string("augmentation policy: ") + name + " must be a whole number in [0, 65535]");
  return int(value);
}

std::string text_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) invalid(std::string("augmentation policy: ") + name + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Uint8Array bytes_from_js(Napi::Value value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    invalid(std::string(name) + " must be a Uint8Array");
  return value.As<Napi::Uint8Array>();
}

/** Runs `body` and turns what it throws into a JavaScript exception. */
template <class Body>
Napi::Value guarded(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw to_js_error(env, failure);
  } catch (const std::bad_alloc&) {
    throw to_js_error(env, Failure(Code::OUT_OF_MEMORY, "no memory for the image"));
  }
}

/** Work on a libuv thread, and a promise of it. */
class ImageWorker : public Napi::AsyncWorker {
 public:
  explicit ImageWorker(Napi::Env env) : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)) {}
  /** The worker deletes itself. */
  static Napi::Promise start(std::unique_ptr<ImageWorker> worker) {
    const Napi::Promise promise = worker->deferred_.Promise();
    worker.release()->Queue();
    return promise;
  }

 protected:
  virtual void work() = 0;
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  void Execute() final {
    try {
      work();
    } catch (const Failure& failure) {
      code_ = failure.code;
      SetError(failure.what());
    } catch (const std::bad_alloc&) {
      code_ = Code::OUT_OF_MEMORY;
      SetError("no memory for the image");
    }
  }
  void OnOK() final { deferred_.Resolve(result(Env())); }
  void OnError(const Napi::Error& error) final {
    deferred_.Reject(to_js_error(Env(), Failure(code_, error.Message())).Value());
  }

  Napi::Promise::Deferred deferred_;
  Code code_ = Code::INTERNAL;
};

/** The encoded bytes are copied first: JavaScript may change or detach them meanwhile. */
class DecodeWorker : public ImageWorker {
 public:
  DecodeWorker(Napi::Env env, const Napi::Uint8Array& encoded)
      : ImageWorker(env), encoded_(encoded.Data(), encoded.Data() + encoded.ElementLength()) {}

 private:
  void work() override {
    JpegDecoder decoder;
    decoder.open(encoded_.data(), encoded_.size());
    width_ = decoder.width(), height_ = decoder.height();
    pixels_.reset(new uint8_t[size()]);
    decoder.decode_all(pixels_.get());
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Object image = Napi::Object::New(env);
    image["width"] = Napi::Number::New(env, width_);
    image["height"] = Napi::Number::New(env, height_);
    // Not copied: of a large photo that would take JavaScript's thread for long.
    const auto buffer = Napi::ArrayBuffer::New(env, pixels_.get(), size(),
                                               [](Napi::Env, void* pixels) { delete[] static_cast<uint8_t*>(pixels); });
    pixels_.release();
    image["data"] = Napi::Uint8Array::New(env, size(), buffer, 0);
    return image;
  }
  size_t size() const { return size_t(width_) * size_t(height_) * 3; }

  std::vector<uint8_t> encoded_;
  std::unique_ptr<uint8_t[]> pixels_;
  int width_ = 0, height_ = 0;
};

Napi::Value decode_jpeg(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Uint8Array encoded = bytes_from_js(info[0], "what decodeJpeg decodes");
    return ImageWorker::start(std::make_unique<DecodeWorker>(info.Env(), encoded));
  });
}

/** One image with what was drawn for it: arguments ({width, height, data}, policy, seed, epoch, index). The pixels are
 *  read where they are. */
class RenderWorker : public ImageWorker {
 public:
  explicit RenderWorker(const Napi::CallbackInfo& info) : ImageWorker(info.Env()) {
    if (!info[0].IsObject()) invalid("an image must be {width, height, data}");
    const Napi::Object image = info[0].As<Napi::Object>();
    const uint64_t width = whole_from_js(image.Get("width"), "width");
    const uint64_t height = whole_from_js(image.Get("height"), "height");
    const Napi::Uint8Array bytes = bytes_from_js(image.Get("data"), "the image's data");
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    if (width == 0 || height == 0 || width > 65535 || height > 65535)
      throw Failure(Code::INVALID_SHAPE, "an image has sides of 1 to 65535 pixels, not " + size);
    if (bytes.ElementLength() != width * height * 3)
      throw Failure(Code::INVALID_SHAPE, "an image of " + size +
                                             " has width * height * 3 = " + std::to_string(width * height * 3) +
                                             " bytes RGB, not " + std::to_string(bytes.ElementLength()));
    pixels_ = {bytes.Data(), Region{0, 0, int(width), int(height)}};
    policy_ = policy_from_js(info[1]);
    const SampleKey key{whole_from_js(info[2], "seed"), uint32_t(whole_from_js(info[3], "epoch")),
                        uint32_t(whole_from_js(info[4], "index"))};
    drawn_ = draw(policy_, int(width), int(height), key);
    kept_ = Napi::Persistent(bytes.As<Napi::Object>());
  }

 protected:
  Pixels pixels_;
  AugmentPolicy policy_;
  Drawn drawn_;

 private:
  Napi::ObjectReference kept_;
};

/** -> Float32Array (3, size, size) */
class AugmentWorker : public RenderWorker {
  using RenderWorker::RenderWorker;
  void work() override {
    planes_.resize(policy_.floats());
    RenderScratch scratch;
    render(drawn_, policy_.size, pixels_, 1, scratch, planes_.data());
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Float32Array planes = Napi::Float32Array::New(env, planes_.size());
    std::copy(planes_.begin(), planes_.end(), planes.Data());
    return planes;
  }
  std::vector<float> planes_;
};

/** -> Uint8Array, a block of one photo */
class PackWorker : public RenderWorker {
  using RenderWorker::RenderWorker;
  void work() override {
    RenderScratch scratch;
    part_.resize(size_t(part_room(policy_.size)));
    photo_ = pack_photo(drawn_, policy_.size, pixels_, 1, scratch, part_.data());
  }
  Napi::Value result(Napi::Env env) override {
    const int size = policy_.size;
    Napi::Uint8Array bytes = Napi::Uint8Array::New(env, size_t(table_bytes(1) + part_bytes(photo_, size)));
    BlockWriter block(bytes.Data(), 1, size);
    block.add(photo_, part_.data());
    block.finish();
    return bytes;
  }
  std::vector<char> part_;
  gn_photo photo_{};
};

template <class Work>
Napi::Value render_image(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return ImageWorker::start(std::make_unique<Work>(info)); });
}

/** ({photos: Uint8Array, from, count}[]) -> Uint8Array, one block of some photos of several blocks */
Napi::Value join_photos(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray()) invalid("joinPhotos expects an array of {photos, from, count}");
    std::vector<std::pair<const gn_photo*, const char*>> photos;  // and the block that each lies in
    int size = 0;
    int64_t bytes = 0;
    for (uint32_t i = 0; i < info[0].As<Napi::Array>().Length(); i++) {
      const Napi::Value value = info[0].As<Napi::Array>().Get(i);
      if (!value.IsObject()) invalid("joinPhotos expects an array of {photos, from, count}");
      const Napi::Object given = value.As<Napi::Object>();
      const Napi::Uint8Array data = bytes_from_js(given.Get("photos"), "photos");
      check_photos(data.Data(), int64_t(data.ElementLength()));
      const auto* block = reinterpret_cast<const gn_photos*>(data.Data());
      const uint64_t from = whole_from_js(given.Get("from"), "from"),
                     count = whole_from_js(given.Get("count"), "count");
      if (from > uint64_t(block->count) || count > uint64_t(block->count) - from)
        invalid("a block of " + std::to_string(block->count) + " photos has no photos " + std::to_string(from) +
                " to " + std::to_string(from + count));
      if (size != 0 && block->size != size) throw Failure(Code::INVALID_SHAPE, "photos for images of different sizes");
      size = block->size;
      for (uint64_t k = from; k < from + count; k++) {
        photos.emplace_back(table_of(block) + k, reinterpret_cast<const char*>(block));
        bytes += part_bytes(*photos.back().first, size);
      }
    }
    if (photos.empty()) invalid("joinPhotos expects at least one photo");
    Napi::Uint8Array result = Napi::Uint8Array::New(info.Env(), size_t(table_bytes(int64_t(photos.size())) + bytes));
    BlockWriter block(result.Data(), int(photos.size()), size);
    for (const auto& [photo, from] : photos) block.add(*photo, from + photo->offset);
    block.finish();
    return result;
  });
}

/** (images: a typed array) -> undefined: detaches their memory, whose finalizer gives it back to the pipeline. */
Napi::Value release_images(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw to_js_error(info.Env(), Failure(Code::INVALID_ARGUMENT, "release: no array"));
  napi_detach_arraybuffer(info.Env(), info[0].As<Napi::TypedArray>().ArrayBuffer());
  return info.Env().Undefined();
}

}  // namespace

uint64_t whole_from_js(Napi::Value value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 9007199254740991.0) || number != std::floor(number))
    invalid(std::string(name) + " must be a whole number of at least 0");
  return uint64_t(number);
}

AugmentPolicy policy_from_js(Napi::Value value) {
  if (!value.IsObject()) invalid("an augmentation policy must be an object");
  const Napi::Object object = value.As<Napi::Object>();
  AugmentPolicy policy;
  policy.size = whole_field(object, "size");
  policy.resize_to = whole_field(object, "resizeTo");
  const std::string resize = text_field(object, "resize"), crop = text_field(object, "crop");
  if (resize == "warp")
    policy.resize = AugmentPolicy::Resize::WARP;
  else if (resize == "short")
    policy.resize = AugmentPolicy::Resize::SHORT;
  else if (resize == "none")
    policy.resize = AugmentPolicy::Resize::NONE;
  else
    invalid("augmentation policy: resize must be 'warp', 'short' or 'none', not '" + resize + "'");
  if (crop == "center")
    policy.crop = AugmentPolicy::Crop::CENTER;
  else if (crop == "random")
    policy.crop = AugmentPolicy::Crop::RANDOM;
  else if (crop == "area")
    policy.crop = AugmentPolicy::Crop::AREA;
  else
    invalid("augmentation policy: crop must be 'center', 'random' or 'area', not '" + crop + "'");
  policy.area_min = float(number_field(object, "areaMin"));
  policy.area_max = float(number_field(object, "areaMax"));
  policy.aspect_min = float(number_field(object, "aspectMin"));
  policy.aspect_max = float(number_field(object, "aspectMax"));
  policy.mirror = float(number_field(object, "mirror"));
  policy.brightness = float(number_field(object, "brightness"));
  policy.contrast = float(number_field(object, "contrast"));
  policy.saturation = float(number_field(object, "saturation"));
  policy.lighting = float(number_field(object, "lighting"));
  const Napi::Value mean = object.Get("mean");
  if (!mean.IsArray() || mean.As<Napi::Array>().Length() != 3)
    invalid("augmentation policy: mean must be three numbers: B, G, R");
  for (uint32_t c = 0; c < 3; c++) {
    const Napi::Value one = mean.As<Napi::Array>().Get(c);
    if (!one.IsNumber()) invalid("augmentation policy: mean must be three numbers: B, G, R");
    policy.mean[c] = one.As<Napi::Number>().FloatValue();
  }
  policy.check();
  return policy;
}

void register_image_functions(Napi::Env env, Napi::Object exports) {
  exports["decodeJpeg"] = Napi::Function::New(env, decode_jpeg, "decodeJpeg");
  exports["releaseImages"] = Napi::Function::New(env, release_images, "releaseImages");
  exports["augment"] = Napi::Function::New(env, render_image<AugmentWorker>, "augment");
  exports["packPhoto"] = Napi::Function::New(env, render_image<PackWorker>, "packPhoto");
  exports["joinPhotos"] = Napi::Function::New(env, join_photos, "joinPhotos");
}

}  // namespace googlenet::addon
