#include "vitrail/data/image/jpeg_check.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/damage.h"
#include "vitrail/data/image/jpeg_segments.h"
#include "vitrail/data/io/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::data {
namespace {

constexpr int kCoefficients = 64;
constexpr int kUnsent = 127;  // as a precision
constexpr size_t kMarkerBytes = 2;
constexpr int kMostScans = 256;  // real files have about ten

int byte_at(ByteSpan bytes, size_t at) { return int(bytes[at]); }

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// ---- the frame ------------------------------------------------------------------------------------------------------

struct JpegComponent {
  int id = 0, h = 1, v = 1;  // sampling factors
  size_t quantization = 0;   // number of its table
  ImageSize blocks;          // that the image needs
  ImageSize padded;          // with those that complete the last units of interleaved scans
  // For each coefficient the lowest bit that a scan has sent.
  std::array<int8_t, kCoefficients> precision{};
  std::vector<uint64_t> nonzero{};  // of each padded block, a bit for each coefficient; only in progressive files
};

struct JpegFrame {
  ImageSize size;
  bool progressive = false;
  ImageSize units;  // of an interleaved scan
  std::vector<JpegComponent> components;
};

bool is_frame(uint8_t marker) {
  constexpr uint8_t kJpegExtension = 0xc8, kArithmeticTables = 0xcc;
  return marker >= 0xc0 && marker <= 0xcf && marker != jpeg_marker::kHuffman && marker != kJpegExtension &&
         marker != kArithmeticTables;
}

/// Throws for the kinds of frames that are not read.
void expect_known_kind(uint8_t marker) {
  const auto refuse = [](std::string_view kind) {
    fail<IoError>("decode_image", "the file is a JPEG with {}, which is not read; save it as an ordinary JPEG", kind);
  };
  if (marker >= 0xc9) refuse("arithmetic coding");
  if (marker >= 0xc5) refuse("a hierarchy of frames");
  if (marker == 0xc3) refuse("lossless coding");
}

JpegFrame parse_frame(const JpegSegment& segment) {
  expect_known_kind(segment.marker);
  const ByteSpan header = segment.payload;
  constexpr size_t kFixed = 6, kEach = 3;
  check_undamaged(header.size() >= kFixed, "its frame header is too short");
  check<IoError>(byte_at(header, 0) == 8, "decode_image", "the file is a JPEG with {} bits a sample; 8 are read",
                 byte_at(header, 0));
  JpegFrame frame;
  frame.progressive = segment.marker == 0xc2;
  frame.size = {int64_t(*read_uint(header, 1, 2, ByteOrder::big)), int64_t(*read_uint(header, 3, 2, ByteOrder::big))};
  const size_t count = size_t(header[5]);
  check_undamaged(header.size() == kFixed + kEach * count, "its frame header has a wrong length");
  check<IoError>(count == 1 || count == 3 || count == 4, "decode_image",
                 "the file is a JPEG with {} components; 1, 3 and 4 are read", count);
  check<IoError>(frame.size.height > 0 || frame.size.width == 0, "decode_image",
                 "the file is a JPEG without a height in its header, which is not read");
  int h_max = 1, v_max = 1;
  for (size_t i = 0; i < count; ++i) {
    const ByteSpan part = header.subspan(kFixed + kEach * i, kEach);
    JpegComponent c;
    c.id = byte_at(part, 0);
    c.h = byte_at(part, 1) >> 4;
    c.v = byte_at(part, 1) & 15;
    c.quantization = size_t(part[2]);
    check_undamaged(c.h >= 1 && c.h <= 4 && c.v >= 1 && c.v <= 4, "component {} has sampling factors {} x {}", i + 1,
                    c.h, c.v);
    c.precision.fill(kUnsent);
    h_max = std::max(h_max, c.h);
    v_max = std::max(v_max, c.v);
    frame.components.push_back(std::move(c));
  }
  frame.units = {ceil_div(frame.size.height, 8 * v_max), ceil_div(frame.size.width, 8 * h_max)};
  for (JpegComponent& c : frame.components) {
    c.blocks = {ceil_div(ceil_div(frame.size.height * c.v, v_max), 8),
                ceil_div(ceil_div(frame.size.width * c.h, h_max), 8)};
    c.padded = {frame.units.height * c.v, frame.units.width * c.h};
  }
  return frame;
}

// ---- codes ----------------------------------------------------------------------------------------------------------

class HuffmanTable {
 public:
  struct Code {
    uint8_t length = 0;  // 0: no code begins so
    uint8_t symbol = 0;
  };

