// Large pieces of host memory, on huge pages where the system gives them: the first touch of a 4 KiB page can cost more
// than decoding into it, and the processor finds the addresses of 512 times as much memory at once.
#pragma once
#include <cstdint>
#include <cstdlib>

namespace googlenet {

/** Page-aligned, uninitialised, for std::free; nullptr when there is none. */
void* allocate_pages(int64_t bytes);
struct FreePages {
  void operator()(void* pages) const { std::free(pages); }
};

}  // namespace googlenet
