// The functions behind one instruction set's table, each in the file of its name.
#pragma once
#include "cpu/simd/vector.h"

#define GOOGLENET_TEXT_(name) #name
#define GOOGLENET_TEXT(name) GOOGLENET_TEXT_(name)

namespace googlenet::cpu::GOOGLENET_SIMD {

// max.cc
void max_forward(const PoolShape&, const Element* src, Element* dst, int first, int last);
void max_forward_index(const PoolShape&, const Element* src, Element* dst, uint8_t* index, int first, int last);
// max-backward.cc
void max_backward(const PoolShape&, const Element* diff_dst, const uint8_t* index, Element* diff_src,
                  const Element* mask, bool accumulate, int first, int last);
// average.cc
void average_forward(const PoolShape&, const Element* src, Element* dst, int first, int last);
void average_backward(const PoolShape&, const Element* diff_dst, Element* diff_src, const Element* mask,
                      bool accumulate, int first, int last);
// lrn-across.cc
int64_t lrn_scratch(const LrnShape&);
void lrn_across_forward(const LrnShape&, const Element* src, Element* dst, int64_t pixels, float* scratch);
void lrn_across_backward(const LrnShape&, const Element* src, const Element* diff_dst, Element* diff_src,
                         const Element* mask, bool accumulate, int64_t pixels, float* scratch);
// lrn-within.cc
void lrn_within_forward(const LrnShape&, const Element* src, Element* dst, int first, int last);
void lrn_within_backward(const LrnShape&, const Element* src, const Element* diff_dst, Element* diff_src,
                         const Element* mask, bool accumulate, float* scratch);
// elements.cc
void combine(Element* diff, const Element* other, const Element* mask, int64_t count);
void narrow(const float* from, Element* to, int64_t count);
// winograd-weights.cc
void winograd_weights(int taps, int inputs, int outputs, bool backward, const float* weights, float* u, int64_t first,
                      int64_t last);
void winograd_diff_weights(int taps, int inputs, int outputs, const float* du, float* gradient, int64_t first,
                           int64_t last);
// winograd-input.cc
void winograd_input(const WinogradShape&, const WinogradBlock&, const float* src, float* v, int64_t first,
                    int64_t last);
void winograd_diff(const WinogradShape&, const WinogradBlock&, const float* diff_dst, float* z, float* sums,
                   int64_t first, int64_t last);
// winograd-output.cc
void winograd_output(const WinogradShape&, const WinogradBlock&, const float* v, const float* u, const float* bias,
                     float* dst, float* m, int first, int last);
// winograd-gradient.cc
void winograd_gradient(const WinogradShape&, const WinogradBlock&, int point, const float* v, const float* z, float* du,
                       bool begin, int first, int last);
// flat.cc
double square_sum(const float* values, int64_t count);
void split_rgb(const uint8_t* rgb, int64_t pixels, const float mean[3], float* b, float* g, float* r);
// update.cc
void update(gn_rule rule, const UpdateArrays&, int64_t count, const UpdateFactors&);
void scale_add(float* dst, const float* src, int64_t count, float keep, float scale);

}  // namespace googlenet::cpu::GOOGLENET_SIMD
