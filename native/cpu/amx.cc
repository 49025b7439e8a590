// Whether AMX may be used, and for what: see amx.h.
#include "cpu/amx.h"

#include "cpu/simd/amx-kernels.h"

#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace googlenet::cpu {

#if defined(__x86_64__)

namespace {

/** Nothing is limited, or to an instruction set that is not older than AMX. */
bool allowed_by(const std::string& limit) {
  return limit.empty() || limit == "DEFAULT" || limit == "ALL" || limit.find("AMX") != std::string::npos ||
         limit.rfind("AVX10_2", 0) == 0;
}

bool granted() {
#if defined(__linux__)
  constexpr unsigned kOsxsave = 1u << 27;                                             // leaf 1, ECX
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;                        // leaf 7.0, EDX
  constexpr unsigned kAvx512Bf16 = 1u << 5;                                           // leaf 7.1, EAX
  constexpr long kRequestPermission = 0x1023, kPermissions = 0x1022, kTileData = 18;  // arch_prctl's
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kOsxsave)) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (kAmxBf16 | kAmxTile)) != (kAmxBf16 | kAmxTile)) return false;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & kAvx512Bf16)) return false;
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData)) return false;
  unsigned long permitted = 0;
  return !syscall(SYS_arch_prctl, kPermissions, &permitted) && permitted >> kTileData & 1;
#else
  return false;
#endif
}

bool multiplies_bytes() {
  constexpr unsigned kAmxInt8 = 1u << 25;  // leaf 7.0, EDX
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kAmxInt8);
}

}  // namespace

bool amx_available() {
  if (effective_isa() != Isa::avx512 || !allowed_by(own_limit()) || !allowed_by(onednn_limit())) return false;
  static const bool permitted = granted();
  return permitted;
}

const AmxKernels* amx_kernels(gn_precision precision) {
  if (precision == GN_PRECISION_BF16 && amx_available()) return &amx_avx512_bf16();
  if (precision != GN_PRECISION_INT8) return nullptr;
  if (amx_available() && multiplies_bytes()) return &amx_avx512_bf16();
  return has_vnni() ? &amx_avx512_vnni() : nullptr;
}

Kernel make_amx(gn_device& device, const gn_step& step) {
  if (!device.amx) return nullptr;
  if (step.op == GN_LINEAR) return make_amx_linear(device, step);
  if (step.direction != GN_BACKWARD_WEIGHTS) return make_amx_data(device, step);
  return device.amx == &amx_avx512_bf16() ? make_amx_gradient(device, step) : nullptr;
}

#else

bool amx_available() { return false; }
const AmxKernels* amx_kernels(gn_precision) { return nullptr; }
Kernel make_amx(gn_device&, const gn_step&) { return nullptr; }

#endif

}  // namespace googlenet::cpu
