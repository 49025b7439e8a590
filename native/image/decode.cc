// libjpeg reports errors through longjmp. Each stretch of libjpeg calls runs inside State::guarded(), whose frame and
// whose bodies hold nothing that needs a destructor; the jump ends there and becomes a C++ exception.
#include "image/decode.h"

#include <csetjmp>
#include <cstdio>
// libjpeg's headers need size_t and FILE before them.
#include <jpeglib.h>
// jerror.h needs jpeglib.h's configuration.
#include <jerror.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "core/status.h"

namespace googlenet {
namespace {

// A progressive file may hold any number of scans over all of its pixels: a few kilobytes would keep a core busy for
// minutes. Real encoders write about ten (libjpeg-turbo's own tools offer the same limit).
constexpr int kMaxScans = 200;

// One more column and row on each side, since smooth upsampling looks at its neighbours.
constexpr int kMargin = 2;

/** product / 255, rounded, for product in [0, 255 * 255]. */
inline uint8_t over255(int product) {
  const int t = product + 128;
  return uint8_t((t + (t >> 8)) >> 8);
}

/** Adobe writes CMYK inverted (255 = no ink) and says so with its marker; others write ink. */
void cmyk_to_rgb(const uint8_t* src, int width, bool inverted, uint8_t* dst) {
  const int flip = inverted ? 0 : 255;
  for (int x = 0; x < width; x++, src += 4, dst += 3) {
    const int light = src[3] ^ flip;
    dst[0] = over255((src[0] ^ flip) * light);
    dst[1] = over255((src[1] ^ flip) * light);
    dst[2] = over255((src[2] ^ flip) * light);
  }
}

/** False where the file's tail is not an end marker, perhaps padded: then it may have been cut off. */
bool ends_with_marker(const uint8_t* data, size_t size) {
  while (size > 2 && data[size - 1] == 0) size--;
  return size > 2 && data[size - 2] == 0xFF && data[size - 1] == JPEG_EOI;
}

}  // namespace

bool looks_like_jpeg(const uint8_t* data, size_t size) {
  return size >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF;
}

struct JpegDecoder::State {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  Code code;
  const std::atomic<bool>* stop;
  bool complete;  // ends with an end marker
  ByteBuffer line, pixels;

  static State& of(j_common_ptr common) { return *static_cast<State*>(common->client_data); }

  [[noreturn]] void fail(Code what) {
    code = what;
    std::longjmp(jump, 1);
  }
  static void on_error(j_common_ptr common) {
    State& state = of(common);
    common->err->format_message(common, state.message);
    state.fail(common->err->msg_code == JERR_OUT_OF_MEMORY ? Code::OUT_OF_MEMORY : Code::IMAGE_DECODE);
  }
  static void on_message(j_common_ptr common, int level) {
    if (level >= 0) return;
    switch (common->err->msg_code) {
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
#if JPEG_LIB_VERSION >= 70 || defined(C_ARITH_CODING_SUPPORTED) || defined(D_ARITH_CODING_SUPPORTED)
      case JWRN_ARITH_BAD_CODE:
#endif
      case JWRN_JPEG_EOF:
      case JWRN_MUST_RESYNC:
      case JWRN_BOGUS_PROGRESSION: on_error(common); break;
      default:  // stray bytes between segments, odd headers: the pixels are whole
        break;
    }
  }
  static void on_progress(j_common_ptr common) {
    State& state = of(common);
    if (state.stop && state.stop->load(std::memory_order_relaxed)) {
      std::strcpy(state.message, "stopped");
      state.fail(Code::DISPOSED);
    }
    if (state.info.input_scan_number > kMaxScans) {
      std::snprintf(state.message, sizeof state.message, "more than %d scans", kMaxScans);
      state.fail(Code::IMAGE_DECODE);
    }
  }

  // Not inlined: a function that calls setjmp must not share a frame with objects that have destructors.
  template <class Body>
  __attribute__((noinline)) void guarded(const Body& body) {
    if (setjmp(jump)) {
      jpeg_abort_decompress(&info);
      throw Failure(code, message);
    }
    body();
  }

  void choose_output() {
    switch (info.jpeg_color_space) {
      case JCS_CMYK:
      case JCS_YCCK: info.out_color_space = JCS_CMYK; break;
      default:  // libjpeg refuses what it cannot convert ("Unsupported color conversion request")
        info.out_color_space = JCS_RGB;
        break;
    }
    info.dct_method = JDCT_ISLOW;
    info.do_fancy_upsampling = TRUE;
  }