  /// counts: of the codes of 1 to 16 bits. Returns nothing if there are more codes than so many bits allow.
  static std::optional<HuffmanTable> build(ByteSpan counts, ByteSpan symbols) {
    HuffmanTable table;
    int code = 0;
    size_t used = 0;
    for (int length = 1; length <= kLongest; ++length, code <<= 1) {
      const int count = byte_at(counts, size_t(length) - 1);
      if (code + count > (1 << length)) return std::nullopt;
      table.offset_[size_t(length)] = int(used) - code;
      for (int i = 0; i < count; ++i, ++code, ++used) {
        table.symbols_[used] = uint8_t(symbols[used]);
        if (length > kQuick) continue;
        const auto first = table.quick_.begin() + (code << (kQuick - length));
        std::fill(first, first + (1 << (kQuick - length)), Code{uint8_t(length), uint8_t(symbols[used])});
      }
      table.limit_[size_t(length)] = code;
    }
    return table;
  }

  /// The code that the 16 bits begin with.
  Code find(uint32_t bits) const {
    const Code quick = quick_[bits >> (kLongest - kQuick)];
    if (quick.length > 0) return quick;
    for (int length = kQuick + 1; length <= kLongest; ++length) {
      const int code = int(bits >> (kLongest - length));
      if (code < limit_[size_t(length)])
        return {uint8_t(length), symbols_[size_t(int64_t(code) + offset_[size_t(length)])]};
    }
    return {};
  }

 private:
  static constexpr int kLongest = 16, kQuick = 12;

  std::array<Code, 1 << kQuick> quick_{};
  std::array<int, kLongest + 1> limit_{}, offset_{};  // by length: the code after the last one; symbol minus code
  std::array<uint8_t, 256> symbols_{};
};

/// The bits of one restart interval, the highest of each byte first.
class JpegBits {
 public:
  /// Bytes that the caller leaves readable after the interval: more than a block's codes can be long.
  static constexpr size_t kPadding = 1024;

  void start(const uint8_t* bytes, size_t size) {
    begin_ = at_ = bytes;
    size_ = int64_t(size);
    bits_ = 0;
    count_ = 0;
  }
  /// The symbol of the next code; -1 if it is no code.
  int symbol(const HuffmanTable& table) {
    if (count_ < 32) refill();
    const HuffmanTable::Code code = table.find(uint32_t(bits_ >> 48));
    if (code.length == 0) return -1;
    drop(code.length);
    return code.symbol;
  }
  /// Up to 16 bits, right after a symbol.
  void drop(int count) {
    bits_ <<= count;
    count_ -= count;
  }
  uint32_t take(int count) {
    if (count_ < 32) refill();
    const uint32_t value = count == 0 ? 0 : uint32_t(bits_ >> (64 - count));
    drop(count);
    return value;
  }
  /// Any number of bits.
  void skip(int count) {
    for (; count > 32; count -= 32) take(32);
    take(count);
  }
  bool past_end() const { return 8 * (at_ - begin_ - size_) > count_; }

 private:
  /// At least 56 bits are then there.
  void refill() {
    uint64_t next;
    std::memcpy(&next, at_, sizeof next);
    if constexpr (std::endian::native == std::endian::little) next = __builtin_bswap64(next);
    bits_ |= next >> count_;
    at_ += (63 - count_) >> 3;
    count_ |= 56;
  }

