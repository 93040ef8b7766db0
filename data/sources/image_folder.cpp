#include "vitrail/data/sources/image_folder.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/folder_index.h"

#include <string_view>
#include <utility>

namespace vitrail::data {
namespace {

constexpr int64_t kLargestFile = int64_t{64} << 20;

class ImageFiles final : public Dataset {
 public:
  ImageFiles(std::string root, std::vector<std::string> files, PathLabels labels)
      : root_(std::move(root)), files_(std::move(files)), labels_(std::move(labels)) {}

  int64_t size() const override { return int64_t(files_.size()); }
  const std::vector<std::string>& classes() const override { return labels_.classes; }
  int64_t label(int64_t index) const override { return labels_.of(index); }
  std::string name(int64_t index) const override {
    const std::string& file = files_.at(size_t(index));
    return file.starts_with('/') || root_.empty() ? file : root_ + "/" + file;
  }
  Sample get(int64_t index) const override {
    const std::string file = read_file(name(index), kLargestFile);
    return {decode_image(std::as_bytes(std::span(file))), label(index)};
  }
  Bytes encoded(int64_t index) const override {
    const std::string file = read_file(name(index), kLargestFile);
    const auto bytes = std::as_bytes(std::span(file));
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::string root_;
  std::vector<std::string> files_;
  PathLabels labels_;
};

}  // namespace

std::unique_ptr<Dataset> make_file_dataset(std::string root, std::vector<std::string> files, PathLabels labels) {
  return std::make_unique<ImageFiles>(std::move(root), std::move(files), std::move(labels));
}

std::unique_ptr<Dataset> open_image_folder(const std::string& root, const SourceOptions& options) {
  FolderIndex index = index_folder(root, options.follow_symlinks);
  check<DataError>(!index.files.empty(), "dataset",
                   "{} holds no .jpg, .png or .bmp files; {} symbolic links were not followed (follow_symlinks)", root,
                   index.links_skipped);
  PathLabels labels = labels_from_paths({index.files.begin(), index.files.end()}, options, root);
  return make_file_dataset(root, std::move(index.files), std::move(labels));
}

}  // namespace vitrail::data
