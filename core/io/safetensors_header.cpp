#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace vitrail::safetensors {
namespace {

constexpr uint64_t kLengthBytes = 8, kLargestHeader = 100'000'000;
constexpr size_t kLongestName = 512;
constexpr int kDeepest = 3;  // {"name": {"shape": [...]}}

struct TypeBits {
  std::string_view name;
  uint64_t bits;
};
constexpr TypeBits kTypes[] = {
    {"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},        {"F32", 32},    {"C64", 64},    {"F64", 64},    {"I64", 64},
    {"U64", 64},        {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6},
};

/// A file's name. Each check reports its failure through broken(rule, ...).
struct Source {
  const std::string& file;

  template <class... Args>
  [[noreturn]] void broken(std::string_view rule, std::string_view format, const Args&... args) const {
    fail<IoError>("safetensors", "{}: {}: " + std::string(format), file, rule, args...);
  }
  template <class... Args>
  void require(bool ok, std::string_view rule, std::string_view format, const Args&... args) const {
    if (!ok) broken(rule, format, args...);
  }
};

std::string_view header_text(std::span<const std::byte> file, const Source& source) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  const std::string_view first_bytes(reinterpret_cast<const char*>(file.data()),
                                     std::min(file.size(), kPointer.size()));
  source.require(first_bytes != kPointer, "GitLfsPointer", "the file itself is missing; git lfs pull fetches it");
  source.require(file.size() >= kLengthBytes, "HeaderTooSmall", "the file has {} bytes; it must have at least 8",
                 file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  source.require(length <= kLargestHeader, "HeaderTooLarge", "the header has {} bytes; at most {} are allowed", length,
                 kLargestHeader);
  source.require(length <= file.size() - kLengthBytes, "InvalidHeaderLength",
                 "the header has {} bytes, but the file only {}", length, file.size());
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  source.require(is_utf8(text), "InvalidHeader", "the header is not UTF-8");
  const size_t start = text.find_first_not_of(" \t\r\n");
  source.require(start != std::string_view::npos && text[start] == '{', "InvalidHeader",
                 "the header is no JSON object");
  return text;
}

Json parse_json(std::string_view text, const Source& source) {
  try {
    return Json::parse(text, kDeepest);
  } catch (const JsonError& e) {
    const bool repeated = e.kind() == JsonError::Kind::repeated_name, deep = e.kind() == JsonError::Kind::too_deep;
    source.broken(repeated ? "DuplicateName" : "InvalidHeaderDeserialization", "{}{}", deep ? "the header " : "",
                  e.reason());
  }
}

Metadata parse_metadata(const Json& value, const Source& source) {
  source.require(value.is_object(), "InvalidHeaderDeserialization", "__metadata__ is no object");
  Metadata metadata;
  for (const auto& [key, text] : value.as_object()) {
    source.require(text.is_string(), "InvalidHeaderDeserialization", "__metadata__ of \"{}\" is no string", key);
    metadata[key] = text.as_string();
  }
  return metadata;
}

std::vector<uint64_t> parse_sizes(const Json& tensor, const char* field, const std::string& name,
                                  const Source& source) {
  const Json* const list = tensor.find(field);
  source.require(list && list->is_array(), "InvalidHeaderDeserialization", "\"{}\" has no list {}", name, field);
  std::vector<uint64_t> sizes;
  for (const Json& size : list->as_array()) {
    if (!size.is_unsigned())
      source.broken("InvalidHeaderDeserialization", "{} of \"{}\" must hold whole numbers from 0, not {}", field, name,
                    size.excerpt());
    sizes.push_back(size.as_uint64());
  }
  return sizes;
}

/// The header's entry of one tensor; offsets are still relative to the data.
struct Described {
  std::string name;
  TypeBits type;
  std::vector<uint64_t> sizes;
  uint64_t begin, end;
};

Described parse_tensor(const std::string& name, const Json& value, const Source& source) {
  constexpr std::string_view kRule = "InvalidHeaderDeserialization";
  source.require(name.size() <= kLongestName, "NameTooLong", "a name has {} bytes; at most {} are read", name.size(),
                 kLongestName);
  source.require(value.is_object(), kRule, "\"{}\" is no object", name);
  const Json* const dtype = value.find("dtype");
  source.require(dtype && dtype->is_string(), kRule, "\"{}\" has no dtype", name);
  const std::string& type_name = dtype->as_string();
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](auto& t) { return t.name == type_name; });
  source.require(type != std::end(kTypes), kRule, "\"{}\" has the unknown dtype \"{}\"", name, type_name);
  const auto sizes = parse_sizes(value, "shape", name, source);
  source.require(int(sizes.size()) <= kMaxRank, "RankTooLarge", "\"{}\" has rank {}; at most {} is supported", name,
                 sizes.size(), kMaxRank);
  const auto offsets = parse_sizes(value, "data_offsets", name, source);
  source.require(offsets.size() == 2, kRule, "\"{}\" has {} data_offsets, not 2", name, offsets.size());
  return {name, *type, sizes, offsets[0], offsets[1]};
}

/// Returns the shape after checking that the tensor has exactly the bytes it needs.
Shape checked_shape(const Described& t, const Source& source) {
  uint64_t bits = 1;
  bool overflow = false;
  for (uint64_t size : t.sizes) overflow |= size > uint64_t{INT64_MAX} || __builtin_mul_overflow(bits, size, &bits);
  overflow |= __builtin_mul_overflow(bits, t.type.bits, &bits);
  source.require(!overflow, "ValidationOverflow", "the size of \"{}\" does not fit 64 bits", t.name);
  source.require(bits % 8 == 0, "MisalignedSlice", "\"{}\" has {} bits, no whole number of bytes", t.name, bits);
  source.require(t.end - t.begin == bits / 8, "TensorInvalidInfo", "\"{}\" has {} bytes; its shape and dtype need {}",
                 t.name, t.end - t.begin, bits / 8);
  const std::vector<int64_t> sizes(t.sizes.begin(), t.sizes.end());
  return Shape(sizes);
}

}  // namespace

Header parse_header(std::span<const std::byte> file, const std::string& file_name) {
  const Source source{file_name};
  const std::string_view text = header_text(file, source);
  const Json root = parse_json(text, source);
  Header header;
  std::vector<Described> tensors;
  for (const auto& [name, value] : root.as_object()) {
    if (name != "__metadata__")
      tensors.push_back(parse_tensor(name, value, source));
    else if (!value.is_null())
      header.metadata = parse_metadata(value, source);
  }
  std::sort(tensors.begin(), tensors.end(), [](const Described& a, const Described& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });

  const uint64_t data = kLengthBytes + text.size();
  uint64_t expected = 0;
  for (const Described& t : tensors) {
    source.require(t.begin == expected && t.end >= t.begin, "InvalidOffset",
                   "\"{}\" is at {} to {}; the tensor before it ends at {}", t.name, t.begin, t.end, expected);
    const Shape shape = checked_shape(t, source);
    expected = t.end;
    source.require(expected <= file.size() - data, "MetadataIncompleteBuffer", "\"{}\" ends at {} of {} data bytes",
                   t.name, expected, file.size() - data);
    header.tensors[t.name] = {std::string(t.type.name), shape, int64_t(data + t.begin), int64_t(data + t.end)};
  }
  source.require(expected == file.size() - data, "MetadataIncompleteBuffer",
                 "the file has {} data bytes, its tensors {}", file.size() - data, expected);
  return header;
}

}  // namespace vitrail::safetensors