  const uint8_t* begin_ = nullptr;
  const uint8_t* at_ = nullptr;
  int64_t size_ = 0;
  uint64_t bits_ = 0;
  int count_ = 0;
};

// ---- scans ----------------------------------------------------------------------------------------------------------

struct JpegScan {
  struct Part {
    JpegComponent* component = nullptr;
    const HuffmanTable* dc = nullptr;
    const HuffmanTable* ac = nullptr;
  };
  std::vector<Part> parts;
  int first = 0, last = kCoefficients - 1;  // coefficients
  int high = 0, low = 0;                    // bits: refined from, sent down to
};

/// The codes of one block. Each function returns false if the bits are no codes.
class JpegBlocks {
 public:
  JpegBlocks(const JpegScan& scan, bool progressive) : scan_(scan), progressive_(progressive) {}

  JpegBits& bits() { return bits_; }
  void restart() { blocks_at_end_ = 0; }
  /// nonzero: of the block; null in sequential files.
  bool read(const JpegScan::Part& part, uint64_t* nonzero) {
    if (!progressive_) return dc_first(part) && ac_sequential(part);
    if (scan_.first == 0) {
      if (scan_.high == 0) return dc_first(part);
      bits_.skip(1);
      return true;
    }
    return scan_.high == 0 ? ac_first(part, *nonzero) : ac_refined(part, *nonzero);
  }

 private:
  bool dc_first(const JpegScan::Part& part) {
    const int size = bits_.symbol(*part.dc);
    if (size < 0 || size > 15) return false;
    bits_.drop(size);
    return true;
  }
  bool ac_sequential(const JpegScan::Part& part) {
    JpegBits bits = bits_;  // a copy stays in registers
    int k = 1;
    while (k < kCoefficients) {
      const int symbol = bits.symbol(*part.ac);
      if (symbol < 0) return false;
      const int run = symbol >> 4, size = symbol & 15;
      if (size == 0 && run < 15) {  // the rest of the block is zero
        k = kCoefficients;
        break;
      }
      k += run + 1;
      bits.drop(size);
    }
    bits_ = bits;
    return k == kCoefficients;
  }
  /// Blocks that end here, this one included, by the symbol for such a run.
  void end_blocks(int symbol) { blocks_at_end_ = (1 << (symbol >> 4)) + int64_t(bits_.take(symbol >> 4)); }

  bool ac_first(const JpegScan::Part& part, uint64_t& nonzero) {
    int k = scan_.first;
    while (blocks_at_end_ == 0 && k <= scan_.last) {
      const int symbol = bits_.symbol(*part.ac);
      if (symbol < 0) return false;
      const int run = symbol >> 4, size = symbol & 15;
      if (size == 0 && run < 15) {
        end_blocks(symbol);
        break;
      }
      k += run + 1;
      if (k > scan_.last + 1) return false;
      bits_.drop(size);
      if (size > 0) nonzero |= uint64_t{1} << (k - 1);
    }
    if (blocks_at_end_ > 0) --blocks_at_end_;
    return true;
  }
  /// A bit for each coefficient that is not zero already; between them, codes for those that become so.
  bool ac_refined(const JpegScan::Part& part, uint64_t& nonzero) {
    int k = scan_.first;
    while (blocks_at_end_ == 0 && k <= scan_.last) {
      const int symbol = bits_.symbol(*part.ac);
      const int size = symbol & 15;
      if (symbol < 0 || size > 1) return false;
      int zeros = symbol >> 4;
      if (size == 0 && zeros < 15) {
        end_blocks(symbol);
        break;
      }
      bits_.drop(size);  // the sign
      int corrections = 0;
      for (; k <= scan_.last; ++k) {
        if ((nonzero >> k & 1) != 0)
          ++corrections;
        else if (zeros-- == 0)
          break;
      }
      bits_.skip(corrections);
      if (k > scan_.last) return false;
      if (size > 0) nonzero |= uint64_t{1} << k;
      ++k;
    }
    if (blocks_at_end_ > 0) {
      int corrections = 0;
      for (; k <= scan_.last; ++k) corrections += int(nonzero >> k & 1);
      bits_.skip(corrections);
      --blocks_at_end_;
    }
    return true;
  }

