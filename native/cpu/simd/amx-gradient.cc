// Backward weights by AMX: C[output][input] += A[output][position] B[position][input], a tile of 16 x 16 for each pair of
// channel blocks and tap. Both operands are packed into tiles of 1 KB:
//   A  diff_dst transposed, [block][step][16 channels][32 positions]
//   B  src in pairs of positions, [parity][pair][16 channels][2]: twice, so that a tap, even or odd, is a whole row's offset
// A block of steps holds A of all outputs and B of two inputs at a time, in the second-level cache; while it is
// multiplied, what is packed next is on its way there.
#include "cpu/simd/amx-gradient.h"

#include "cpu/simd/amx.h"

#include "cpu/simd/amx-pack.h"

namespace googlenet::cpu::avx512_bf16 {
namespace {

constexpr int64_t kOnlyBytes = 1100 << 10, kOutputBytes = 560 << 10;  // of A: of the only block, of one of several
constexpr int64_t kFewestSteps = 16;
constexpr int kMaxTaps = 64, kTileFloats = kTileBytes / 4;

GOOGLENET_INLINE int64_t taps_of(const AmxGradientShape& s) {
  return s.planar ? (s.taps_h + 1) / 2 : s.taps_h * s.taps_w;
}
/** Positions from an output to what it multiplies at a tap. */
GOOGLENET_INLINE int64_t shift_of(const AmxGradientShape& s, int64_t tap) {
  return s.planar ? tap * s.pitch : tap / s.taps_w * s.pitch + tap % s.taps_w;
}

struct Sizes {
  Sizes(const AmxGradientShape& s, const AmxGradientPart& part)
      : inputs(part.input[1] - part.input[0]),
        outputs(part.output[1] - part.output[0]),
        taps(part.tap[1] - part.tap[0]),
        all_taps(taps_of(s)),
        largest_shift(shift_of(s, all_taps - 1)),
        parities(all_taps == 1 || s.planar ? 1 : 2) {
    const int64_t total = part.step[1] - part.step[0], step = outputs * kTileBytes;
    const int64_t most = total * step <= kOnlyBytes ? total : larger(kFewestSteps, kOutputBytes / step);
    const int64_t blocks = (total + most - 1) / most;
    steps = (total + blocks - 1) / blocks;
    pairs = (steps * kTileDepth + largest_shift + 1) / 2 + 1;
    source_bytes = parities * pairs * kTileRowBytes;
  }

  int64_t inputs, outputs, taps, all_taps, largest_shift, parities;
  int64_t steps, pairs;  // of a block
  int64_t source_bytes;  // of B, one input
};

/** Tiles of B and what they and one or two of A add to. */
struct Column {
  const char* b;
  const float* c;
  float* to;
};

/** Bytes from one A to the next, floats from one C to the next; `begin`: C is nothing yet. */
struct Product {
  int64_t steps, a_block, c_block;
  bool begin;
  int64_t to_row;  // where C is stored: bytes from row to row
};

template <int outputs, int columns>
void product(const Product& p, const char* a, const Column* column, int64_t output, Prefetch& next, int lines) {
  constexpr int64_t row = kTileRowBytes;
  const float* c[2] = {column[0].c + output * p.c_block, column[columns - 1].c + output * p.c_block};
  float* to[2] = {column[0].to + output * p.c_block, column[columns - 1].to + output * p.c_block};
  const char* b[2] = {column[0].b, column[columns - 1].b};
  if (p.begin) {
    clear_tile<0>(), clear_tile<1>(), clear_tile<2>(), clear_tile<3>();
  } else {
    load_tile<0>(c[0], row);
    if constexpr (columns > 1) load_tile<1>(c[1], row);
    if constexpr (outputs > 1) load_tile<2>(c[0] + p.c_block, row);
    if constexpr (outputs > 1 && columns > 1) load_tile<3>(c[1] + p.c_block, row);
  }
  for (int64_t at = 0; at < p.steps * kTileBytes; at += kTileBytes) {
    load_tile<4>(a + at, row);
    load_tile<6>(b[0] + at, row);
    multiply_tiles<0, 4, 6>();
    if constexpr (outputs > 1) {
      load_tile<5>(a + p.a_block + at, row);
      multiply_tiles<2, 5, 6>();
    }
    if constexpr (columns > 1) {
      load_tile<7>(b[1] + at, row);
      multiply_tiles<1, 4, 7>();
      if constexpr (outputs > 1) multiply_tiles<3, 5, 7>();
    }
    next.lines(lines);
  }
  store_tile<0>(to[0], p.to_row);
  if constexpr (columns > 1) store_tile<1>(to[1], p.to_row);
  if constexpr (outputs > 1) store_tile<2>(to[0] + p.c_block, p.to_row);
  if constexpr (outputs > 1 && columns > 1) store_tile<3>(to[1] + p.c_block, p.to_row);
}

class Gradient {
 public:
  Gradient(const AmxGradientShape& s, const AmxGradientPart& part, void* scratch) : s_(s), part_(part), z_(s, part) {
    char* at = static_cast<char*>(scratch);
    a_ = at, at += z_.outputs * z_.steps * kTileBytes;
    b_ = at, at += 2 * z_.source_bytes;
    line_ = at, at += s.planar ? larger(2 * planar_line(s), kLineBytes) : kLineBytes;
    bytes = at - static_cast<char*>(scratch);
    // Neighbouring taps of one parity read the same lines: the even first.
    int count = 0;
    for (int parity = 0; parity < 2; parity++) {
      for (int tap = part.tap[0]; tap < part.tap[1]; tap++)
        if ((shift_of(s, tap) & 1) == parity) tap_[count++] = tap;
    }
  }

