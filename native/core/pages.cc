#include "core/pages.h"

#include <algorithm>
#include <cstdlib>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace googlenet {

void* allocate_pages(int64_t bytes) {
  constexpr int64_t kPage = 4096, kHuge = 2 << 20;
  const bool huge = bytes >= kHuge;
  void* memory = nullptr;
  if (posix_memalign(&memory, size_t(huge ? kHuge : kPage), size_t(std::max(bytes, kPage))) != 0) return nullptr;
#if defined(__linux__)
  if (huge) madvise(memory, size_t(bytes), MADV_HUGEPAGE);  // a wish: without them everything works as before
#endif
  return memory;
}

}  // namespace googlenet
