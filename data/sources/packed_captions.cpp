#include "vitrail/data/sources/packed_captions.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/hdf5_layout.h"

#include <algorithm>
#include <cstring>

namespace vitrail::data {
namespace {

constexpr size_t kTextBlock = size_t{4} << 20;  // bytes of text written or read at once

Tensor to_tensor(const std::vector<int64_t>& values) {
  Tensor out = Tensor::empty({int64_t(values.size())}, DType::i64);
  std::copy(values.begin(), values.end(), out.data<int64_t>());
  return out;
}

/// Collects text and writes it in blocks.
class TextWriter final {
 public:
  TextWriter(hdf5::Writer& writer, std::string path) : writer_(writer), path_(std::move(path)) {}

  void add(const std::string& text) {
    block_ += text;
    if (block_.size() >= kTextBlock) flush();
  }
  void flush() {
    Tensor rows = Tensor::empty({int64_t(block_.size())}, DType::u8);
    std::memcpy(rows.raw(), block_.data(), block_.size());
    writer_.write_rows(path_, written_, rows);
    written_ += int64_t(block_.size());
    block_.clear();
  }

 private:
  hdf5::Writer& writer_;
  std::string path_, block_;
  int64_t written_ = 0;
};

/// Reads the offsets that cut an array into nonempty pieces. The first is 0, the last is the array's length.
std::vector<int64_t> read_cuts(const hdf5::Reader& file, const std::string& path, const std::string& name) {
  check<DataError>(file.contains(name), "pairs", "{} has no {}; pack it with --captions", path, name);
  const Tensor tensor = file.read(name);
  check<DataError>(tensor.dtype() == DType::i64 && tensor.rank() == 1 && tensor.numel() > 0, "pairs",
                   "{}: {} is {} {}; it must be i64 [1 or more]", path, name, tensor.dtype(), tensor.shape());
  const std::span<const int64_t> cuts = tensor.span<int64_t>();
  const bool rising = std::adjacent_find(cuts.begin(), cuts.end(), std::greater_equal<>()) == cuts.end();
  check<DataError>(cuts.front() == 0 && rising, "pairs", "{}: {} must begin with 0 and rise", path, name);
  return {cuts.begin(), cuts.end()};
}

/// Reads the kind of each caption. Empty if the captions have no kinds.
std::vector<int64_t> read_kinds(const hdf5::Reader& file, const std::string& path, const std::string& name,
                                int64_t captions, size_t kinds) {
  if (!file.contains(name)) return {};
  const Tensor tensor = file.read(name);
  check<DataError>(tensor.dtype() == DType::i64 && tensor.shape() == Shape{captions}, "pairs",
                   "{}: {} is {} {}; it must be i64 [{}]", path, name, tensor.dtype(), tensor.shape(), captions);
  const std::span<const int64_t> indices = tensor.span<int64_t>();
  for (const int64_t index : indices)
    check<DataError>(index >= -1 && index < int64_t(kinds), "pairs", "{}: {} has {}; there are {} kinds", path, name,
                     index, kinds);
  return {indices.begin(), indices.end()};
}

}  // namespace

void write_captions(hdf5::Writer& writer, const std::string& group, const Pairs& pairs,
                    const std::vector<int64_t>& images) {
  std::vector<int64_t> first{0}, offsets{0}, kind_of;
  first.reserve(images.size() + 1);
  for (const int64_t image : images) {
    const std::vector<std::string>& captions = pairs.captions.at(size_t(image));
    first.push_back(first.back() + int64_t(captions.size()));
    for (const std::string& text : captions) offsets.push_back(offsets.back() + int64_t(text.size()));
  }
  writer.write(group + "/caption_first", to_tensor(first));
  writer.write(group + "/caption_offset", to_tensor(offsets));
  writer.create(group + "/caption", {offsets.back()}, DType::u8);
  TextWriter out(writer, group + "/caption");
  for (const int64_t image : images)
    for (const std::string& text : pairs.captions[size_t(image)]) out.add(text);
  out.flush();

  if (pairs.kinds.empty()) return;
  for (const std::string& kind : pairs.kinds)
    check<DataError>(kind.find('\n') == std::string::npos, "pack", "the kind of captions '{}' holds a line break",
                     kind);
  for (const int64_t image : images) {
    const std::vector<int64_t>& kinds = pairs.kind_of[size_t(image)];
    kind_of.insert(kind_of.end(), kinds.begin(), kinds.end());
  }
  writer.write(group + "/caption_kind", to_tensor(kind_of));
  writer.attribute(group, "caption_kinds", joined_lines(pairs.kinds));
}

int64_t for_each_packed_caption(
    const hdf5::Reader& file, const std::string& path, const std::string& group,
    const std::function<void(int64_t image, std::string_view text, std::string_view kind)>& visit) {
  const std::string text = inside(group, "caption");
  const std::vector<int64_t> first = read_cuts(file, path, inside(group, "caption_first"));
  const std::vector<int64_t> offsets = read_cuts(file, path, inside(group, "caption_offset"));
  const int64_t captions = int64_t(offsets.size()) - 1;
  check<DataError>(first.back() == captions, "pairs", "{}: {} ends with {}, there are {} captions", path,
                   inside(group, "caption_first"), first.back(), captions);
  check<DataError>(file.contains(text) && file.dtype(text) == DType::u8 && file.shape(text) == Shape{offsets.back()},
                   "pairs", "{}: {} must be u8 [{}], as {} says", path, text, offsets.back(),
                   inside(group, "caption_offset"));
  const std::vector<std::string> kinds = texts(file, group, "caption_kinds");
  const std::vector<int64_t> kind_of = read_kinds(file, path, inside(group, "caption_kind"), captions, kinds.size());

  int64_t image = 0;
  for (int64_t begin = 0, end = 0; begin < captions; begin = end) {
    while (end < captions && (end == begin || offsets[size_t(end) + 1] - offsets[size_t(begin)] <= int64_t(kTextBlock)))
      ++end;
    const int64_t origin = offsets[size_t(begin)];
    const Tensor rows = file.read_rows(text, origin, offsets[size_t(end)]);
    const std::string_view block(reinterpret_cast<const char*>(rows.data<uint8_t>()), size_t(rows.numel()));
    for (int64_t i = begin; i < end; ++i) {
      while (i == first[size_t(image) + 1]) ++image;
      const int64_t kind = kind_of.empty() ? -1 : kind_of[size_t(i)];
      visit(image,
            block.substr(size_t(offsets[size_t(i)] - origin), size_t(offsets[size_t(i) + 1] - offsets[size_t(i)])),
            kind < 0 ? std::string_view() : std::string_view(kinds[size_t(kind)]));
    }
  }
  return int64_t(first.size()) - 1;
}

}  // namespace vitrail::data
