// The JavaScript side of native/image: class Pipeline, functions decodeJpeg and augment (lib/native.ts types them).
#pragma once
#include <napi.h>

namespace googlenet::addon {

/** Adds Pipeline, decodeJpeg and augment to the addon's exports. */
void register_images(Napi::Env env, Napi::Object exports);

}  // namespace googlenet::addon
