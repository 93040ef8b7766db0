#include "vitrail/data/sources/cifar.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/sources/array_dataset.h"

#include <cstring>

namespace vitrail::data {
namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kPixels = 3 * kSide * kSide;

}  // namespace

std::unique_ptr<Dataset> open_cifar(const std::vector<std::string>& paths, CifarKind kind,
                                    const SourceOptions& options) {
  const int64_t label_bytes = kind == CifarKind::cifar10 ? 1 : 2;
  const int64_t record = label_bytes + kPixels;
  const int64_t classes = kind == CifarKind::cifar10 ? 10 : 100;

  std::vector<MappedFile> files;
  PixelArray array;
  int64_t images = 0;
  for (const std::string& path : paths) {
    const auto size = int64_t(files.emplace_back(path).bytes().size());
    check<IoError>(size > 0 && size % record == 0, "cifar", "{}: {} bytes are not a whole number of {}-byte records",
                   path, size, record);
    array.sources.push_back({path, size / record});
    images += size / record;
  }
  Tensor planes = Tensor::empty({images, 3, kSide, kSide}, DType::u8);
  uint8_t* to = planes.data<uint8_t>();
  for (const MappedFile& file : files) {
    for (size_t at = 0; at < file.bytes().size(); at += size_t(record), to += kPixels) {
      const std::byte* from = file.bytes().data() + at;
      array.labels.push_back(int64_t(from[label_bytes - 1]));
      std::memcpy(to, from + label_bytes, size_t(kPixels));
    }
  }
  for (size_t i = 0; i < array.labels.size(); ++i)
    check<IoError>(array.labels[i] < classes, "cifar", "{}: image {} has label {}; labels are below {}", paths.front(),
                   i, array.labels[i], classes);
  array.images = planes.permute({0, 2, 3, 1});  // [N, 32, 32, 3]
  for (int64_t i = 0; i < classes; ++i) array.classes.push_back(std::to_string(i));
  return make_array_dataset(std::move(array), options);
}

}  // namespace vitrail::data
