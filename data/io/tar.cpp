#include "vitrail/data/io/tar.h"

#include "vitrail/core/error.h"
#include "vitrail/data/io/gzip.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>
#include <string_view>

namespace vitrail::data {
namespace {

constexpr uint64_t kTarBlock = 512;
constexpr uint64_t kLongestName = 4096;              // of a GNU long name
constexpr uint64_t kLargestPax = uint64_t{1} << 20;  // of a pax header's records

/// A field of fixed width, up to its first NUL.
std::string_view text_field(std::string_view block, size_t begin, size_t width) {
  const std::string_view field = block.substr(begin, width);
  return field.substr(0, field.find('\0'));
}

/// Octal digits between blanks and NULs; nothing if other characters are there.
std::optional<uint64_t> octal(std::string_view field) {
  const size_t begin = field.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t end = std::min(field.find_first_of(std::string_view(" \0", 2), begin), field.size());
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(field.data() + begin, field.data() + end, value, 8);
  if (error != std::errc{} || stop != field.data() + end) return std::nullopt;
  const bool only_padding = field.find_first_not_of(std::string_view(" \0", 2), end) == std::string_view::npos;
  return only_padding ? std::optional(value) : std::nullopt;
}

/// A size: octal, or GNU's base-256 (top bit set, big-endian; negative if the next bit is set too).
std::optional<uint64_t> number(std::string_view field) {
  const auto first = static_cast<uint8_t>(field[0]);
  if ((first & 0x80u) == 0) return octal(field);
  if (first != 0x80u) return std::nullopt;  // negative, or more than 88 bits
  uint64_t value = 0;
  for (char c : field.substr(1)) {
    if (value >> 56 != 0) return std::nullopt;
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return value;
}

bool checksum_holds(std::string_view block) {
  constexpr size_t kBegin = 148, kWidth = 8;
  uint64_t sum = kWidth * uint64_t{' '};
  for (size_t i = 0; i < block.size(); ++i)
    if (i < kBegin || i >= kBegin + kWidth) sum += static_cast<uint8_t>(block[i]);
  return octal(block.substr(kBegin, kWidth)) == sum;
}

/// The bytes of an archive, in their order.
class Source {
 public:
  virtual ~Source() = default;
  /// The number of bytes left, as far as it is known: at most.
  virtual uint64_t left() const = 0;
  /// The next count bytes, or all if fewer are left. Valid until the next call.
  virtual std::string_view take(size_t count) = 0;
  /// Passes over the content of a member. Returns its offset, or nothing if it ends too early.
  virtual std::optional<uint64_t> pass(std::string_view name, uint64_t size) = 0;
};

class MappedSource final : public Source {
 public:
  explicit MappedSource(std::string_view archive) : archive_(archive) {}

  uint64_t left() const override { return archive_.size() - at_; }
  std::string_view take(size_t count) override {
    const std::string_view out = archive_.substr(at_, count);
    at_ += out.size();
    return out;
  }
  std::optional<uint64_t> pass(std::string_view, uint64_t size) override {
    if (size > left()) return std::nullopt;
    at_ += size;
    return at_ - size;
  }

 private:
  std::string_view archive_;
  size_t at_ = 0;
};

class GzipSource final : public Source {
 public:
  using Keep = std::function<bool(std::string_view name, uint64_t size)>;
  GzipSource(std::span<const std::byte> gzipped, const std::string& path, const Keep& keep)
      : gzip_(gzipped, path), path_(path), most_(std::max(kAlways, kRatio * gzipped.size())), keep_(keep) {}

  uint64_t left() const override { return std::numeric_limits<uint64_t>::max(); }
  std::string_view take(size_t count) override {
    buffer_.resize(count);
    return {reinterpret_cast<const char*>(buffer_.data()), gzip_.read(buffer_)};
  }
  std::optional<uint64_t> pass(std::string_view name, uint64_t size) override {
    if (!keep_(name, size)) return skip(size) ? std::optional(InflatedTar::kNotKept) : std::nullopt;
    kept_ += size;
    check<IoError>(kept_ <= most_, "tar", "{}: its files inflate to more than {} bytes; unpack the archive", path_,
                   most_);
    Bytes& content = contents_.emplace_back(size_t(size));
    return gzip_.read(content) == size ? std::optional(contents_.size() - 1) : std::nullopt;
  }
  /// Inflates the rest to verify its checksum.
  void finish() {
    check<IoError>(!skip(kMostBehind) || take(1).empty(), "tar", "{}: more than {} bytes follow the end mark", path_,
                   kMostBehind);
  }
  std::vector<Bytes> contents() { return std::move(contents_); }

 private:
  static constexpr uint64_t kAlways = uint64_t{256} << 20, kRatio = 100, kMostBehind = uint64_t{64} << 20;

  /// False if fewer bytes are left.
  bool skip(uint64_t size) {
    std::array<std::byte, 1 << 14> scratch;
    while (size > 0) {
      const size_t step = size_t(std::min<uint64_t>(size, scratch.size()));
      if (gzip_.read(std::span(scratch).first(step)) < step) return false;
      size -= step;
    }
    return true;
  }

  GzipReader gzip_;
  const std::string& path_;
  uint64_t most_, kept_ = 0;
  const Keep& keep_;
  Bytes buffer_;
  std::vector<Bytes> contents_;
};

/// Reads the headers in order, and applies pax and GNU headers to the member that follows them.
class Reader final {
 public:
  Reader(Source& source, const std::string& path) : source_(source), path_(path) {}

  TarIndex read() {
    while (read_member()) {
    }
    check_names();
    return std::move(index_);
  }

 private:
  template <class... Args>
  void require(bool ok, std::string_view format, const Args&... args) const {
    if (!ok) [[unlikely]]
      fail<IoError>("tar", "{} at byte {}: " + std::string(format), path_, at_, args...);
  }

  /// False at the end.
  bool read_member() {
    const std::string block(source_.take(kTarBlock));
    if (block.empty()) {
      require(at_ > 0, "the archive is empty");
      index_.ended = false;
      return false;
    }
    require(block.size() == kTarBlock, "the archive is truncated inside a header");
    if (block.find_first_not_of('\0') == std::string::npos) return false;  // the end mark
    require(checksum_holds(block), "not a tar header, or a damaged one: its checksum is wrong");
    const char type = block[156];
    std::optional<uint64_t> size = number(std::string_view(block).substr(124, 12));
    require(size.has_value(), "the member's size is negative or not a number");
    const bool describes_next = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (!describes_next && pax_size_) size = pax_size_;
    require(*size <= source_.left(), "the member's size is {}, but only {} bytes are left", *size, source_.left());

    if (type == 'x' || type == 'L') {
      require(*size <= (type == 'x' ? kLargestPax : kLongestName), "a {} of {} bytes; at most {} are read",
              type == 'x' ? "pax header" : "name", *size, type == 'x' ? kLargestPax : kLongestName);
      const std::string_view content = source_.take(size_t(*size));
      require(content.size() == *size, "the archive is truncated inside a member");
      if (type == 'x')
        read_pax(content);
      else
        next_name_ = content.substr(0, content.find('\0'));
    } else if (describes_next) {
      require(source_.pass("", *size).has_value(), "the archive is truncated inside a member");
    } else {
      add_member(block, type, *size);
    }
    const uint64_t padding = (kTarBlock - *size % kTarBlock) % kTarBlock;
    require(source_.take(size_t(padding)).size() == padding, "the archive is truncated inside a member");
    at_ += kTarBlock + *size + padding;
    return true;
  }

  void add_member(std::string_view block, char type, uint64_t size) {
    const std::string name = next_name_ ? *next_name_ : header_name(block);
    next_name_.reset();
    pax_size_.reset();
    require(type != '1' && type != '2', "member '{}' is a link; an archive may hold files and folders only", name);
    require(type != 'S', "member '{}' is sparse; pack it with tar --format=ustar", name);
    const bool folder = type == '5' || (!name.empty() && name.back() == '/');
    require(folder || type == '0' || type == '\0' || type == '7', "member '{}' is of type '{}'; only files are read",
            name, std::string(1, type));
    const std::string clean = clean_name(name);
    require(folder || !clean.empty(), "a member without a name");
    const std::optional<uint64_t> offset = source_.pass(folder ? "" : clean, size);
    require(offset.has_value(), "the archive is truncated inside a member");
    if (!folder) index_.members.push_back({clean, *offset, size});
  }

  static std::string header_name(std::string_view block) {
    const std::string name(text_field(block, 0, 100));
    const bool posix = block.substr(257, 6) == std::string_view("ustar\0", 6);
    const std::string prefix(posix ? text_field(block, 345, 155) : std::string_view{});
    return prefix.empty() ? name : prefix + "/" + name;
  }

  /// The name without "." and empty parts. Refuses names that point outside of the archive.
  std::string clean_name(std::string_view name) const {
    require(name.empty() || name.front() != '/', "member '{}' has an absolute name", name);
    std::string clean;
    for (size_t begin = 0; begin < name.size();) {
      const size_t end = std::min(name.find('/', begin), name.size());
      const std::string_view part = name.substr(begin, end - begin);
      require(part != "..", "member '{}' points outside the archive", name);
      if (!part.empty() && part != ".") {
        if (!clean.empty()) clean += '/';
        clean += part;
      }
      begin = end + 1;
    }
    return clean;
  }

  /// Records "length key=value\n", where length counts the whole record.
  void read_pax(std::string_view records) {
    while (!records.empty()) {
      size_t length = 0;
      const auto [stop, error] = std::from_chars(records.data(), records.data() + records.size(), length);
      const auto digits = size_t(stop - records.data());
      require(error == std::errc{} && length > digits + 2 && length <= records.size() && *stop == ' ' &&
                  records[length - 1] == '\n',
              "a damaged pax header");
      const std::string_view record = records.substr(digits + 1, length - digits - 2);
      const size_t equals = record.find('=');
      require(equals != std::string_view::npos, "a pax record without '='");
      apply_pax(record.substr(0, equals), record.substr(equals + 1));
      records.remove_prefix(length);
    }
  }

  void apply_pax(std::string_view key, std::string_view value) {
    require(!key.starts_with("GNU.sparse"), "a sparse member; pack it with tar --format=ustar");
    if (key == "path") {
      require(value.size() <= kLongestName && value.find('\0') == std::string_view::npos, "a damaged name");
      next_name_ = value;
    } else if (key == "size") {
      uint64_t size = 0;
      const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), size);
      require(error == std::errc{} && stop == value.data() + value.size(), "a pax size that is not a number");
      pax_size_ = size;
    }
  }

  void check_names() const {
    std::vector<size_t> order(index_.members.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return index_.members[a].name < index_.members[b].name; });
    for (size_t i = 1; i < order.size(); ++i) {
      const std::string& name = index_.members[order[i]].name;
      check<IoError>(name != index_.members[order[i - 1]].name, "tar", "{}: member '{}' is there twice", path_, name);
    }
  }

  Source& source_;
  const std::string& path_;
  uint64_t at_ = 0;                       // of the header that is read
  std::optional<std::string> next_name_;  // from a pax or GNU header
  std::optional<uint64_t> pax_size_;
  TarIndex index_;
};

}  // namespace

TarIndex read_tar_index(std::span<const std::byte> archive, const std::string& path) {
  MappedSource source({reinterpret_cast<const char*>(archive.data()), archive.size()});
  return Reader(source, path).read();
}

InflatedTar inflate_tar(std::span<const std::byte> gzipped, const std::string& path,
                        const std::function<bool(std::string_view name, uint64_t size)>& keep) {
  GzipSource source(gzipped, path, keep);
  TarIndex index = Reader(source, path).read();
  source.finish();
  return {std::move(index), source.contents()};
}

}  // namespace vitrail::data
