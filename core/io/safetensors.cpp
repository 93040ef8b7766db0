#include "vitrail/core/io/safetensors.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

namespace vitrail::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int64_t kLargestIndex = 100'000'000;

/// IEEE half precision.
struct F16 {
  uint16_t bits;
  explicit operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 0x3ffu;
    if (exponent == 0) return std::copysign(float(fraction) * 0x1p-24f, std::bit_cast<float>(sign));
    const uint32_t widened = exponent == 31 ? 255 : exponent + 112;
    return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
  }
  /// The nearest number; infinity from 65520.
  static F16 rounded(float value) {
    constexpr uint32_t kSmallestNormal = 0x38800000, kTooLarge = 0x477ff000;  // 2^-14, 65520
    const uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= kTooLarge) return {uint16_t(sign | 0x7c00u)};
    if (magnitude < kSmallestNormal) return {uint16_t(sign | uint32_t(std::lrint(std::abs(value) * 0x1p24f)))};
    const uint32_t to_even = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return {uint16_t(sign | (to_even - 0x38000000u) >> 13)};
  }
  bool is_finite() const { return (bits & 0x7c00u) != 0x7c00u; }
};

/// Elements of type From, at any address, as a tensor of type To.
template <class To, class From>
Tensor converted(const std::byte* from, const Shape& shape) {
  Tensor t = Tensor::empty(shape, dtype_of<To>());
  for (To& out : t.span<To>()) {
    From value;
    std::memcpy(&value, from, sizeof(From));
    from += sizeof(From);
    if constexpr (std::is_same_v<From, uint64_t>)
      check<IoError>(value <= uint64_t(std::numeric_limits<int64_t>::max()), "safetensors",
                     "the number {} does not fit i64", value);
    out = static_cast<To>(value);
  }
  return t;
}

/// The elements at an offset of the file: a view of the file, or a copy if the processor cannot read them there.
Tensor placed(const std::shared_ptr<MappedFile>& file, int64_t offset, const Shape& shape, DType dtype) {
  std::byte* const at = file->private_bytes().data() + offset;
  const int64_t size = size_of(dtype), bytes = shape.numel() * size;
  file->prefetch(offset, bytes);
  if (reinterpret_cast<uintptr_t>(at) % uintptr_t(size) == 0) return Tensor::in(Storage(at, bytes, file), shape, dtype);
  Tensor t = Tensor::empty(shape, dtype);
  if (bytes > 0) std::memcpy(t.raw(), at, size_t(bytes));
  return t;
}

/// Our dtypes as files have them, in the order in which the reference implementation writes tensors.
struct OwnType {
  DType dtype;
  std::string_view name;
  int64_t bytes;  // of an element
};
constexpr OwnType kOwnTypes[] = {{DType::i64, "I64", 8},
                                 {DType::f64, "F64", 8},
                                 {DType::f32, "F32", 4},
                                 {DType::bf16, "BF16", 2},
                                 {DType::u8, "U8", 1}};
constexpr OwnType kHalf = {DType::f32, "F16", 2};  // of save()

const OwnType& own_type(DType dtype, Floats floats) {
  if (dtype == kHalf.dtype && floats == Floats::f16) return kHalf;
  return *std::find_if(std::begin(kOwnTypes), std::end(kOwnTypes), [&](auto& t) { return t.dtype == dtype; });
}

/// The elements of a tensor as F16. Throws IoError naming the tensor for a number that does not fit.
std::vector<F16> half_of(const std::string& name, const Tensor& tensor) {
  std::vector<F16> halves;
  halves.reserve(size_t(tensor.numel()));
  for (const float value : tensor.span<float>()) {
    halves.push_back(F16::rounded(value));
    check<IoError>(halves.back().is_finite(), "safetensors", "\"{}\" has {}, which does not fit F16", name, value);
  }
  return halves;
}

