// Every CPU kernel of ours on every instruction set of this processor, against plain f64 code, the thread pool, the
// parameter store and the schedules of steps on lanes.
// Build and run: test/native/build.sh (see there for the sanitizers and the timings).
#include "check.h"

int main(int argc, char** argv) {
  const std::string only = argc > 1 ? argv[1] : "";
  const auto wanted = [&](const char* name) { return only.empty() || only == name; };
  if (wanted("threads")) test::thread_tests();
  if (wanted("pool")) test::pool_tests();
  if (wanted("lrn")) test::lrn_tests();
  if (wanted("small")) test::small_tests();
  if (wanted("flat")) test::flat_tests();
  if (wanted("store")) test::store_tests();
  if (wanted("lanes")) test::lane_tests();
  if (wanted("winograd")) test::winograd_tests();
  if (!std::getenv("GOOGLENET_TEST_WIDE")) {  // which changes loops over f32 alone
    if (wanted("bf16")) test::bf16_tests();
    if (wanted("tiles")) test::tiles_tests();
    if (wanted("bytes")) test::bytes_tests();
#if defined(__x86_64__)
    if (wanted("amx")) test::amx_gradient_tests();
#endif
  }
  std::printf("%d passed, %d failed\n", test::passed, test::failed);
  return test::failed ? 1 : 0;
}