  const JpegScan& scan_;
  bool progressive_;
  JpegBits bits_;
  int64_t blocks_at_end_ = 0;
};

/// The data of a scan, one restart interval after another.
class JpegIntervals {
 public:
  JpegIntervals(ByteSpan file, size_t at) : file_(file), at_(at) {}

  /// Makes the next interval the content of bits. The zeros that fill its bytes are left out.
  void next(JpegBits& bits) {
    bytes_.clear();
    while (true) {
      const auto* const found =
          static_cast<const std::byte*>(std::memchr(file_.data() + at_, 0xff, file_.size() - at_));
      const size_t stop = found ? size_t(found - file_.data()) : file_.size();
      const auto* const from = reinterpret_cast<const uint8_t*>(file_.data());
      bytes_.insert(bytes_.end(), from + at_, from + stop);
      at_ = stop;
      if (at_ + 1 >= file_.size() || (file_[at_ + 1] != std::byte{0x00} && file_[at_ + 1] != std::byte{0xff})) break;
      if (file_[at_ + 1] == std::byte{0x00}) {
        bytes_.push_back(0xff);
        ++at_;
      }
      ++at_;
    }
    const size_t size = bytes_.size();
    bytes_.resize(size + JpegBits::kPadding);
    bits.start(bytes_.data(), size);
  }
  /// Steps over the restart marker with that number. Returns false if the data goes on otherwise.
  bool skip_restart(int64_t number) {
    if (at_ + 1 >= file_.size() || uint8_t(file_[at_ + 1]) != 0xd0 + number % 8) return false;
    at_ += 2;
    return true;
  }
  bool at_file_end() const { return at_ + 1 >= file_.size(); }
  size_t offset() const { return at_; }

 private:
  ByteSpan file_;
  size_t at_;
  std::vector<uint8_t> bytes_;
};

// ---- the file -------------------------------------------------------------------------------------------------------

class JpegChecker {
 public:
  /// reads_codes: of the scans; otherwise their headers alone are checked.
  JpegChecker(ByteSpan file, bool reads_codes) : file_(file), reads_codes_(reads_codes) {}

  size_t run() {
    size_t at = 2;
    while (const auto segment = next_segment(file_, at)) {
      at = segment->end;
      switch (segment->marker) {
        case jpeg_marker::kEnd:
          expect_complete();
          return at - kMarkerBytes;
        case jpeg_marker::kQuantization:
          read_quantization(segment->payload);
          break;
        case jpeg_marker::kHuffman:
          read_huffman(segment->payload);
          break;
        case jpeg_marker::kRestartInterval:
          check_undamaged(segment->payload.size() == 2, "its restart interval is invalid");
          restart_interval_ = int64_t(*read_uint(segment->payload, 0, 2, ByteOrder::big));
          break;
        case jpeg_marker::kScan:
          at = read_scan(segment->payload, at);
          if (!reads_codes_ && has_one_scan()) return file_.size();  // no decoder reads further
          break;
        default:
          if (!is_frame(segment->marker)) break;
          check_undamaged(!frame_.has_value(), "it has two frame headers");
          frame_ = parse_frame(*segment);
          if (frame_->progressive && reads_codes_)
            for (JpegComponent& c : frame_->components) c.nonzero.resize(size_t(c.padded.height * c.padded.width));
      }
    }
    check<IoError>(frame_.has_value() && !missing(), "decode_image", "the file is truncated: its end is missing");
    return reads_codes_ ? at : scan_end(file_, at);
  }

 private:
  void read_quantization(ByteSpan tables) {
    while (!tables.empty()) {
      const int precision = byte_at(tables, 0) >> 4, number = byte_at(tables, 0) & 15;
      const size_t size = precision == 0 ? 1 + kCoefficients : 1 + 2 * kCoefficients;
      check_undamaged(precision <= 1 && number < 4 && tables.size() >= size, "its quantisation tables are invalid");
      has_quantization_[size_t(number)] = true;
      tables = tables.subspan(size);
    }
  }