std::string header_of(const std::vector<const TensorMap::value_type*>& order, const Metadata& metadata, Floats floats) {
  Json::Object header;
  if (!metadata.empty()) {
    Json& texts = header.emplace_back("__metadata__", Json::object()).value;
    for (const auto& [key, value] : metadata) texts[key] = value;
  }
  int64_t offset = 0;
  for (const auto* item : order) {
    const auto& [name, t] = *item;
    check<IoError>(name != "__metadata__", "safetensors", "a tensor cannot be called {}", name);
    check<IoError>(is_utf8(name), "safetensors", "the name of the tensor {} is not UTF-8", Json(name).text());
    const OwnType& type = own_type(t.dtype(), floats);
    const int64_t end = offset + t.numel() * type.bytes;
    header.emplace_back(name, Json::object({{"dtype", type.name},
                                            {"shape", std::vector<int64_t>(t.shape().begin(), t.shape().end())},
                                            {"data_offsets", Json::array({offset, end})}}));
    offset = end;
  }
  std::string text = Json::object(std::move(header)).text();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

Reader::Reader(const std::filesystem::path& path) : path_(path.string()) {
  if (path.extension() == ".json")
    add_shards(path);
  else
    add_file(path);
}

void Reader::add_file(const std::filesystem::path& path) {
  files_.push_back(std::make_shared<MappedFile>(path));
  file_names_.push_back(path.filename().string());
  Header header = parse_header(files_.back()->bytes(), path.string());
  if (files_.size() == 1) metadata_ = std::move(header.metadata);
  for (auto& [name, entry] : header.tensors) {
    const bool added = tensors_.try_emplace(name, Located{files_.size() - 1, std::move(entry)}).second;
    check<IoError>(added, "safetensors", "{}: \"{}\" is in another file too", path.string(), name);
  }
}

void Reader::add_shards(const std::filesystem::path& index) {
  const auto broken = [&](const std::string& what) { fail<IoError>("safetensors", "{}: {}", path_, what); };
  std::map<std::string, std::string> shard_of;
  try {
    const Json root = Json::parse(read_file(index, kLargestIndex));
    const Json* const map = root.find("weight_map");
    if (!map || !map->is_object()) broken("has no object \"weight_map\"");
    for (const auto& [name, shard] : map->as_object()) {
      if (!shard.is_string()) broken("the shard of \"" + name + "\" is " + shard.excerpt() + ", not a string");
      shard_of[name] = shard.as_string();
    }
  } catch (const JsonError& e) {
    broken(e.reason());
  }
  std::set<std::string> shards;
  for (const auto& item : shard_of) shards.insert(item.second);
  for (const std::string& shard : shards) {
    if (std::filesystem::path(shard).filename() != shard) broken("the shard \"" + shard + "\" is not beside the index");
    add_file(index.parent_path() / shard);
  }
  for (const auto& [name, shard] : shard_of) {
    if (!contains(name)) broken("\"" + name + "\" is not in " + shard);
    const std::string& there = file_names_[find(name).file];
    if (there != shard) broken("\"" + name + "\" is in " + there + ", the index says " + shard);
  }
  for (const auto& item : tensors_)
    if (!shard_of.contains(item.first)) broken("\"" + item.first + "\" is in a shard but not in the index");
}

std::vector<std::string> Reader::names() const {
  std::vector<std::string> names;
  for (const auto& item : tensors_) names.push_back(item.first);
  return names;
}

const Reader::Located& Reader::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  check<IoError>(found != tensors_.end(), "safetensors", "{}: there is no \"{}\" among its {} tensors", path_, name,
                 tensors_.size());
  return found->second;
}

Tensor Reader::read(std::string_view name) const {
  const Located& at = find(name);
  const std::shared_ptr<MappedFile>& file = files_[at.file];
  const auto& [dtype, shape, begin, end] = at.entry;
  for (const OwnType& own : kOwnTypes)
    if (own.name == dtype) return placed(file, begin, shape, own.dtype);
  if (dtype == "BOOL") return placed(file, begin, shape, DType::u8);
  const std::byte* data = file->bytes().data() + begin;
  if (dtype == "F16") return converted<float, F16>(data, shape);
  if (dtype == "I8") return converted<int64_t, int8_t>(data, shape);
  if (dtype == "I16") return converted<int64_t, int16_t>(data, shape);
  if (dtype == "U16") return converted<int64_t, uint16_t>(data, shape);
  if (dtype == "I32") return converted<int64_t, int32_t>(data, shape);
  if (dtype == "U32") return converted<int64_t, uint32_t>(data, shape);
  if (dtype == "U64") return converted<int64_t, uint64_t>(data, shape);
  fail<IoError>("safetensors", "{}: \"{}\" has type {}; BOOL, integers, F16, BF16, F32 and F64 can be read", path_,
                name, dtype);
}

TensorMap Reader::read_all() const {
  TensorMap all;
  for (const auto& item : tensors_) all[item.first] = read(item.first);
  return all;
}

void save(const std::filesystem::path& path, const TensorMap& tensors, const Metadata& metadata, Floats floats) {
  std::vector<const TensorMap::value_type*> order;
  int64_t bytes = 0;
  for (const auto& item : tensors) {
    order.push_back(&item);
    bytes += item.second.nbytes();
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return &own_type(a->second.dtype(), Floats::f32) < &own_type(b->second.dtype(), Floats::f32);
  });
  const std::string header = header_of(order, metadata, floats);
  const auto length = uint64_t(header.size());
  const auto write = [&](const std::filesystem::path& temporary) {
    std::ofstream file(temporary, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof(length));
    file << header;
    for (const auto* item : order) {
      const Tensor dense = item->second.contiguous();
      if (&own_type(dense.dtype(), floats) == &kHalf) {
        const std::vector<F16> halves = half_of(item->first, dense);
        file.write(reinterpret_cast<const char*>(halves.data()), std::streamsize(halves.size() * sizeof(F16)));
      } else {
        file.write(reinterpret_cast<const char*>(dense.raw()), dense.nbytes());
      }
    }
    file.close();
    check<WriteError>(bool(file), "safetensors", "{}: cannot write the file", path.string());
  };
  durable_write(path, write, int64_t(sizeof(length) + header.size()) + bytes);
}

}  // namespace vitrail::safetensors
