// How the bodies of native/cuda/launch.h run without nvcc: in loops, when their stream gets there. What a GPU leaves open
// is told by the environment or made to show:
//   SIMULATOR_BACKWARDS   blocks and threads take their turns last first. Whoever reads what another thread of the same
//                         launch (in a block: of the same phase) writes, sees it in one of the two orders only
//   shared memory         begins as NaN in every block
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstring>
#include <functional>

namespace googlenet::cuda {

void simulated_launch(cudaStream_t stream, std::function<void()> work);
bool simulated_backwards();

/** body(i) for i in [0, count). */
template <class Body>
void simulated_turns(uint32_t count, bool backwards, const Body& body) {
  for (uint32_t i = 0; i < count; i++) body(backwards ? count - 1 - i : i);
}

template <class Body>
void simulated_threads(cudaStream_t stream, uint32_t count, const Body& body) {
  simulated_launch(stream, [=] { simulated_turns(count, simulated_backwards(), body); });
}

template <class Body>
void simulated_blocks(cudaStream_t stream, uint32_t count, uint32_t threads, const Body& body) {
  simulated_launch(stream, [=] {
    const bool backwards = simulated_backwards();
    simulated_turns(count, backwards, [&](uint32_t block) {
      typename Body::Shared shared;
      std::memset(static_cast<void*>(&shared), 0xff, sizeof shared);
      for (int phase = 0; phase < Body::kPhases; phase++)
        simulated_turns(threads, backwards, [&](uint32_t thread) { body(phase, block, thread, shared); });
    });
  });
}

}  // namespace googlenet::cuda
