// Picks the table of vectorised loops that fits a device.
#pragma once
#include "cpu/isa.h"
#include "cpu/simd/kernels.h"

namespace googlenet::cpu {

const Kernels& kernels(Isa isa);

}  // namespace googlenet::cpu
