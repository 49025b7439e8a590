// Any other library of a simulated cuDNN set: it is there, and says its version.
//   SIMULATOR_PART_VERSION  default 92801
#include <cstddef>
#include <cstdlib>

extern "C" __attribute__((visibility("default"))) size_t cudnnGetVersion() {
  const char* version = std::getenv("SIMULATOR_PART_VERSION");
  return version ? size_t(std::atoi(version)) : 92801;
}
