// Everything this processor can multiply tiles with.
#pragma once
#include <cstdio>
#include <vector>

#include "cpu/isa.h"
#include "cpu/simd/tile-kernels.h"

namespace test {

inline std::vector<const googlenet::cpu::TileKernels*> usable_tiles() {
  std::vector<const googlenet::cpu::TileKernels*> all = {&googlenet::cpu::tiles_portable_bf16()};
#if defined(__x86_64__)
  const auto add = [&](bool has, const char* what, const googlenet::cpu::TileKernels& kernels) {
    if (has)
      all.push_back(&kernels);
    else
      std::printf("tiles: this processor or system has no %s\n", what);
  };
  add(googlenet::effective_isa() != googlenet::Isa::portable, "AVX2", googlenet::cpu::tiles_avx2_bf16());
  add(googlenet::has_avx_vnni(), "AVX-VNNI", googlenet::cpu::tiles_avx2_vnni());
  add(googlenet::has_vnni(), "AVX512_VNNI", googlenet::cpu::tiles_avx512_vnni());
  add(googlenet::has_amx(), "AMX", googlenet::cpu::tiles_avx512_bf16());
#endif
  return all;
}

}  // namespace test
