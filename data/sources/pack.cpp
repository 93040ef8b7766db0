#include "vitrail/data/sources/pack.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/sources/hdf5_layout.h"
#include "vitrail/data/sources/packed_captions.h"

#include <algorithm>
#include <cstring>

namespace vitrail::data {
namespace {

Tensor tensor_of(const Bytes& bytes) {
  Tensor out = Tensor::empty({int64_t(bytes.size())}, DType::u8);
  std::memcpy(out.raw(), bytes.data(), bytes.size());
  return out;
}

/// Writes image files one after another. They are read twice, the first time for their sizes.
void write_files(hdf5::Writer& writer, const std::string& group, const Dataset& dataset) {
  Tensor offsets = Tensor::empty({dataset.size() + 1}, DType::i64);
  int64_t* offset = offsets.data<int64_t>();
  offset[0] = 0;
  for (int64_t i = 0; i < dataset.size(); ++i) offset[i + 1] = offset[i] + int64_t(dataset.encoded(i).size());
  writer.write(group + "/offset", offsets);
  writer.create(group + "/file", {offset[dataset.size()]}, DType::u8);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Bytes bytes = dataset.encoded(i);
    check<IoError>(int64_t(bytes.size()) == offset[i + 1] - offset[i], "pack", "{} changed while it was read",
                   dataset.name(i));
    writer.write_rows(group + "/file", offset[i], tensor_of(bytes));
  }
}

void write_pixels(hdf5::Writer& writer, const std::string& group, const Dataset& dataset) {
  const Image first = dataset.get(0).image;
  const Shape shape{dataset.size(), first.height(), first.width(), 3};
  writer.create(group + "/image", shape, DType::u8);
  Tensor row = Tensor::empty(shape.with(0, 1), DType::u8);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Image image = dataset.get(i).image;
    check<DataError>(image.height() == first.height() && image.width() == first.width(), "pack",
                     "{} is {} x {}, the first image {} x {}; pixels are packed at one size", dataset.name(i),
                     image.height(), image.width(), first.height(), first.width());
    std::copy_n(image.data(), row.numel(), row.data<uint8_t>());
    writer.write_rows(group + "/image", i, row);
  }
}

void write_part(hdf5::Writer& writer, const PackPart& part) {
  const Dataset& dataset = *part.dataset;
  check<DataError>(dataset.size() > 0, "pack", "part '{}' is empty", part.name);
  if (dataset.encoded(0).empty())
    write_pixels(writer, part.name, dataset);
  else
    write_files(writer, part.name, dataset);
  if (part.pairs != nullptr) write_captions(writer, part.name, *part.pairs);
  if (dataset.classes().empty()) return;
  Tensor labels = Tensor::empty({dataset.size()}, DType::i64);
  for (int64_t i = 0; i < dataset.size(); ++i) labels.data<int64_t>()[i] = dataset.label(i);
  writer.write(part.name + "/label", labels);
  writer.attribute(part.name, "classes", joined_lines(dataset.classes()));
}

}  // namespace

int64_t pack(const std::filesystem::path& path, const std::vector<PackPart>& parts) {
  int64_t images = 0;
  const std::vector<std::string>* classes = nullptr;
  for (const PackPart& part : parts) {
    images += part.dataset->size();
    check<DataError>(part.pairs == nullptr || int64_t(part.pairs->captions.size()) == part.dataset->size(), "pack",
                     "part '{}' has {} images and captions of {}", part.name, part.dataset->size(),
                     part.pairs == nullptr ? 0 : part.pairs->captions.size());
    if (part.dataset->classes().empty()) continue;
    check<DataError>(classes == nullptr || *classes == part.dataset->classes(), "pack",
                     "the classes of part '{}' are not those of the parts before it", part.name);
    classes = &part.dataset->classes();
  }
  check<DataError>(images > 0, "pack", "nothing to pack into {}", path.string());
  hdf5::save(path, [&](hdf5::Writer& writer) {
    for (const PackPart& part : parts) write_part(writer, part);
  });
  return images;
}

}  // namespace vitrail::data
