// What the tests of convolutions by tiles share: everything this processor can multiply them with, and running a step.
#pragma once
#include "cpu/tiles.h"

#include <cstdio>
#include <string>
#include <vector>

#include "cpu/simd/tile-kernels.h"

namespace test {

using googlenet::cpu::TileKernels;

inline std::vector<const TileKernels*> usable_tiles() {
  std::vector<const TileKernels*> all = {&googlenet::cpu::tiles_portable_bf16()};
#if defined(__x86_64__)
  const auto add = [&](bool has, const char* what, const TileKernels& kernels) {
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

/** Scratch is full of bytes that are NaN as floats and as bf16. Returns the implementation's name without the kernels', or
 *  "no kernel". */
inline std::string run_tiles(const TileKernels& kernels, const gn_step& step, int threads, float* parameters,
                             void* arena) {
  gn_device device{};
  device.pool = std::make_shared<googlenet::ThreadPool>(threads);
  device.isa = googlenet::effective_isa(), device.block = 16, device.tiles = &kernels;
  const auto kernel = googlenet::cpu::make_tiles(device, step);
  if (!kernel) return "no kernel";
  std::vector<uint8_t> scratch(size_t(kernel->scratch_bytes + 64), 0xff);
  gn_bindings b{};
  b.arenas[GN_ACTIVATIONS] = arena;
  b.parameters = parameters;
  b.scratch = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
  b.version = 1;
  kernel->sync(b);
  kernel->run(b);
  const std::string name = kernels.name;
  return kernel->implementation.rfind(name, 0) == 0 ? kernel->implementation.substr(name.size())
                                                    : kernel->implementation;
}

}  // namespace test