  void run(const uint16_t* src, const uint16_t* diff_dst, const AmxGradientSums& sums, float* weights, float* bias) {
    tiles_ = sums.tiles;
    float* total = bias ? bias : sums.bias;
    for (int64_t i = part_.output[0] * 16; total && i < part_.output[1] * 16; i++) total[i] = 0;
    const int groups = int(z_.inputs + 1) / 2;
    for (int64_t first = part_.step[0]; first < part_.step[1]; first += z_.steps) {
      const int64_t steps = smaller(z_.steps, part_.step[1] - first);
      for (int o = 0; o < z_.outputs; o++)
        pack_transposed(s_.diff_dst, s_, diff_dst + (part_.output[0] + o) * s_.diff_dst.plane, first, steps, line_,
                        a_ + o * z_.steps * kTileBytes, total ? total + (part_.output[0] + o) * 16 : nullptr);
      for (int g = 0; g < groups; g++) {
        pack_group(src, g, first, steps);
        Prefetch next;
        if (g + 1 < groups) expect_group(next, src, g + 1, first, steps);
        if (const int64_t after = first + steps; after < part_.step[1]) {
          const int64_t more = smaller(z_.steps, part_.step[1] - after);
          if (g + 1 == groups) expect_group(next, src, 0, after, more);
          for (int64_t o = z_.outputs * g / groups; o < z_.outputs * (g + 1) / groups; o++)
            next.expect(s_.diff_dst, s_, diff_dst + (part_.output[0] + o) * s_.diff_dst.plane, after * kTileDepth,
                        (after + more) * kTileDepth);
        }
        float* last = first + steps == part_.step[1] ? weights : nullptr;
        multiply(g, steps, first == part_.step[0], next, direct() ? last : nullptr);
        if (last && !direct()) write(g, last);
      }
    }
  }

  int64_t bytes;

 private:
  int in_group(int g) const { return smaller(2, int(z_.inputs) - 2 * g); }
  float* tile(int64_t output, int64_t input, int64_t tap) const {
    return tiles_ + ((output * s_.inputs + input) * z_.all_taps + tap) * kTileFloats;
  }

  void pack_group(const uint16_t* src, int g, int64_t first, int64_t steps) {
    for (int j = 0; j < in_group(g); j++) {
      const int input = part_.input[0] + 2 * g + j;
      char* to = b_ + j * z_.source_bytes;
      if (s_.planar)
        pack_taps(s_, src + input * s_.src.plane, first * kTileDepth, (first + steps) * kTileDepth + z_.largest_shift,
                  line_, to);
      else
        pack_pairs(s_.src, s_, src + input * s_.src.plane, first * kTileDepth, steps * kTileDepth + z_.largest_shift,
                   line_, to, z_.parities > 1 ? to + z_.pairs * kTileRowBytes : nullptr);
    }
  }

