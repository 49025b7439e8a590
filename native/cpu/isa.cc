// Finds the instruction set, see isa.h. AVX-512 means what oneDNN calls avx512_core (F, CD, BW, DQ, VL), so that our
// block size is always one its kernels are jitted for.
#include "cpu/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include <cctype>
#include <cstdlib>
#include <cstring>

#include "core/status.h"

namespace googlenet {
namespace {

Isa processor_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::portable;
}

std::string upper(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value ? value : "";
  for (char& c : text) c = char(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

Isa lower(Isa a, Isa b) { return a < b ? a : b; }

/** Nothing is limited, or to an instruction set that is not older than AMX. */
bool allows_amx(const std::string& limit) {
  return limit.empty() || limit == "DEFAULT" || limit == "ALL" || limit.find("AMX") != std::string::npos ||
         limit.rfind("AVX10_2", 0) == 0;
}

/** The processor has AMX, and the system lets this process use it. */
bool granted_amx() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr unsigned kOsxsave = 1u << 27;                    // leaf 1, ECX
  constexpr unsigned kAmx = 1u << 22 | 1u << 24 | 1u << 25;  // leaf 7.0, EDX: bf16, tiles, int8
  constexpr unsigned kAvx512Bf16 = 1u << 5;                  // leaf 7.1, EAX
  constexpr long kRequestPermission = 0x1023, kPermissions = 0x1022, kTileData = 18;  // arch_prctl's
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kOsxsave)) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kAmx) != kAmx) return false;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & kAvx512Bf16)) return false;
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData)) return false;
  unsigned long permitted = 0;
  return !syscall(SYS_arch_prctl, kPermissions, &permitted) && permitted >> kTileData & 1;
#else
  return false;
#endif
}

}  // namespace

std::string onednn_limit() {
  const std::string limit = upper("ONEDNN_MAX_CPU_ISA");
  return limit.empty() ? upper("DNNL_MAX_CPU_ISA") : limit;
}

std::string own_limit() { return upper("GOOGLENET_MAX_ISA"); }

Isa effective_isa() {
  Isa isa = processor_isa();
  const std::string onednn = onednn_limit();
  if (onednn.rfind("AVX2", 0) == 0) isa = lower(isa, Isa::avx2);  // AVX2, AVX2_VNNI, AVX2_VNNI_2
  if (onednn == "AVX" || onednn == "SSE41") isa = Isa::portable;

  const std::string own = own_limit();
  if (own == "AVX2") return lower(isa, Isa::avx2);
  if (own == "PORTABLE") return Isa::portable;
  if (!own.empty() && own != "AVX512")
    throw Failure(Code::INVALID_ARGUMENT,
                  "GOOGLENET_MAX_ISA must be avx512, avx2 or portable, but is " + own + "; correct or unset it");
  return isa;
}

bool has_bf16() {
#if defined(__x86_64__)
  const std::string onednn = onednn_limit();
  return effective_isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16") && onednn != "AVX512_CORE" &&
         onednn != "AVX512_CORE_VNNI";
#else
  return false;
#endif
}

bool has_vnni() {
#if defined(__x86_64__)
  return effective_isa() == Isa::avx512 && __builtin_cpu_supports("avx512vnni") && onednn_limit() != "AVX512_CORE";
#else
  return false;
#endif
}

bool has_avx_vnni() {
#if defined(__x86_64__)
  constexpr unsigned kAvxVnni = 1u << 4;  // leaf 7.1, EAX; not every compiler's builtin knows it
  unsigned a, b, c, d;
  return effective_isa() != Isa::portable && onednn_limit() != "AVX2" && onednn_limit() != "AVX512_CORE" &&
         __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & kAvxVnni);
#else
  return false;
#endif
}

bool has_amx() {
  if (effective_isa() != Isa::avx512 || !allows_amx(own_limit()) || !allows_amx(onednn_limit())) return false;
  static const bool granted = granted_amx();
  return granted;
}

std::string processor_name() {
#if defined(__x86_64__)
  unsigned words[13] = {};  // three leaves of 16 characters, and a zero
  for (unsigned leaf = 0; leaf < 3; leaf++) {
    unsigned* part = words + 4 * leaf;
    if (!__get_cpuid(0x80000002 + leaf, part, part + 1, part + 2, part + 3)) return "x86-64";
  }
  char text[sizeof words];
  std::memcpy(text, words, sizeof words);
  const std::string name = text;
  const size_t first = name.find_first_not_of(' ');
  return first == std::string::npos ? "x86-64" : name.substr(first, name.find_last_not_of(' ') - first + 1);
#elif defined(__aarch64__)
  return "arm64";
#else
  return "unknown";
#endif
}

const char* isa_name(Isa isa) { return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "portable"; }

}  // namespace googlenet
