#include "vitrail/data/image/jpeg_turbo.h"

#include "vitrail/core/error.h"

#ifdef VITRAIL_TURBO
#include "vitrail/data/image/damage.h"
#include "vitrail/data/image/jpeg_check.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>
// These need <cstdio> before them.
#include <jpeglib.h>
//
#include <jerror.h>
#endif

namespace vitrail::data {
namespace testing {
JpegDecoder jpeg_decoder = built_jpeg_decoder();
}

#ifndef VITRAIL_TURBO

JpegDecoder built_jpeg_decoder() { return JpegDecoder::stb; }
std::string_view name_of(JpegDecoder) { return "stb_image"; }
ImagePart decode_by_turbo(std::span<const std::byte>, ImageSize, const PartRequest&) {
  fail<IoError>("decode_image", "Vitrail was built without libjpeg-turbo");
}

#else

#define VITRAIL_TEXT_OF(x) #x
#define VITRAIL_TEXT(x) VITRAIL_TEXT_OF(x)

JpegDecoder built_jpeg_decoder() { return JpegDecoder::turbo; }
std::string_view name_of(JpegDecoder decoder) {
  return decoder == JpegDecoder::turbo ? "libjpeg-turbo " VITRAIL_TEXT(LIBJPEG_TURBO_VERSION) : "stb_image";
}

namespace {

/// The library reports errors by a callback that must not return, and warnings by another one. Both jump to the last
/// setjmp. Between it and the jump are frames of C, and one function of ours without objects that need a destructor.
struct TurboErrors {
  jpeg_error_mgr manager{};  // the library knows the address of this member
  std::jmp_buf escape{};
};

[[noreturn]] void escape(j_common_ptr info) { std::longjmp(reinterpret_cast<TurboErrors*>(info->err)->escape, 1); }

/// Bytes that belong to nothing, an odd version and an odd mark change no pixel. All other warnings are damage.
void judge_warning(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM) escape(info);
}

// The file in memory. Behind its last byte the decoder finds an end marker: a complete image may lack its own.
constexpr JOCTET kEndMarker[] = {0xff, JPEG_EOI};

boolean feed_end(j_decompress_ptr info) {
  info->src->next_input_byte = kEndMarker;
  info->src->bytes_in_buffer = sizeof kEndMarker;
  return TRUE;
}

void skip_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (size_t(count) > info->src->bytes_in_buffer) {
    feed_end(info);
    return;
  }
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= size_t(count);
}

void no_action(j_decompress_ptr) {}

/// The library's decoder. Functions that return false leave a failure() behind, and only the destructor may follow.
class TurboReader {
 public:
  explicit TurboReader(std::span<const std::byte> file) {
    info_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = escape;
    errors_.manager.emit_message = judge_warning;
    source_.init_source = no_action;
    source_.fill_input_buffer = feed_end;
    source_.skip_input_data = skip_bytes;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = no_action;
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
    source_.bytes_in_buffer = file.size();
  }
  ~TurboReader() { jpeg_destroy_decompress(&info_); }
  TurboReader(const TurboReader&) = delete;
  TurboReader& operator=(const TurboReader&) = delete;

  /// Reads the header. Each output pixel stands for shrink x shrink.
  [[gnu::noinline]] bool start(int64_t shrink, int64_t memory) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.src = &source_;
    info_.mem->max_memory_to_use = memory;
    jpeg_read_header(&info_, TRUE);
    info_.out_color_space = info_.num_components == 4 ? JCS_CMYK : JCS_RGB;
    info_.scale_num = 1;
    info_.scale_denom = unsigned(shrink);
    jpeg_start_decompress(&info_);
    return true;
  }
  /// Leaves the columns outside of [first, first + count) out, but a few. Returns those that are kept.
  [[gnu::noinline]] bool keep_columns(JDIMENSION& first, JDIMENSION& count) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_crop_scanline(&info_, &first, &count);
    return true;
  }
  [[gnu::noinline]] bool skip_rows(JDIMENSION count) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_skip_scanlines(&info_, count);
    return true;
  }
  /// row: output_width() x channels() bytes.
  [[gnu::noinline]] bool read_row(JSAMPLE* row) {
    if (setjmp(errors_.escape) != 0) return false;
    return jpeg_read_scanlines(&info_, &row, 1) == 1;
  }

  ImageSize output() const { return {int64_t(info_.output_height), int64_t(info_.output_width)}; }
  ImageSize stored() const { return {int64_t(info_.image_height), int64_t(info_.image_width)}; }
  int64_t channels() const { return info_.output_components; }
  bool is_out_of_memory() const { return errors_.manager.msg_code == JERR_OUT_OF_MEMORY; }
  std::string_view failure() {
    (*errors_.manager.format_message)(reinterpret_cast<j_common_ptr>(&info_), message_.data());
    return message_.data();
  }

 private:
  TurboErrors errors_;
  jpeg_source_mgr source_{};
  jpeg_decompress_struct info_{};
  std::array<char, JMSG_LENGTH_MAX> message_{};
};