  void expect_group(Prefetch& next, const uint16_t* src, int g, int64_t first, int64_t steps) const {
    for (int j = 0; !s_.planar && j < in_group(g); j++)
      next.expect(s_.src, s_, src + (part_.input[0] + 2 * g + j) * s_.src.plane, first * kTileDepth,
                  (first + steps) * kTileDepth + z_.largest_shift);
  }

  /** C of one tap is the weights' gradient as it is, row by row. */
  bool direct() const { return z_.all_taps == 1 && !s_.planar; }

  /** `to`: the weights' gradient, where C goes at last; or null. */
  void multiply(int g, int64_t steps, bool begin, Prefetch& next, float* to) {
    Column columns[2 * kMaxTaps];
    int count = 0;
    for (int j = 0; j < in_group(g); j++) {
      for (int t = 0; t < z_.taps; t++) {
        const int64_t by = shift_of(s_, tap_[t]), input = part_.input[0] + 2 * g + j;
        float* c = tile(part_.output[0], input, tap_[t]);
        columns[count++] = {b_ + j * z_.source_bytes + ((by & 1) * z_.pairs + by / 2) * kTileRowBytes, c,
                            to ? to + (part_.output[0] * 16 * s_.inputs + input) * 16 : c};
      }
    }
    const int64_t block = s_.inputs * z_.all_taps * kTileFloats;  // of the gradient, too
    const Product p = {steps, z_.steps * kTileBytes, block, begin, to ? s_.inputs * kTileRowBytes : kTileRowBytes};
    const int64_t iterations = (z_.outputs + 1) / 2 * ((count + 1) / 2) * steps;
    const int lines = int(smaller((next.total + iterations - 1) / iterations, int64_t(kMostLines)));
    for (int j = 0; j < count; j += 2) {
      const bool two = j + 1 < count;
      for (int64_t o = 0; o < z_.outputs; o += 2) {
        const char* a = a_ + o * p.a_block;
        if (o + 1 < z_.outputs)
          (two ? product<2, 2> : product<2, 1>)(p, a, columns + j, o, next, lines);
        else
          (two ? product<1, 2> : product<1, 1>)(p, a, columns + j, o, next, lines);
      }
    }
  }

  void write(int g, float* weights) const {
    for (int j = 0; j < in_group(g); j++) {
      const int input = part_.input[0] + 2 * g + j;
      for (int o = part_.output[0]; o < part_.output[1]; o++)
        write_tiles(s_, tile(o, input, part_.tap[0]), o, input, part_.tap[0], int(z_.taps), weights);
    }
  }

  const AmxGradientShape& s_;
  const AmxGradientPart& part_;
  const Sizes z_;
  char *a_, *b_, *line_;
  float* tiles_;
  int tap_[kMaxTaps];
};

}  // namespace

int64_t amx_gradient_scratch(const AmxGradientShape& s, const AmxGradientPart& part) {
  return Gradient(s, part, nullptr).bytes;
}

void amx_gradient(const AmxGradientShape& s, const AmxGradientPart& part, const uint16_t* src, const uint16_t* diff_dst,
                  const AmxGradientSums& sums, float* weights, float* bias, void* scratch) {
  TileConfig config;
  for (int tile = 0; tile < 8; tile++) set_tile(config, tile, kTileRows);
  configure_tiles(config);
  Gradient(s, part, scratch).run(src, diff_dst, sums, weights, bias);
  release_tiles();
}

void amx_gradient_add(const AmxGradientShape& s, const AmxGradientSums* sums, int count, int first, int last,
                      float* weights, float* bias) {
  const int taps = int(taps_of(s));
  for (int64_t o = first; o < last; o++) {
    for (int i = 0; i < s.inputs; i++) {
      float* total = sums[0].tiles + (o * s.inputs + i) * taps * kTileFloats;
      const int64_t apart = total - sums[0].tiles;
      for (int64_t at = 0; at < taps * kTileFloats; at += B) {
        Vec sum = load(total + at);
        for (int k = 1; k < count; k++) sum = add(sum, load(sums[k].tiles + apart + at));
        store(total + at, sum);
      }
      write_tiles(s, total, int(o), i, 0, taps, weights);
    }
    if (!bias) continue;
    Vec sum = load(sums[0].bias + o * 16);
    for (int k = 1; k < count; k++) sum = add(sum, load(sums[k].bias + o * 16));
    store(bias + o * 16, sum);
  }
}

}  // namespace googlenet::cpu::avx512_bf16
