#include "vitrail/data/sources/pack.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/shrink.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/sources/hdf5_layout.h"
#include "vitrail/data/sources/packed_captions.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

namespace vitrail::data {
namespace {

/// An image that decodes: the size and hash of its file in the pack, or 0 bytes for plain pixels.
struct Checked {
  int64_t bytes = 0;
  uint64_t hash = 0;
  Shrunk shrunk = Shrunk::no;
  bool operator==(const Checked&) const = default;
};

/// The file that is packed for an image; empty for plain pixels.
struct PackedFile {
  Bytes bytes;
  Shrunk shrunk = Shrunk::no;

  Checked summary() const { return {int64_t(bytes.size()), XXH3_64bits(bytes.data(), bytes.size()), shrunk}; }
};

PackedFile packed_file(const Dataset& dataset, int64_t index, int64_t side) {
  PackedFile file{dataset.encoded(index)};
  if (side > 0 && !file.bytes.empty()) file.shrunk = shrink_file(file.bytes, side);
  return file;
}

/// The good images of a part, with their indices.
struct Good {
  std::vector<int64_t> indices;
  std::vector<Checked> files;  // of each index
};

int64_t count_of(const Good& good, Shrunk shrunk) {
  return std::count_if(good.files.begin(), good.files.end(), [&](const Checked& c) { return c.shrunk == shrunk; });
}

/// Decodes an image to see that it can be.
Checked check_image(const Dataset& dataset, int64_t index, int64_t side) {
  const PackedFile file = packed_file(dataset, index, side);
  if (file.bytes.empty())
    dataset.get(index);  // plain pixels, or an empty file
  else
    decode_image(file.bytes);
  return file.bytes.empty() ? Checked{} : file.summary();
}

/// Decodes every image once, on all threads.
class Checker final {
 public:
  Checker(const PackOptions& options, int64_t all) : options_(options), all_(all) {}

  Good check(const Dataset& dataset) {
    std::vector<std::optional<Checked>> results(size_t(dataset.size()));
    constexpr int64_t kChunk = 16;
    parallel_for(dataset.size(), kChunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) try {
          results[size_t(i)] = check_image(dataset, i, options_.side);
        } catch (const IoError& error) {
          add_broken({dataset.name(i), error.what()});
        }
      report(end - begin);
    });
    Good good;
    for (int64_t i = 0; i < dataset.size(); ++i) {
      if (!results[size_t(i)]) continue;
      good.indices.push_back(i);
      good.files.push_back(*results[size_t(i)]);
    }
    return good;
  }

  std::vector<BrokenImage> broken() {
    std::sort(broken_.begin(), broken_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(broken_);
  }

 private:
  void add_broken(BrokenImage file) {
    const std::scoped_lock lock(mutex_);
    broken_.push_back(std::move(file));
  }
  void report(int64_t count) {
    const std::scoped_lock lock(mutex_);
    done_ += count;
    if (options_.tick) options_.tick(done_, all_);
  }

  const PackOptions& options_;
  int64_t all_, done_ = 0;
  std::mutex mutex_;
  std::vector<BrokenImage> broken_;
};

/// "a.jpg: the file is empty; b.jpg: ...; and 3 more".
std::string listed(const std::vector<BrokenImage>& broken) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < std::min(broken.size(), kShown); ++i)
    text += "\n  " + broken[i].name + ": " + broken[i].reason;
  if (broken.size() > kShown) text += "\n  and " + std::to_string(broken.size() - kShown) + " more";
  return text;
}

Tensor tensor_of(const Bytes& bytes) {
  Tensor out = Tensor::empty({int64_t(bytes.size())}, DType::u8);
  std::memcpy(out.raw(), bytes.data(), bytes.size());
  return out;
}

/// Writes image files one after another. All threads read them again. Each must be the file that was decoded.
void write_files(hdf5::Writer& writer, const std::string& group, const Dataset& dataset, const Good& good,
                 int64_t side) {
  const auto count = int64_t(good.indices.size());
  Tensor offsets = Tensor::empty({count + 1}, DType::i64);
  int64_t* offset = offsets.data<int64_t>();
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) offset[i + 1] = offset[i] + good.files[size_t(i)].bytes;
  writer.write(group + "/offset", offsets);
  writer.create(group + "/file", {offset[count]}, DType::u8);
  constexpr int64_t kBlock = 32;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    std::vector<PackedFile> files(size_t(std::min(kBlock, count - begin)));
    parallel_for(std::ssize(files), 1, [&](int64_t i, int64_t) {
      files[size_t(i)] = packed_file(dataset, good.indices[size_t(begin + i)], side);
    });
    for (size_t i = 0; i < files.size(); ++i) {
      const size_t place = size_t(begin) + i;
      check<IoError>(files[i].summary() == good.files[place], "pack", "{} changed while it was read",
                     dataset.name(good.indices[place]));
      writer.write_rows(group + "/file", offset[place], tensor_of(files[i].bytes));
    }
  }
}

