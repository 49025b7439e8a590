// Conversions shared by the image parts of the addon.
#pragma once
#include <napi.h>

#include <string>

#include "addon/convert.h"
#include "core/status.h"
#include "image/augment.h"

namespace googlenet::addon {

/** Throws Failure(INVALID_ARGUMENT) that names the field. */
AugmentPolicy policy_from_js(Napi::Value value);

/** A whole number in [0, 2^53), as a seed or an epoch. */
uint64_t whole_from_js(Napi::Value value, const char* name);

void register_image_functions(Napi::Env env, Napi::Object exports);

}  // namespace googlenet::addon