  // Tables one after the other: a byte, how many codes there are of 1 to 16 bits, and a byte for each code.
  void read_huffman(ByteSpan tables) {
    constexpr size_t kHeader = 17;
    while (!tables.empty()) {
      const int kind = byte_at(tables, 0) >> 4, number = byte_at(tables, 0) & 15;
      size_t codes = 0;
      for (size_t i = 1; i < std::min(kHeader, tables.size()); ++i) codes += size_t(tables[i]);
      check_undamaged(kind <= 1 && number < 4 && codes <= 256 && tables.size() >= kHeader + codes,
                      "its Huffman tables are invalid");
      auto& table = (kind == 0 ? dc_ : ac_)[size_t(number)];
      table = HuffmanTable::build(tables.subspan(1, kHeader - 1), tables.subspan(kHeader, codes));
      check_undamaged(table.has_value(), "its Huffman tables are invalid");
      tables = tables.subspan(kHeader + codes);
    }
  }

  JpegScan parse_scan(ByteSpan header) {
    check_undamaged(frame_.has_value(), "a scan comes before the frame header");
    const size_t count = header.empty() ? 0 : size_t(header[0]);
    check_undamaged(count >= 1 && count <= 4 && header.size() == 4 + 2 * count, "the header of scan {} is invalid",
                    scans_);
    JpegScan scan;
    if (frame_->progressive) {
      const ByteSpan rest = header.last(3);
      scan.first = byte_at(rest, 0);
      scan.last = byte_at(rest, 1);
      scan.high = byte_at(rest, 2) >> 4;
      scan.low = byte_at(rest, 2) & 15;
      const bool dc = scan.first == 0;
      check_undamaged(scan.first <= scan.last && scan.last < kCoefficients && (!dc || scan.last == 0) &&
                          (dc || count == 1) && scan.low <= 13 && (scan.high == 0 || scan.high == scan.low + 1),
                      "the header of scan {} is invalid", scans_);
    }
    for (size_t i = 0; i < count; ++i) {
      const int id = byte_at(header, 1 + 2 * i), tables = byte_at(header, 2 + 2 * i);
      auto& components = frame_->components;
      const auto found = std::find_if(components.begin(), components.end(), [&](const auto& c) { return c.id == id; });
      check_undamaged(found != components.end(), "scan {} is of a component {} that the image does not have", scans_,
                      id);
      scan.parts.push_back(part_of(*found, size_t(found - components.begin()) + 1, tables, scan));
    }
    return scan;
  }

  JpegScan::Part part_of(JpegComponent& component, size_t number, int tables, const JpegScan& scan) const {
    const size_t q = component.quantization;
    check_undamaged(q < 4 && has_quantization_[q], "component {} needs the quantisation table {}, which is not defined",
                    number, q);
    const auto find = [&](const auto& of, size_t index, std::string_view kind) {
      check_undamaged(index < 4 && of[index].has_value(),
                      "component {} needs the {} Huffman table {}, which is not defined", number, kind, index);
      return &*of[index];
    };
    JpegScan::Part part{&component};
    const bool dc = scan.first == 0;
    if (dc && scan.high == 0) part.dc = find(dc_, size_t(tables >> 4), "DC");
    if (!dc || !frame_->progressive) part.ac = find(ac_, size_t(tables & 15), "AC");
    return part;
  }

  /// Each coefficient is sent once and then refined bit by bit.
  void advance(const JpegScan& scan) const {
    for (const JpegScan::Part& part : scan.parts) {
      for (int k = scan.first; k <= scan.last; ++k) {
        int8_t& precision = part.component->precision[size_t(k)];
        check_undamaged(precision == (scan.high == 0 ? kUnsent : scan.high),
                        "scan {} does not go on from the ones before it", scans_);
        precision = int8_t(scan.low);
      }
    }
  }

