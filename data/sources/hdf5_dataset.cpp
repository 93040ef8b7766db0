#include "vitrail/data/sources/hdf5_dataset.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/hdf5_layout.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <utility>

namespace vitrail::data {
namespace {

std::vector<int64_t> read_labels(const hdf5::Reader& file, const std::string& group) {
  const std::string path = inside(group, "label");
  if (!file.contains(path)) return {};
  const Tensor labels = file.read(path);
  check<IoError>(labels.rank() == 1 && !is_floating(labels.dtype()), "dataset", "{} is {} {}; labels are integers [N]",
                 path, labels.dtype(), labels.shape());
  const Tensor wide = labels.to(DType::i64);
  return {wide.span<int64_t>().begin(), wide.span<int64_t>().end()};
}

// ---- plain pixels: the same messages whether they come from a child or not ------------------------------------------

/// First a Header, then the class names with a zero after each, then the labels if there are any, then rows of pixels.
struct Header {
  std::array<int64_t, 4> sizes{};
  int64_t channels_first = 0;
  int64_t labels = 0;
};

void send_pixels(const hdf5::Reader& file, const std::string& group, int64_t file_size, const Send& send) {
  constexpr int64_t kSlab = int64_t{4} << 20;
  constexpr int64_t kMostCompressed = 1032;  // deflate's limit: a small file cannot hold a huge array
  const std::string path = inside(group, "image");
  Shape shape = file.shape(path);
  check<IoError>(file.dtype(path) == DType::u8, "dataset", "{} is {}; pixels are u8", path, file.dtype(path));
  const bool grey = shape.rank() == 3;
  if (grey) shape = shape.insert(3, 1);
  check<IoError>(shape.rank() == 4, "dataset", "{} is {}; images are [N, H, W, C] or [N, H, W]", path, shape);
  check<IoError>(shape.numel() / kMostCompressed <= file_size, "dataset", "{} is {}, but the file has {} bytes", path,
                 shape, file_size);
  const auto layout = texts(file, group, "layout");
  const bool channels_first = layout == std::vector<std::string>{"NCHW"};
  check<IoError>(layout.empty() || channels_first || layout == std::vector<std::string>{"NHWC"}, "dataset",
                 "layout is '{}'; NHWC and NCHW are known", layout.empty() ? std::string() : layout[0]);

  const std::vector<int64_t> labels = read_labels(file, group);
  const Header header{{shape[0], shape[1], shape[2], shape[3]}, channels_first && !grey, int64_t(labels.size())};
  send(std::as_bytes(std::span(&header, 1)));
  std::string names;
  for (const std::string& name : texts(file, group, "classes")) names += name + '\0';
  send(std::as_bytes(std::span(names)));
  if (!labels.empty()) send(std::as_bytes(std::span(labels)));
  if (shape.numel() == 0) return;
  const int64_t step = std::max<int64_t>(1, kSlab / shape.without(0).numel());
  for (int64_t begin = 0; begin < shape[0]; begin += step) {
    const Tensor rows = file.read_rows(path, begin, std::min(begin + step, shape[0]));
    send(std::as_bytes(rows.span<uint8_t>()));
  }
}

/// Assembles the messages without trusting their sizes.
class Assembler final {
 public:
  void accept(std::span<const std::byte> message) {
    switch (step_++) {
      case 0:
        return accept_header(message);
      case 1:
        return accept_classes(message);
      case 2:
        if (header_.labels > 0) return accept_labels(message);
        break;
      default:
        break;
    }
    accept_pixels(message);
  }

  PixelArray finish(const std::string& path) {
    require(step_ > 0 && filled_ == array_.images.numel());
    if (header_.channels_first != 0) array_.images = array_.images.permute({0, 2, 3, 1});
    array_.sources = {{path, header_.sizes[0]}};
    return std::move(array_);
  }

 private:
  static void require(bool ok) { check<IoError>(ok, "dataset", "its contents are inconsistent"); }

  void accept_header(std::span<const std::byte> message) {
    require(message.size() == sizeof header_);
    std::memcpy(&header_, message.data(), sizeof header_);
    array_.images = Tensor::empty(Shape(header_.sizes), DType::u8);
  }
  void accept_classes(std::span<const std::byte> message) {
    std::string name;
    for (const std::byte byte : message) {
      if (byte != std::byte{0})
        name += char(byte);
      else
        array_.classes.push_back(std::exchange(name, {}));
    }
  }
  void accept_labels(std::span<const std::byte> message) {
    require(message.size() % sizeof(int64_t) == 0 && message.size() / sizeof(int64_t) == size_t(header_.labels));
    array_.labels.resize(size_t(header_.labels));
    std::memcpy(array_.labels.data(), message.data(), message.size());
  }
  void accept_pixels(std::span<const std::byte> message) {
    require(int64_t(message.size()) <= array_.images.numel() - filled_);
    std::memcpy(array_.images.data<uint8_t>() + filled_, message.data(), message.size());
    filled_ += int64_t(message.size());
  }

