// How large the second-level cache of a core is: blocks of Winograd's convolutions are cut to it.
#pragma once
#include <cstdint>

namespace googlenet::cpu {

/** Bytes; 512 KiB where the system does not say. */
int64_t second_level_cache();

}  // namespace googlenet::cpu
