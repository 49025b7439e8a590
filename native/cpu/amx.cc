// Whether AMX may be used, and for what: see amx.h.
#include "cpu/amx.h"

#include "cpu/amx_gradient.h"

#include <cctype>
#include <cstdlib>
#include <string>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace googlenet::cpu {

namespace {

/** What a variable allows at most: everything unless it names an instruction set that is older than AMX. */
bool allowed_by(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value ? value : "";
  for (char& c : text) c = char(std::toupper(static_cast<unsigned char>(c)));
  return text.empty() || text == "DEFAULT" || text == "ALL" || text.find("AMX") != std::string::npos ||
         text.rfind("AVX10_2", 0) == 0;
}

bool granted() {
#if defined(__x86_64__) && defined(__linux__)
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

bool has_byte_products() {
#if defined(__x86_64__)
  constexpr unsigned kAmxInt8 = 1u << 25;  // leaf 7.0, EDX
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kAmxInt8);
#else
  return false;
#endif
}

}  // namespace

bool amx_available() {
  if (effective_isa() != Isa::avx512 || !allowed_by("GOOGLENET_MAX_ISA")) return false;
  const char* onednn = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (!allowed_by(onednn && *onednn ? "ONEDNN_MAX_CPU_ISA" : "DNNL_MAX_CPU_ISA")) return false;
  static const bool permitted = granted();
  return permitted;
}

bool amx_int8_available() { return amx_available() && has_byte_products(); }

bool amx_can(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const bool backward = step.direction == GN_BACKWARD_DATA;
  if (step.op != GN_CONV || step.direction == GN_BACKWARD_WEIGHTS) return false;
  const gn_tensor& src = backward ? step.diff_src : step.src;
  const gn_tensor& dst = backward ? step.diff_dst : step.dst;
  if (src.type == GN_F32 || dst.type == GN_F32 || a.groups != 1 || a.dilation_h != 1 || a.dilation_w != 1) return false;
  if (src.planar) return !backward && src.c <= 4 && a.kernel_w <= 8;
  return a.stride_h == 1 && a.stride_w == 1;
}

Kernel make_amx(gn_device& device, const gn_step& step) {
  if (!device.amx) return nullptr;
  if (step.direction == GN_BACKWARD_WEIGHTS) return make_amx_gradient(device, step);
  if (!amx_can(step)) return nullptr;
  return make_amx_data(device, step);
}

}  // namespace googlenet::cpu
