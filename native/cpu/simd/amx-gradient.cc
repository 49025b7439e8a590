// Backward weights by AMX: C[output][input] += A[output][position] B[position][input], a tile of 16 x 16 for each pair of
// channel blocks and tap. Both operands are packed into tiles of 1 KB:
//   A  diff_dst transposed, [block][step][16 channels][32 positions]
//   B  src in pairs of positions, [parity][pair][16 channels][2]: twice, so that a tap, even or odd, is a whole row's offset
#include "cpu/simd/amx-gradient.h"

#include "cpu/simd/amx.h"

#if GOOGLENET_AMX
#include "cpu/simd/amx-pack.h"

namespace googlenet::cpu::avx512_bf16 {
namespace {

constexpr int64_t kOutputBytes = 768 << 10;  // of A for one block of steps: it stays in the second-level cache
constexpr int64_t kFewestSteps = 16, kMostSteps = 256;
constexpr int kMaxTaps = 64;

struct Sizes {
  Sizes(const AmxGradientShape& s, const AmxGradientPart& part)
      : inputs(part.input[1] - part.input[0]),
        outputs(part.output[1] - part.output[0]),
        taps(part.tap[1] - part.tap[0]),
        largest_shift((s.taps_h - 1) * s.pitch + s.taps_w - 1),
        parities(s.taps_h * s.taps_w == 1 ? 1 : 2) {
    const int64_t most = smaller(kMostSteps, larger(kFewestSteps, kOutputBytes / (int64_t(kTileBytes) * outputs)));
    const int64_t blocks = (s.steps + most - 1) / most;
    steps = (s.steps + blocks - 1) / blocks;
    positions = steps * kTileDepth + largest_shift + 2;
    pairs = (positions + 1) / 2;
    line_bytes = round(positions * kPixelBytes + 64);
    source_bytes = round(parities * pairs * kTileRowBytes);
  }
  static int64_t round(int64_t bytes) { return (bytes + 63) / 64 * 64; }

  int64_t inputs, outputs, taps, largest_shift, parities;
  int64_t steps, positions, pairs;     // of a block
  int64_t line_bytes, source_bytes;    // of one channel block's positions as they are, as B
};

/** Tiles of B at one step, and the tiles of C that they and one or two A form. */
struct Column {
  const char* b;
  float* c;
};

template <int outputs, int columns>
void product(const char* a, int64_t a_block, const Column* column, int64_t c_block, int64_t steps, bool begin) {
  constexpr int64_t row = kTileRowBytes;
  float* c[columns];
  const char* b[columns];
#pragma GCC unroll 4
  for (int j = 0; j < columns; j++) c[j] = column[j].c, b[j] = column[j].b;
#define GOOGLENET_C(i, j) \
  if constexpr (i < outputs && j < columns) {                                   \
    if (begin)                                                                  \
      clear_tile<i * 2 + j>();                                                  \
    else                                                                        \
      load_tile<i * 2 + j>(c[j] + i * c_block, row);                            \
  }
  GOOGLENET_C(0, 0) GOOGLENET_C(0, 1) GOOGLENET_C(1, 0) GOOGLENET_C(1, 1)
#undef GOOGLENET_C
  for (int64_t s = 0; s < steps; s++) {
    const int64_t at = s * kTileBytes;
    load_tile<4>(a + at, row);
    load_tile<6>(b[0] + at, row);
    multiply_tiles<0, 4, 6>();
    if constexpr (outputs > 1) {
      load_tile<5>(a + a_block + at, row);
      multiply_tiles<2, 5, 6>();
    }
    if constexpr (columns > 1) {
      load_tile<7>(b[1] + at, row);
      multiply_tiles<1, 4, 7>();
      if constexpr (outputs > 1) multiply_tiles<3, 5, 7>();
    }
  }
#define GOOGLENET_C(i, j) \
  if constexpr (i < outputs && j < columns) store_tile<i * 2 + j>(c[j] + i * c_block, row);
  GOOGLENET_C(0, 0) GOOGLENET_C(0, 1) GOOGLENET_C(1, 0) GOOGLENET_C(1, 1)
#undef GOOGLENET_C
}

class Gradient {
 public:
  Gradient(const AmxGradientShape& s, const AmxGradientPart& part, void* scratch) : s_(s), part_(part), z_(s, part) {
    char* at = static_cast<char*>(scratch);
    a_ = at, at += z_.outputs * z_.steps * kTileBytes;
    b_ = at, at += 2 * z_.source_bytes;
    line_ = at, at += z_.line_bytes;
    sums_ = reinterpret_cast<float*>(at), at += z_.outputs * kTileRowBytes;
    c_ = reinterpret_cast<float*>(at), at += z_.outputs * z_.inputs * z_.taps * kTileBytes;
    bytes = at - static_cast<char*>(scratch);
    // Neighbouring taps of one parity read the same lines: the even first.
    int count = 0;
    for (int parity = 0; parity < 2; parity++) {
      for (int tap = part.tap[0]; tap < part.tap[1]; tap++)
        if ((shift(tap) & 1) == parity) tap_[count++] = tap;
    }
  }

