// The functions behind AmxKernels, each in the file of its name.
#pragma once
#include "cpu/simd/amx-kernels.h"
#include "cpu/simd/vector.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

// amx-pack.cc
void amx_pack(const AmxPart<uint16_t> halves[2], int64_t count, uint16_t* packed);
void amx_pack_bytes(const AmxPart<uint8_t> quarters[4], int64_t count, uint8_t* packed);
void amx_pack_planar(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns,
                     uint16_t* packed);
// amx-data.cc, or without AMX amx-vectors.cc
extern const char* const kProducts;
void amx_product(const AmxProduct&, const AmxTile* tiles, int count, const void* packed, const void* weights,
                 const float* scale, const float* bias, void* dst, int first, int last);
// amx-weights.cc
void amx_weights(const AmxFilter&, const AmxFactor* factors, int output, int blocks, uint16_t* packed);
void amx_weights_bytes(const AmxFilter&, const AmxFactor* factors, const float* inputs, const float* outputs,
                       int output, int blocks, int8_t* packed);
void amx_weights_planar(const AmxFilter&, int channels, int output, int blocks, uint16_t* packed);

}  // namespace googlenet::cpu::GOOGLENET_SIMD