  int step_ = 0;
  Header header_;
  PixelArray array_;
  int64_t filled_ = 0;
};

PixelArray read_foreign(const std::string& path, std::string_view split, const ChildLimits& limits) {
  const auto file_size = int64_t(std::filesystem::file_size(path));
  const auto work = [&](const Send& send) {
    set_num_threads(1);  // the compute threads were not forked
    const hdf5::Reader file(path);
    send_pixels(file, group_of(file, path, split), file_size, send);
  };
  try {
    ChildProcess child(work, limits);
    Assembler assembler;
    while (const std::optional<Bytes> message = child.receive()) assembler.accept(*message);
    return assembler.finish(path);
  } catch (const ChildFailure& failure) {
    fail<DataError>("dataset", "dataset file {} rejected (libhdf5 {})", path, std::string(failure.what()));
  } catch (const IoError& error) {
    fail<DataError>("dataset", "dataset file {} rejected ({})", path, std::string(error.what()));
  }
}

// ---- packed image files -------------------------------------------------------------------------------------------

class PackedFiles final : public Dataset {
 public:
  PackedFiles(std::string path, hdf5::Reader file, std::string group, const SourceOptions& options)
      : path_(std::move(path)), file_(std::move(file)), group_(std::move(group)) {
    const Tensor offsets = file_.read(inside(group_, "offset"));
    offsets_.assign(offsets.span<int64_t>().begin(), offsets.span<int64_t>().end());
    if (!options.labelled) return;
    labels_ = read_labels(file_, group_);
    if (!labels_.empty()) classes_ = options.classes.empty() ? texts(file_, group_, "classes") : options.classes;
    for (const int64_t label : labels_)
      check<DataError>(label >= 0 && label < int64_t(classes_.size()), "dataset", "{}: label {} of {} classes", path_,
                       label, classes_.size());
  }

  int64_t size() const override { return int64_t(offsets_.size()) - 1; }
  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t label(int64_t index) const override { return labels_.empty() ? kNoLabel : labels_.at(size_t(index)); }
  std::string name(int64_t index) const override { return path_ + "/" + group_ + "[" + std::to_string(index) + "]"; }
  Sample get(int64_t index) const override {
    const Tensor file = content(index);
    return {decode_image(std::as_bytes(file.span<uint8_t>())), label(index)};
  }
  Bytes encoded(int64_t index) const override {
    const Tensor file = content(index);
    const auto bytes = std::as_bytes(file.span<uint8_t>());
    return {bytes.begin(), bytes.end()};
  }

 private:
  Tensor content(int64_t index) const {
    return file_.read_rows(inside(group_, "file"), offsets_.at(size_t(index)), offsets_.at(size_t(index) + 1));
  }

  std::string path_;
  hdf5::Reader file_;
  std::string group_;
  std::vector<int64_t> offsets_, labels_;
  std::vector<std::string> classes_;
};

}  // namespace

std::unique_ptr<Dataset> open_packed(const std::string& path, hdf5::Reader file, const std::string& group,
                                     const SourceOptions& options) {
  if (file.contains(inside(group, "file"))) return std::make_unique<PackedFiles>(path, std::move(file), group, options);
  Assembler assembler;
  const Send send = [&](std::span<const std::byte> message) { assembler.accept(message); };
  send_pixels(file, group, int64_t(std::filesystem::file_size(path)), send);
  return make_array_dataset(assembler.finish(path), options);
}

std::unique_ptr<Dataset> open_hdf5(const std::string& path, std::string_view split, const SourceOptions& options,
                                   const ChildLimits& limits) {
  check<IoError>(std::filesystem::is_regular_file(path), "dataset", "{} is not a file", path);
  if (hdf5::is_sealed(path)) {
    hdf5::Reader file = hdf5::open_sealed(path);
    const std::string group = group_of(file, path, split);
    return open_packed(path, std::move(file), group, options);
  }
  return make_array_dataset(read_foreign(path, split, limits), options);
}

}  // namespace vitrail::data