  void run(const uint16_t* src, const uint16_t* diff_dst) {
    for (int64_t i = 0; i < z_.outputs * 16; i++) sums_[i] = 0;
    for (int64_t first = 0; first < s_.steps; first += z_.steps) {
      const int64_t steps = smaller(z_.steps, s_.steps - first), position = first * kTileDepth;
      for (int o = 0; o < z_.outputs; o++) {
        gather(s_.diff_dst, s_, diff_dst + (part_.output[0] + o) * s_.diff_dst.plane, position,
               position + steps * kTileDepth, line_);
        pack_transposed(line_, steps, a_ + o * z_.steps * kTileBytes, sums_ + o * 16);
      }
      for (int i = 0; i < z_.inputs; i += 2) {
        const int blocks = smaller(2, int(z_.inputs) - i);
        for (int j = 0; j < blocks; j++) {
          gather(s_.src, s_, src + (part_.input[0] + i + j) * s_.src.plane, position,
                 position + steps * kTileDepth + z_.largest_shift + 1, line_);
          for (int parity = 0; parity < z_.parities; parity++)
            pack_pairs(line_ + parity * kPixelBytes, (steps * kTileDepth + z_.largest_shift + 1) / 2,
                       b_ + j * z_.source_bytes + parity * z_.pairs * kTileRowBytes);
        }
        multiply(i, blocks, steps, first == 0);
      }
    }
  }

  void finish(float* weights, float* bias) {
    if (bias) {
      for (int64_t i = 0; i < z_.outputs * 16; i++) bias[part_.output[0] * 16 + i] = sums_[i];
    }
    const int64_t taps = s_.taps_h * s_.taps_w;
    for (int64_t o = 0; o < z_.outputs * 16; o++) {
      for (int64_t i = 0; i < z_.inputs; i++) {
        float* to = weights + ((part_.output[0] * 16 + o) * s_.inputs + part_.input[0] + i) * 16 * taps + part_.tap[0];
        unpack_taps(tile(o / 16, i, 0) + o % 16 * 16, int(z_.taps), to, taps);
      }
    }
  }

  int64_t bytes;

 private:
  int64_t shift(int tap) const { return int64_t(tap / s_.taps_w) * s_.pitch + tap % s_.taps_w; }
  float* tile(int64_t o, int64_t i, int64_t tap) const {
    return c_ + ((o * z_.inputs + i) * z_.taps + tap) * (kTileBytes / 4);
  }

  void multiply(int input, int blocks, int64_t steps, bool begin) {
    Column columns[2 * kMaxTaps];
    int count = 0;
    for (int j = 0; j < blocks; j++) {
      for (int t = 0; t < z_.taps; t++) {
        const int64_t by = shift(tap_[t]);
        columns[count++] = {b_ + j * z_.source_bytes + ((by & 1) * z_.pairs + by / 2) * kTileRowBytes,
                            tile(0, input + j, tap_[t] - part_.tap[0])};
      }
    }
    const int64_t a_block = z_.steps * kTileBytes, c_block = z_.inputs * z_.taps * (kTileBytes / 4);
    for (int j = 0; j < count; j += 2) {
      const bool two = j + 1 < count;
      int o = 0;
      for (; o + 1 < z_.outputs; o += 2) {
        Column here[2] = {columns[j], two ? columns[j + 1] : columns[j]};
        here[0].c += o * c_block, here[1].c += o * c_block;
        (two ? product<2, 2> : product<2, 1>)(a_ + o * a_block, a_block, here, c_block, steps, begin);
      }
      if (o < z_.outputs) {
        Column here[2] = {columns[j], two ? columns[j + 1] : columns[j]};
        here[0].c += o * c_block, here[1].c += o * c_block;
        (two ? product<1, 2> : product<1, 1>)(a_ + o * a_block, a_block, here, c_block, steps, begin);
      }
    }
  }

  const AmxGradientShape& s_;
  const AmxGradientPart& part_;
  const Sizes z_;
  char *a_, *b_, *line_;
  float *sums_, *c_;
  int tap_[kMaxTaps];
};

}  // namespace

int64_t amx_gradient_scratch(const AmxGradientShape& s, const AmxGradientPart& part) {
  return Gradient(s, part, nullptr).bytes;
}

void amx_gradient(const AmxGradientShape& s, const AmxGradientPart& part, const uint16_t* src, const uint16_t* diff_dst,
                  float* weights, float* bias, void* scratch) {
  TileConfig config;
  for (int tile = 0; tile < 8; tile++) set_tile(config, tile, kTileRows);
  configure_tiles(config);
  Gradient gradient(s, part, scratch);
  gradient.run(src, diff_dst);
  gradient.finish(weights, bias);
  release_tiles();
}

}  // namespace googlenet::cpu::avx512_bf16
#endif
