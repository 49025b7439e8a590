// The backends of this build, by name.
#pragma once
#include <string>

#include "backend/backend.h"

namespace googlenet {

/** Throws DEVICE_UNAVAILABLE listing what this build has. */
const gn_backend& backend_named(const std::string& name);

/** Turns a status from across the seam into a Failure. */
void check(const gn_status& status);

}  // namespace googlenet
