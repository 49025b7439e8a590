// Which instruction set the kernels use: the best the processor has, lowered by ONEDNN_MAX_CPU_ISA (as oneDNN
// itself is) and by GOOGLENET_MAX_ISA=avx512|avx2|portable, so that every path can be tested on one machine.
#pragma once
#include <string>

namespace googlenet {

enum class Isa { portable, avx2, avx512 };

Isa effective_isa();
/** What ONEDNN_MAX_CPU_ISA (or DNNL_MAX_CPU_ISA) and GOOGLENET_MAX_ISA say, in capitals; empty: nothing. */
std::string onednn_limit();
std::string own_limit();
const char* isa_name(Isa isa);
/** "AMD EPYC 7763 64-Core Processor"; of other architectures their name alone. */
std::string processor_name();
/** AVX-512 with instructions for bf16, and neither switch below it. */
bool has_bf16();
/** AVX-512 with dot products of bytes, or AVX2 with such, and neither switch below it. */
bool has_vnni();
bool has_avx_vnni();
/** AMX for bf16 and for bytes, the system lets this process use it (asked once), and neither switch names less. */
bool has_amx();
/** Channels per block in f32: 16 with AVX-512, else 8 (oneDNN falls to reference code on 16-channel blocks there). */
inline int block_of(Isa isa) { return isa == Isa::avx512 ? 16 : 8; }

}  // namespace googlenet
