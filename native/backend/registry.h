// The backends, by the name of a device: 'cpu', 'cuda' or 'cuda:N'. The CPU's is linked in; CUDA's is a library of its
// own beside this one, opened when it is first asked for.
#pragma once
#include <string>

#include "backend/backend.h"

namespace googlenet {

/** Throws DEVICE_UNAVAILABLE with what is missing and how to mend it. */
const gn_backend& backend_named(const std::string& device);
/** N of 'cuda:N', else 0. */
int device_index(const std::string& device);

/** Turns a status from across the seam into a Failure. */
void check(const gn_status& status);

}  // namespace googlenet
