#include "backend/registry.h"

#include "core/status.h"

extern "C" const gn_backend* googlenet_cpu_backend();

namespace googlenet {

const gn_backend& backend_named(const std::string& name) {
  if (name == "cpu") return *googlenet_cpu_backend();
  throw Failure(Code::DEVICE_UNAVAILABLE, "device '" + name + "' is not part of this build; it has: cpu");
}

void check(const gn_status& status) {
  if (status.code) throw Failure(Code(status.code), status.message);
}

}  // namespace googlenet
