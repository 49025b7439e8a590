// Picks the table of vectorised loops that fits a device.
#pragma once
#include "cpu/isa.h"
#include "cpu/simd/kernels.h"

namespace googlenet::cpu {

const Kernels& kernels(Isa isa);
/** Bf16's need has_bf16() or has_vnni(). */
template <class Element>
const ActivationKernels<Element>& activations(Isa isa);
/** Need has_bf16() or has_vnni(). */
const ByteKernels& byte_kernels();

}  // namespace googlenet::cpu