void write_pixels(hdf5::Writer& writer, const std::string& group, const Dataset& dataset, const Good& good) {
  const Image first = dataset.get(good.indices[0]).image;
  const Shape shape{int64_t(good.indices.size()), first.height(), first.width(), 3};
  writer.create(group + "/image", shape, DType::u8);
  Tensor row = Tensor::empty(shape.with(0, 1), DType::u8);
  for (int64_t i = 0; i < shape[0]; ++i) {
    const int64_t index = good.indices[size_t(i)];
    const Image image = dataset.get(index).image;
    check<DataError>(image.size() == first.size(), "pack",
                     "{} is {}, the first image {}; pixels are packed at one size", dataset.name(index), image.size(),
                     first.size());
    std::copy_n(image.data(), row.numel(), row.data<uint8_t>());
    writer.write_rows(group + "/image", i, row);
  }
}

void write_part(hdf5::Writer& writer, const PackPart& part, const Good& good, int64_t side) {
  const Dataset& dataset = *part.dataset;
  const auto plain = std::count(good.files.begin(), good.files.end(), Checked{});
  check<DataError>(plain == 0 || plain == std::ssize(good.files), "pack",
                   "part '{}' has {} images of plain pixels and {} files", part.name, plain,
                   std::ssize(good.files) - plain);
  check<DataError>(plain == 0 || side == 0, "pack",
                   "part '{}' holds plain pixels; only image files (JPEG, PNG, BMP, WebP) are made smaller", part.name);
  plain > 0 ? write_pixels(writer, part.name, dataset, good) : write_files(writer, part.name, dataset, good, side);
  if (part.pairs != nullptr) write_captions(writer, part.name, *part.pairs, good.indices);
  if (dataset.classes().empty()) return;
  Tensor labels = Tensor::empty({int64_t(good.indices.size())}, DType::i64);
  for (size_t i = 0; i < good.indices.size(); ++i) labels.data<int64_t>()[i] = dataset.label(good.indices[i]);
  writer.write(part.name + "/label", labels);
  writer.attribute(part.name, "classes", joined_lines(dataset.classes()));
}

/// Refuses parts that do not belong in one file. Returns the number of images.
int64_t check_parts(const std::vector<PackPart>& parts) {
  int64_t images = 0;
  const std::vector<std::string>* classes = nullptr;
  for (const PackPart& part : parts) {
    images += part.dataset->size();
    check<DataError>(part.pairs == nullptr || int64_t(part.pairs->captions.size()) == part.dataset->size(), "pack",
                     "part '{}' has {} images and captions of {}", part.name, part.dataset->size(),
                     part.pairs == nullptr ? 0 : part.pairs->captions.size());
    if (part.dataset->classes().empty()) continue;
    check<DataError>(
        classes == nullptr || *classes == part.dataset->classes(), "pack",
        "part '{}' has the classes {}, a part before it has {}; rename them, or pack each part into a file "
        "of its own",
        part.name, shortened_list(part.dataset->classes()),
        classes == nullptr ? std::string() : shortened_list(*classes));
    classes = &part.dataset->classes();
  }
  return images;
}

}  // namespace

int64_t Packed::size() const {
  int64_t count = 0;
  for (const std::vector<int64_t>& part : images) count += std::ssize(part);
  return count;
}

Packed pack(const std::filesystem::path& path, const std::vector<PackPart>& parts, const PackOptions& options) {
  const int64_t images = check_parts(parts);
  check<DataError>(images > 0, "pack", "nothing to pack into {}", path.string());
  Checker checker(options, images);
  std::vector<Good> good;
  good.reserve(parts.size());
  for (const PackPart& part : parts) good.push_back(checker.check(*part.dataset));
  Packed packed{{}, checker.broken()};
  check<DataError>(packed.broken.empty() || options.skip_broken, "pack",
                   "{} of {} images are broken, so {} was not written; mend or remove them, or leave them out with "
                   "--on-error skip:{}",
                   packed.broken.size(), images, path.string(), listed(packed.broken));
  for (size_t i = 0; i < parts.size(); ++i)
    check<DataError>(!good[i].indices.empty(), "pack", "part '{}' has no image that can be read{}", parts[i].name,
                     listed(packed.broken));
  hdf5::save(path, [&](hdf5::Writer& writer) {
    for (size_t i = 0; i < parts.size(); ++i) write_part(writer, parts[i], good[i], options.side);
  });
  for (Good& part : good) {
    packed.shrunk += count_of(part, Shrunk::yes);
    packed.transparent += count_of(part, Shrunk::transparent);
    packed.images.push_back(std::move(part.indices));
  }
  return packed;
}

}  // namespace vitrail::data
