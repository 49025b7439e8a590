// One image at a time, for predict(), files that are no JPEG, and tests; other training data goes through Pipeline.
#include "addon/images.h"

#include <cmath>
#include <cstring>
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

/** On a libuv thread. The encoded bytes are copied first: JavaScript may change or detach them meanwhile. */
class DecodeWorker : public Napi::AsyncWorker {
 public:
  DecodeWorker(Napi::Env env, const Napi::Uint8Array& encoded)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        encoded_(encoded.Data(), encoded.Data() + encoded.ElementLength()) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      JpegDecoder decoder;
      decoder.open(encoded_.data(), encoded_.size());
      width_ = decoder.width(), height_ = decoder.height();
      pixels_.reset(new uint8_t[size_t(width_) * size_t(height_) * 3]);
      decoder.decode_all(pixels_.get());
    } catch (const Failure& failure) {
      code_ = failure.code;
      SetError(failure.what());
    } catch (const std::bad_alloc&) {
      code_ = Code::OUT_OF_MEMORY;
      SetError("no memory to decode the image");
    }
  }
  void OnOK() override {
    const Napi::Env env = Env();
    const size_t size = size_t(width_) * size_t(height_) * 3;
    Napi::Object result = Napi::Object::New(env);
    result["width"] = Napi::Number::New(env, width_);
    result["height"] = Napi::Number::New(env, height_);
    Napi::Uint8Array data = Napi::Uint8Array::New(env, size);
    std::memcpy(data.Data(), pixels_.get(), size);
    result["data"] = data;
    deferred_.Resolve(result);
  }
  void OnError(const Napi::Error& error) override {
    deferred_.Reject(to_js_error(Env(), Failure(code_, error.Message())).Value());
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::vector<uint8_t> encoded_;
  std::unique_ptr<uint8_t[]> pixels_;
  int width_ = 0, height_ = 0;
  Code code_ = Code::INTERNAL;
};

Napi::Value decode_jpeg(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto* worker = new DecodeWorker(info.Env(), bytes_from_js(info[0], "what decodeJpeg decodes"));
    const Napi::Promise promise = worker->promise();
    worker->Queue();  // deletes itself
    return promise;
  });
}

/** One image and what was drawn for it: arguments ({width, height, data}, policy, seed, epoch, index). */
struct Single {
  explicit Single(const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) invalid("an image must be {width, height, data}");
    const Napi::Object image = info[0].As<Napi::Object>();
    const uint64_t width = whole_from_js(image.Get("width"), "width");
    const uint64_t height = whole_from_js(image.Get("height"), "height");
    const Napi::Uint8Array bytes = bytes_from_js(image.Get("data"), "the image's data");
    if (width == 0 || height == 0 || width > 65535 || height > 65535 || bytes.ElementLength() != width * height * 3)
      throw Failure(Code::INVALID_SHAPE, "an image of " + std::to_string(width) + "x" + std::to_string(height) +
                                             " has width * height * 3 = " + std::to_string(width * height * 3) +
                                             " bytes RGB, not " + std::to_string(bytes.ElementLength()));
    pixels = {bytes.Data(), Region{0, 0, int(width), int(height)}};
    policy = policy_from_js(info[1]);
    const SampleKey key{whole_from_js(info[2], "seed"), uint32_t(whole_from_js(info[3], "epoch")),
                        uint32_t(whole_from_js(info[4], "index"))};
    drawn = draw(policy, int(width), int(height), key);
  }
  Pixels pixels;
  AugmentPolicy policy;
  Drawn drawn;
};

/** -> Float32Array (3, size, size) */
Napi::Value augment_image(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Single one(info);
    Napi::Float32Array result = Napi::Float32Array::New(info.Env(), one.policy.floats());
    RenderScratch scratch;
    render(one.drawn, one.policy.size, one.pixels, 1, scratch, result.Data());
    return result;
  });
}

/** -> Uint8Array, a block of one photo */
Napi::Value pack_image(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Single one(info);
    const int size = one.policy.size;
    RenderScratch scratch;
    std::vector<char> part(size_t(part_room(size)));
    const gn_photo photo = pack_photo(one.drawn, size, one.pixels, 1, scratch, part.data());
    Napi::Uint8Array result = Napi::Uint8Array::New(info.Env(), size_t(table_bytes(1) + part_bytes(photo, size)));
    BlockWriter block(result.Data(), 1, size);
    block.add(photo, part.data());
    block.finish();
    return result;
  });
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
  exports["augment"] = Napi::Function::New(env, augment_image, "augment");
  exports["packPhoto"] = Napi::Function::New(env, pack_image, "packPhoto");
  exports["joinPhotos"] = Napi::Function::New(env, join_photos, "joinPhotos");
}

}  // namespace googlenet::addon
