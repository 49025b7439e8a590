// The seam between the engine and a device: a versioned table of C functions. The engine (core/) plans memory and
// order; a backend receives single steps with resolved shapes and arena offsets and makes a kernel of each.
// Plain data only: no C++ object and no exception crosses it, so that a backend can be a shared library.
//
// Layout. A buffer holds `channels` physical channels, a multiple of the device's `block` (zero-filled padding
// included), in the order that the device names (gn_order), of one element type (gn_type). A gn_tensor is a view of the
// channels [channel, channel + span) of such a buffer; both are multiples of block. Whoever writes a view writes all of
// its span: padding channels always hold exactly 0. Parameters are f32 in the parameter arena; padding holds 0.
//
// Memory that `allocate` gave is the device's: the engine computes addresses in it and reads and writes it through
// `upload` and `download` alone. What a device is asked to do happens in the order of the calls (but see gn_lanes); it
// may happen later than the call returns, except for what fills host memory (download, export_tensor, square_sum).
// Memory that several devices use in turns is handed on after `finish`. Devices opened on one card (or on the processor)
// use each other's memory as their own; what another card's memory holds is brought over by `pull`.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define GN_BACKEND_VERSION 8

extern "C" {

typedef struct gn_status {
  int32_t code;  // googlenet::Code, 0 = OK
  char message[508];
} gn_status;

/** How the channels of buffers and the inputs of weights lie. */
typedef enum gn_order {
  GN_BLOCKED = 0,   // [n][channels/block][h][w][block]; weights (O span, I span, kh, kw). A network input may be
                    // planar instead: [n][c][h][w] without padding
  GN_CHANNELS_LAST  // [n][h][w][channels]; weights (O span, kh, kw, I span). Nothing is planar
} gn_order;

/** What an element is. Whatever it is, arithmetic is f32 between reading and writing it. */
typedef enum gn_type {
  GN_F32 = 0,
  GN_BF16,  // the upper half of an f32, rounded to nearest even
  GN_U8     // values that cannot be negative, in steps of their channel's gn_tensor.scales
} gn_type;
static inline int64_t gn_bytes_of(gn_type type) { return type == GN_F32 ? 4 : type == GN_BF16 ? 2 : 1; }

/** How a device computes convolutions and fully connected layers; sums are f32 in any case. */
typedef enum gn_precision {
  GN_PRECISION_F32 = 0,
  GN_PRECISION_TF32,  // f32 whose factors are rounded to 10 bits of mantissa
  GN_PRECISION_BF16,  // values, their gradients and the weights that are multiplied are bf16; parameters stay f32
  GN_PRECISION_INT8   // inference: bf16, and where values are calibrated (core/quantization.h) u8 times s8
} gn_precision;

typedef enum gn_arena {
  GN_NONE = 0,     // no tensor
  GN_ACTIVATIONS,  // values, gradients of values, workspaces: one arena
  GN_ARENAS
} gn_arena;

typedef struct gn_tensor {
  gn_arena arena;
  gn_type type;
  int32_t planar;       // 1: [n][c][h][w] (gn_order)
  int64_t offset;       // bytes from the arena's start to the buffer's start
  int32_t n, c, h, w;   // c: logical channels
  int32_t span;         // physical channels of this view
  int32_t channel;      // first physical channel of this view within its buffer
  int32_t channels;     // physical channels of the buffer
  const float* scales;  // GN_U8: (span) what 1 stands for
  const float* means;   // GN_U8: (span) of the values that were calibrated on, or NULL where they are not known
} gn_tensor;

typedef struct gn_parameter {
  int64_t offset;  // floats from the start of the parameter (and gradient, momentum) arena; -1: absent
  int64_t size;    // floats
} gn_parameter;

typedef enum gn_op {
#define GOOGLENET_OP(name, text) GN_##name,
#include "ops/ops.def"
#undef GOOGLENET_OP
  GN_OPS
} gn_op;

typedef enum gn_direction { GN_FORWARD = 0, GN_BACKWARD_DATA, GN_BACKWARD_WEIGHTS } gn_direction;

typedef enum gn_pool_kind { GN_POOL_MAX = 0, GN_POOL_AVERAGE } gn_pool_kind;
typedef enum gn_lrn_region { GN_LRN_ACROSS = 0, GN_LRN_WITHIN } gn_lrn_region;

/** All attributes of all operations; an operation reads its own. Names and meanings are Caffe's. */
typedef struct gn_attributes {
  int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int32_t groups;     // conv: weights are given dense, block-diagonal; gradients off the blocks must be 0
  int32_t relu;       // conv, linear: dst = max(dst, 0)
  int32_t pool_kind;  // average divides by the window clipped to the padded input (Caffe)
  int32_t lrn_region, lrn_size;
  float lrn_alpha, lrn_beta, lrn_k;  // y = x * (k + alpha / size^(1 or 2) * sum x^2)^-beta
  float dropout_ratio;               // kept values are scaled by 1 / (1 - ratio)
  uint32_t dropout_stream;           // distinguishes the dropout layers of one network
  float loss_weight;
  int32_t classes;  // softmax, loss: logical channels; labels are in [0, classes)
  int32_t result;   // loss: index of its first float in gn_bindings.results: {mean loss, correct}
} gn_attributes;

/** Run-time properties of the device: its processor and its precision decide. */
typedef struct gn_geometry {
  gn_order order;
  int32_t block;
  gn_type type;  // of values, their gradients and gn_bindings.weights; probabilities and what only they read stay f32
  int32_t quantized;  // 1: values are GN_U8 where core/quantization.h says so
  int32_t piece;      // images that inference should take through the first layers at a time, 0: the whole batch
  int32_t masks;      // 1: CONV and LINEAR can mask gradients of their source (gn_step)
  /** Whether there is a kernel of two layers in one step, LRN_POOL or POOL_LRN, with these attributes; NULL: never. No
   *  pieces then. */
  int32_t (*pairs)(gn_op op, const gn_attributes* attributes);
} gn_geometry;

/**
 * One step. Forward reads src (src2 for SUM), writes dst. BACKWARD_DATA reads diff_dst (and what the operation
 * saved), writes diff_src. BACKWARD_WEIGHTS reads src and diff_dst, writes the gradients of weights and bias.
 *   accumulate  diff_src += instead of = (only asked of POOL, LRN, DROPOUT, LOSS, SUM, MASK)
 *   mask        when present, diff_src is zeroed afterwards where this view is <= 0: the backward of a fused ReLU
 *               (only asked of POOL, LRN, SUM, of CONV and LINEAR where gn_geometry.masks says so, and of MASK itself,
 *               which does nothing else, in place on diff_src)
 *   workspace   max pooling while training: uint8 window index (row * kernel_w + column) of each output element,
 *               in the order of a buffer of dst's span alone, one byte each
 *   SUM         dst = src + src2 over gradients, given as diff_src += diff_dst (forward unused)
 *   DROPOUT     may run in place: dst is src, diff_src is diff_dst
 *   LRN_POOL, POOL_LRN  a layer and its only reader, with the attributes of both, who share none. LRN_POOL reads src
 *               backward as LRN does; POOL_LRN writes what is between the two to `middle` while training and reads it
 *               backward. The workspace is the pool's; what is said of POOL and LRN goes for them too, but the mask of
 *               a POOL_LRN that does not accumulate is `middle`: where a maximum is <= 0, so is the element that it was
 */
typedef struct gn_step {
  gn_op op;
  gn_direction direction;
  const char* name;
  int32_t training;
  gn_attributes attributes;
  gn_tensor src, dst, diff_src, diff_dst, mask, workspace, middle;
  int32_t accumulate;
  gn_parameter weights, bias;
} gn_step;

/** What a run binds; the pointers are device memory. */
typedef struct gn_bindings {
  void* arenas[GN_ARENAS];
  float* parameters;
  const void* weights;  // the parameters in the geometry's type, at the same places: what convert() made, or themselves
  float* gradients;
  void* scratch;          // at least the largest scratch_bytes of the kernels; every lane has its own
  const int32_t* labels;  // (N)
  float* results;         // losses: see gn_attributes.result
  uint64_t seed;          // dropout: Philox key
  uint32_t step;          // dropout: Philox counter word, changes every training step
  int64_t first_sample;   // dropout: place of the batch's first image in the whole batch that several workers share
  uint64_t version;       // of the parameters: a kernel whose weight copy is older makes it anew in sync()
  const struct gn_bindings* variable;  // NULL, or see gn_recorder: seed, step and first_sample are read there
} gn_bindings;

typedef struct gn_kernel_info {
  const char* implementation;  // for instance "jit:avx512_core" or "own:avx512"; lives as long as the kernel
  int64_t scratch_bytes;
} gn_kernel_info;

typedef enum gn_rule {
#define GOOGLENET_RULE(name, text, momentum, squares) GN_##name,
#include "optim/rules.def"
#undef GOOGLENET_RULE
  GN_RULES
} gn_rule;

/** An optimiser's step on [first, first + count) floats of the flat arenas; cpu/simd/update.cc has the rules. A rule
 *  touches only the state it keeps. average (may be NULL) += average_share * (new parameters - average). */
typedef struct gn_update {
  gn_rule rule;
  float *parameters, *momentum, *squares, *average;
  void* copy;  // NULL, or the parameters in the geometry's type, made from them: written with them
  const float* gradients;
  int64_t first, count;
  float rate, momentum_factor, decay, gradient_scale;
  float squares_decay, epsilon, average_share;
  const struct gn_update* variable;  // NULL, or see gn_recorder: the factors are read there
  const struct gn_verdict* verdict;  // NULL, or device memory: nothing is updated unless it is finite, and its
                                     // gradient_scale is multiplied in
} gn_update;

/** What a training step came to, in device memory. */
typedef struct gn_verdict {
  double square_sum;     // of the gradients
  float gradient_scale;  // clipping: min(1, clip / norm)
  int32_t finite;        // the losses and square_sum are
} gn_verdict;

/** Asks for a verdict on `count` gradients and on `losses` losses, {mean loss, correct} each; clip = 0 never clips. */
typedef struct gn_judgement {
  const float* gradients;
  int64_t count;
  const float* results;
  int32_t losses;
  float clip;
  const struct gn_judgement* variable;  // NULL, or see gn_recorder: clip is read there
  gn_verdict* verdict;
} gn_judgement;

typedef enum gn_host_format {
  GN_HOST_F32_NCHW = 0,
  GN_HOST_U8_NHWC_RGB,
  GN_HOST_PHOTOS  // backend/photos.h, checked by check_photos(); a device may not support it
} gn_host_format;

typedef struct gn_device gn_device;
typedef struct gn_kernel gn_kernel;
typedef struct gn_recording gn_recording;

/**
 * What a device does again and again, told once. From begin to end everything asked for is written down and not done;
 * that may be run, update and judge, of which none allocates when it has been done once before. A replay does it all.
 * Addresses and sizes are those of the recording. What may differ from replay to replay lies in device memory: where a
 * struct names a `variable`, the members that its comment lists are read from the copy of that struct at that place,
 * when the work is done.
 */
typedef struct gn_recorder {
  gn_status (*begin)(gn_device* device);
  /** recording = NULL: what was written down is thrown away. */
  gn_status (*end)(gn_device* device, gn_recording** recording);
  gn_status (*replay)(gn_device* device, gn_recording* recording);
  void (*destroy)(gn_device* device, gn_recording* recording);
  gn_status (*judge)(gn_device* device, const gn_judgement* judgement);
} gn_recorder;

/**
 * Steps side by side. Between fork and join run() asks for them on the lane that was chosen last, of those that the
 * device was opened with: each does what it is asked for in order, and one lane waits for another where a wait names a
 * mark. Nothing but run() is asked for meanwhile. A fork and its join may be recorded (gn_recorder), both or neither.
 */
typedef struct gn_lanes {
  /** Every lane goes on after what was asked for before. */
  gn_status (*fork)(gn_device* device);
  gn_status (*choose)(gn_device* device, int32_t lane);
  /** What the lane was asked for up to here is mark number `mark`, until that is set again. */
  gn_status (*mark)(gn_device* device, int32_t mark);
  gn_status (*wait)(gn_device* device, int32_t mark);
  /** What is asked for next comes after all of them, even when something failed in between. */
  gn_status (*join)(gn_device* device);
} gn_lanes;

typedef struct gn_device_options {
  int32_t threads;  // CPU; 0 = all available
  int32_t alone;    // CPU: threads of its own, so that it runs beside other devices instead of taking turns with them
  int32_t exact;    // CPU: 1 = direct convolutions only, the smallest rounding errors
  int32_t index;    // GPUs, from 0
  int32_t tune;     // 1 = time the ways to compute every convolution once and take the fastest
  gn_precision precision;
  int32_t lanes;  // GPUs: on how many to run steps, 0 = 1
  /** CPU: NULL, or a device whose copies of weights this one shares: of the same precision, bound to the same parameters.
   *  Both may run kernels at the same time, while those do not change. */
  const gn_device* beside;
} gn_device_options;

typedef struct gn_backend {
  uint32_t version;  // GN_BACKEND_VERSION
  const char* name;  // "cpu", "cuda"
  /** The libraries below it with their versions, for people: "oneDNN 3.7.2". */
  const char* (*libraries)(void);
  gn_status (*open)(const gn_device_options* options, gn_device** device);
  void (*close)(gn_device* device);
  gn_geometry (*geometry)(const gn_device* device);
  /** One line for people: processor, instruction set, threads. Lives as long as the device. */
  const char* (*describe)(const gn_device* device);
  /** Zero-filled, every page touched, 64-byte aligned. */
  gn_status (*allocate)(gn_device* device, int64_t bytes, void** memory);
  void (*release)(gn_device* device, void* memory);
  /** Host memory is the caller's again when these return. */
  gn_status (*upload)(gn_device* device, void* to, const void* host, int64_t bytes);
  gn_status (*download)(gn_device* device, void* host, const void* from, int64_t bytes);
  /** to = from, `bytes` of the memory of `other`, a device of this backend that has finished with them; NULL where all
   *  devices share one memory. */
  gn_status (*pull)(gn_device* device, void* to, const gn_device* other, const void* from, int64_t bytes);
  /** Waits until everything asked for is done, and reports what went wrong with it. */
  gn_status (*finish)(gn_device* device);
  /** A kernel of each of `count` steps; none when one of them fails, whose reason is given. */
  gn_status (*prepare)(gn_device* device, const gn_step* const* steps, int64_t count, gn_kernel** kernels);
  void (*destroy)(gn_device* device, gn_kernel* kernel);
  void (*inspect)(const gn_kernel* kernel, gn_kernel_info* info);
  gn_status (*run)(gn_device* device, gn_kernel* kernel, const gn_bindings* bindings);
  /** Parameters have changed: make the kernel's own copy of its weights anew, unless it has this version. */
  gn_status (*sync)(gn_device* device, gn_kernel* kernel, const gn_bindings* bindings);
  gn_status (*update)(gn_device* device, const gn_update* update);
  /** dst = keep * dst + scale * src, over count floats; keep = 0 overwrites (dst is not read). */
  gn_status (*scale_add)(gn_device* device, float* dst, const float* src, int64_t count, float keep, float scale);
  /** to = from, count elements of the geometry's type; NULL where kernels need no such copy of the parameters. */
  gn_status (*convert)(gn_device* device, void* to, const float* from, int64_t count);
  /** Bytes of the device that were not asked for by allocate(): weight copies of kernels (shared ones by each that shares
   *  them), tensors on their way. */
  int64_t (*own_bytes)(const gn_device* device);
  /** sum of squares of count floats in f64, in an order that does not depend on the number of threads. */
  gn_status (*square_sum)(gn_device* device, const float* values, int64_t count, double* result);
  /** Host to view. channel_map[c] is the physical channel (relative to the view) of logical channel c; NULL =
   *  identity. U8 input is RGB interleaved and becomes planes B, G, R minus mean (B, G, R); so do photos, each with what
   *  it says to add instead of the mean. Fills padding with 0. */
  gn_status (*import_tensor)(gn_device* device, const gn_tensor* dst, const int32_t* channel_map, void* arena,
                             const void* host, gn_host_format format, const float mean[3]);
  /** Begins to bring over what import_tensor will be given next, beside what the device is doing; host memory is the
   *  caller's again when this returns. NULL host: what was brought is forgotten. NULL where nothing would be gained. */
  gn_status (*stage)(gn_device* device, const void* host, int64_t bytes);
  /** View to host f32 (N, C, H, W). */
  gn_status (*export_tensor)(gn_device* device, const gn_tensor* src, const int32_t* channel_map, const void* arena,
                             float* host);
  const gn_recorder* recorder;  // NULL: the device is told every time
  const gn_lanes* lanes;        // NULL: one step at a time
} gn_backend;

}  // extern "C"
