#include "cpu/cache.h"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace googlenet::cpu {

int64_t second_level_cache() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const int64_t bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return bytes;
#endif
  return 512 << 10;
}

}  // namespace googlenet::cpu
