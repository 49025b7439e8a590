// How many cores this process may use: the affinity mask, lowered to the CPU quota of its control group. A container on
// a large machine often has a small quota, and more threads than that only wait for each other.
#include <thread>

#include "core/threads.h"

#if defined(__linux__)
#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#endif

namespace googlenet {

#if defined(__linux__)
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/** Cores granted by one cgroup folder, 0 = no limit given there. */
double quota(const std::string& folder, bool v2) {
  double limit = 0, period = 0;
  if (v2) {
    std::istringstream line(first_line(folder + "/cpu.max"));  // "max 100000" or "200000 100000"
    if (!(line >> limit >> period)) return 0;
  } else {
    limit = std::atof(first_line(folder + "/cpu.cfs_quota_us").c_str());  // -1: none
    period = std::atof(first_line(folder + "/cpu.cfs_period_us").c_str());
  }
  return limit > 0 && period > 0 ? limit / period : 0;
}

/** The lowest quota from this process's cgroup up to the root, 0 = none. A container often sees its own cgroup as
 *  the root while /proc/self/cgroup still names the host's path; missing folders are skipped, the root is read. */
double cgroup_quota() {
  double lowest = 0;
  std::ifstream groups("/proc/self/cgroup");  // lines "id:controllers:path"; v2 has id 0 and no controllers
  for (std::string line; std::getline(groups, line);) {
    const size_t a = line.find(':'), b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = std::string(",").append(line, a + 1, b - a - 1).append(",");
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    std::string path = line.substr(b + 1);
    if (path == "/") path.clear();
    for (;;) {
      const double cores = quota(root + path, v2);
      if (cores > 0 && (lowest == 0 || cores < lowest)) lowest = cores;
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return lowest;
}

}  // namespace
#endif

int available_cores() {
  int cores = int(std::thread::hardware_concurrency());
#if defined(__linux__)
  // 8192 processors: a kernel with a larger mask than the set answers EINVAL and the count above stands.
  constexpr int kProcessors = 8192;
  if (cpu_set_t* set = CPU_ALLOC(kProcessors)) {
    const size_t size = CPU_ALLOC_SIZE(kProcessors);
    CPU_ZERO_S(size, set);
    if (sched_getaffinity(0, size, set) == 0) cores = CPU_COUNT_S(size, set);
    CPU_FREE(set);
  }
  const double limit = cgroup_quota();
  if (limit > 0 && limit < cores) cores = int(limit) + (limit > int(limit) ? 1 : 0);
#endif
  return cores < 1 ? 1 : cores;
}

}  // namespace googlenet