/// a / 255, rounded, for a up to 255 * 255.
int of_255(int a) { return (a + 128 + ((a + 128) >> 8)) >> 8; }

/// Ink is stored inverted, as Adobe does and as Pillow assumes.
void cmyk_to_rgb(const JSAMPLE* from, uint8_t* to, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i, from += 4)
    for (int64_t c = 0; c < 3; ++c) *to++ = uint8_t(of_255(from[c] * from[3]));
}

[[noreturn]] void fail_damaged(std::span<const std::byte> file, TurboReader& reader) {
  check<OutOfMemory>(!reader.is_out_of_memory(), "decode_image", "no memory to decode the JPEG");
  check_jpeg(file);  // it knows more of where the damage is
  fail<IoError>("decode_image", "the file is damaged: {} says: {}", name_of(JpegDecoder::turbo), reader.failure());
}

}  // namespace

ImagePart decode_by_turbo(std::span<const std::byte> file, ImageSize size, const PartRequest& request) {
  file = file.first(check_jpeg_headers(file));
  TurboReader reader(file);
  // Enough for the coefficients of a progressive image, as the most that the library keeps.
  const int64_t memory = (int64_t{16} << 20) + 32 * size.height * size.width;
  if (!reader.start(request.shrink, memory)) fail_damaged(file, reader);
  check<IoError>(reader.stored() == size, "decode_image", "the header says {}, the image is {}", size, reader.stored());

  const ImageSize all = reader.output();
  const auto [box_top, box_left, box_height, box_width] = request.box;
  const int64_t shrink = request.shrink, top = box_top / shrink, left = box_left / shrink;
  const int64_t height = std::min((box_top + box_height + shrink - 1) / shrink, all.height) - top;
  const int64_t width = std::min((box_left + box_width + shrink - 1) / shrink, all.width) - left;
  ImagePart part;
  part.whole = size;
  part.pixels = Image(height, width);
  part.top = top * shrink;
  part.left = left * shrink;
  part.shrink = shrink;

  // Colours of a column depend on the columns beside it.
  constexpr int64_t kBeside = 2;
  const int64_t from = std::max(left - kBeside, int64_t{0}), to = std::min(left + width + kBeside, all.width);
  JDIMENSION first = JDIMENSION(from), count = JDIMENSION(to - from);
  if (to - from < all.width && !reader.keep_columns(first, count)) fail_damaged(file, reader);
  if (top > 0 && !reader.skip_rows(JDIMENSION(top))) fail_damaged(file, reader);

  const int64_t channels = reader.channels(), before = left - int64_t(first);
  const int64_t decoded = reader.output().width;
  const bool in_place = channels == 3 && decoded == width;
  std::vector<JSAMPLE> row(in_place ? 0 : size_t(decoded * channels));
  for (int64_t y = 0; y < height; ++y) {
    uint8_t* const pixels = part.pixels.at(y, 0);
    if (!reader.read_row(in_place ? pixels : row.data())) fail_damaged(file, reader);
    if (channels == 4)
      cmyk_to_rgb(row.data() + before * 4, pixels, width);
    else if (!in_place)
      std::memcpy(pixels, row.data() + before * 3, size_t(width * 3));
  }
  return part;
}

#endif

}  // namespace vitrail::data
