// Errors inside the native code. Everything below the addon throws Failure{code, message}; the addon turns it
// into a GoogLeNetError. A message says what was expected, what came, and what to do. Across the C seam of
// backend/backend.h the same pair travels as gn_status, since no exception may cross a shared library.
#pragma once
#include <stdexcept>
#include <string>

namespace googlenet {

enum class Code : int {
  OK = 0,
#define GOOGLENET_ERROR(name, meaning) name,
#include "core/errors.def"
#undef GOOGLENET_ERROR
};

/** "GOOGLENET_ERR_<NAME>", as JavaScript sees it. */
inline const char* code_name(Code code) {
  switch (code) {
    case Code::OK: return "OK";
#define GOOGLENET_ERROR(name, meaning) \
  case Code::name:                     \
    return "GOOGLENET_ERR_" #name;
#include "core/errors.def"
#undef GOOGLENET_ERROR
  }
  return "GOOGLENET_ERR_INTERNAL";
}

class Failure : public std::runtime_error {
 public:
  Failure(Code code, const std::string& message) : std::runtime_error(message), code(code) {}
  const Code code;
};

}  // namespace googlenet
