// Picks the table of vectorised loops that fits a device.
#pragma once
#include "cpu/isa.h"
#include "cpu/simd/kernels.h"

namespace googlenet::cpu {

const Kernels& kernels(Isa isa);
/** Of Bf16 in blocks of 16 channels, whatever the instruction set. */
template <class Element>
const ActivationKernels<Element>& activations(Isa isa);
const ByteKernels& byte_kernels(Isa isa);

}  // namespace googlenet::cpu