  /// at: the offset of its data. Returns that of what follows.
  size_t read_scan(ByteSpan header, size_t at) {
    check_undamaged(++scans_ <= kMostScans, "it has more than {} scans", kMostScans);
    const JpegScan scan = parse_scan(header);
    advance(scan);
    if (!reads_codes_) return at;
    const bool alone = scan.parts.size() == 1;
    const ImageSize units = alone ? scan.parts[0].component->blocks : frame_->units;
    const int64_t all = units.height * units.width;
    JpegIntervals intervals(file_, at);
    JpegBlocks reader(scan, frame_->progressive);
    intervals.next(reader.bits());
    for (int64_t done = 0; done < all; ++done) {
      if (restart_interval_ > 0 && done > 0 && done % restart_interval_ == 0) {
        expect_within(intervals.skip_restart(done / restart_interval_ - 1), intervals, done, all);
        intervals.next(reader.bits());
        reader.restart();
      }
      const int64_t row = done / units.width, column = done % units.width;
      for (const JpegScan::Part& part : scan.parts) {
        JpegComponent& c = *part.component;
        const int64_t h = alone ? 1 : c.h, v = alone ? 1 : c.v;
        for (int64_t i = 0; i < h * v; ++i) {
          const int64_t block = (row * v + i / h) * c.padded.width + column * h + i % h;
          const bool valid = reader.read(part, frame_->progressive ? &c.nonzero[size_t(block)] : nullptr);
          expect_within(!reader.bits().past_end(), intervals, done, all);
          check_undamaged(valid, "the data of scan {} is invalid after {} of its {} blocks", scans_, done, all);
        }
      }
    }
    return intervals.offset();
  }

  void expect_within(bool ok, const JpegIntervals& intervals, int64_t done, int64_t all) const {
    if (ok) return;
    const std::string where = fmt::format("the data of scan {} ends after {} of its {} blocks", scans_, done, all);
    check<IoError>(!intervals.at_file_end(), "decode_image", "the file is truncated: {}", where);
    check_undamaged(false, "{}", where);
  }

  /// What the scans have not given; nothing if all is there.
  std::optional<std::string> missing() const {
    for (size_t i = 0; i < frame_->components.size(); ++i) {
      const auto& precision = frame_->components[i].precision;
      if (precision[0] == kUnsent) return fmt::format("no scan has data of component {}", i + 1);
      if (std::any_of(precision.begin(), precision.end(), [](int8_t p) { return p != 0; }))
        return fmt::format("its scans end before the full precision of component {}", i + 1);
    }
    return std::nullopt;
  }
  /// Whether the one scan of a sequential file has been read.
  bool has_one_scan() const { return !frame_->progressive && scans_ == 1 && !missing(); }
  void expect_complete() const {
    check_undamaged(frame_.has_value(), "it has no frame header");
    if (const auto what = missing()) check_undamaged(false, "{}", *what);
  }

  ByteSpan file_;
  bool reads_codes_;
  std::optional<JpegFrame> frame_;
  std::array<bool, 4> has_quantization_{};
  std::array<std::optional<HuffmanTable>, 4> dc_, ac_;
  int64_t restart_interval_ = 0;
  int scans_ = 0;
};

}  // namespace

ImageSize jpeg_size(std::span<const std::byte> file) {
  for (size_t at = 2;;) {
    const auto segment = next_segment(file, at);
    check<IoError>(segment.has_value(), "decode_image", "the file is truncated: its header ends before the image size");
    check_undamaged(segment->marker != jpeg_marker::kEnd && segment->marker != jpeg_marker::kScan,
                    "it has no frame header");
    if (is_frame(segment->marker)) return parse_frame(*segment).size;
    at = segment->end;
  }
}

size_t check_jpeg(std::span<const std::byte> file) { return JpegChecker(file, /*reads_codes=*/true).run(); }
size_t check_jpeg_headers(std::span<const std::byte> file) { return JpegChecker(file, /*reads_codes=*/false).run(); }

}  // namespace vitrail::data
