// Where exceptions of a backend end: a function of the table runs its body and answers with a gn_status.
#pragma once
#include <cstring>
#include <new>

#include "backend/backend.h"
#include "core/status.h"

namespace googlenet {

template <class Body>
gn_status guarded(const Body& body) {
  gn_status status{};
  const auto failed = [&](Code code, const char* message) {
    status.code = int32_t(code);
    std::strncpy(status.message, message, sizeof status.message - 1);
  };
  try {
    body();
  } catch (const Failure& failure) {
    failed(failure.code, failure.what());
  } catch (const std::bad_alloc&) {
    failed(Code::OUT_OF_MEMORY, "memory could not be allocated");
  } catch (const std::exception& error) {
    failed(Code::INTERNAL, error.what());
  }
  return status;
}

}  // namespace googlenet