  /** The next `rows` rows of output_width pixels; cmyk is one row of scratch for four-channel files. */
  void read_rows(int rows, uint8_t* dst, uint8_t* cmyk) {
    const size_t stride = size_t(info.output_width) * 3;
    if (info.out_color_space == JCS_CMYK) {
      for (int y = 0; y < rows; y++) {
        jpeg_read_scanlines(&info, &cmyk, 1);
        cmyk_to_rgb(cmyk, int(info.output_width), info.saw_Adobe_marker, dst + y * stride);
      }
      return;
    }
    constexpr int kGroup = 16;
    JSAMPROW group[kGroup];
    for (int y = 0; y < rows;) {
      const int count = std::min(kGroup, rows - y);
      for (int i = 0; i < count; i++) group[i] = dst + (y + i) * stride;
      y += int(jpeg_read_scanlines(&info, group, JDIMENSION(count)));
    }
  }

  uint8_t* scratch_row() {
    return info.num_components == 4 ? line.reserve(size_t(info.image_width) * 4 + 64) : nullptr;
  }
};

JpegDecoder::JpegDecoder(const std::atomic<bool>* stop) : state_(new State) {
  State& s = *state_;
  s.stop = stop;
  s.code = Code::INTERNAL;
  s.info.err = jpeg_std_error(&s.errors);
  s.info.client_data = &s;
  s.errors.error_exit = State::on_error;
  s.errors.emit_message = State::on_message;
  if (setjmp(s.jump)) throw Failure(s.code, s.message);
  jpeg_create_decompress(&s.info);
  std::memset(&s.progress, 0, sizeof s.progress);
  s.progress.progress_monitor = State::on_progress;
  s.info.progress = &s.progress;
}

JpegDecoder::~JpegDecoder() { jpeg_destroy_decompress(&state_->info); }

void JpegDecoder::open(const uint8_t* data, size_t size) {
  State& s = *state_;
  jpeg_abort_decompress(&s.info);
  if (size == 0) throw Failure(Code::IMAGE_DECODE, "the file is empty");
  if (!looks_like_jpeg(data, size)) {
    char begin[48] = "";
    for (size_t i = 0; i < std::min<size_t>(size, 4); i++) std::snprintf(begin + i * 3, 4, " %02x", data[i]);
    throw Failure(Code::UNSUPPORTED, std::string("not a JPEG: it begins with") + begin);
  }
  s.complete = ends_with_marker(data, size);
  s.guarded([&] {
    jpeg_mem_src(&s.info, data, static_cast<unsigned long>(size));
    jpeg_read_header(&s.info, TRUE);
    s.choose_output();
  });
  if (int64_t(width()) * height() > kMaxPixels) {
    const std::string dims = std::to_string(width()) + "x" + std::to_string(height());
    jpeg_abort_decompress(&s.info);
    throw Failure(Code::IMAGE_DECODE, dims + " pixels; at most " + std::to_string(kMaxPixels) + " are decoded");
  }
}

int JpegDecoder::width() const { return int(state_->info.image_width); }
int JpegDecoder::height() const { return int(state_->info.image_height); }

void JpegDecoder::decode_all(uint8_t* dst) {
  State& s = *state_;
  uint8_t* cmyk = s.scratch_row();
  s.guarded([&] {
    jpeg_start_decompress(&s.info);
    s.read_rows(int(s.info.output_height), dst, cmyk);
    jpeg_finish_decompress(&s.info);
  });
}

Pixels JpegDecoder::decode_region(const Region& region, int denominator) {
  State& s = *state_;
  uint8_t* cmyk = s.scratch_row();
  Region part{};
  s.guarded([&] {
    s.info.scale_num = 1;
    s.info.scale_denom = unsigned(denominator);
    jpeg_start_decompress(&s.info);
    const int full_width = int(s.info.output_width), full_height = int(s.info.output_height);
    const int left = std::max(0, region.x / denominator - kMargin);
    const int top = std::max(0, region.y / denominator - kMargin);
    const int right = std::min(full_width, (region.x + region.width + denominator - 1) / denominator + kMargin);
    const int bottom = std::min(full_height, (region.y + region.height + denominator - 1) / denominator + kMargin);
    JDIMENSION x = JDIMENSION(left), w = JDIMENSION(right - left);
    // libjpeg moves the left edge to a block boundary and widens the crop accordingly.
    if (left > 0 || right < full_width) jpeg_crop_scanline(&s.info, &x, &w);
    part = Region{int(x), top, int(w), bottom - top};
  });
  uint8_t* dst = s.pixels.reserve(size_t(part.width) * size_t(part.height) * 3);
  s.guarded([&] {
    if (part.y > 0) jpeg_skip_scanlines(&s.info, JDIMENSION(part.y));
    s.read_rows(part.height, dst, cmyk);
    if (s.complete) {
      jpeg_abort_decompress(&s.info);
    } else {
      const JDIMENSION rest = s.info.output_height - s.info.output_scanline;
      if (rest > 0) jpeg_skip_scanlines(&s.info, rest);
      jpeg_finish_decompress(&s.info);
    }
  });
  return Pixels{dst, part};
}

}  // namespace googlenet
