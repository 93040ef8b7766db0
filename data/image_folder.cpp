#include "data/image_folder.h"

#include "core/error.h"
#include "core/file.h"
#include "data/folder_index.h"
#include "data/path_labels.h"

#include <string_view>
#include <utility>

namespace vitrail::data {
namespace {

constexpr int64_t kLargestFile = int64_t{64} << 20;

class ImageFolder final : public Dataset {
 public:
  ImageFolder(std::string root, const SourceOptions& options) : root_(std::move(root)) {
    FolderIndex index = index_folder(root_, options.follow_symlinks);
    check<DataError>(!index.files.empty(), "dataset",
                     "{} holds no .jpg, .png or .bmp files; {} symbolic links were not followed (follow_symlinks)",
                     root_, index.links_skipped);
    files_ = std::move(index.files);
    labels_ = labels_from_paths({files_.begin(), files_.end()}, options, root_);
  }

  int64_t size() const override { return int64_t(files_.size()); }
  const std::vector<std::string>& classes() const override { return labels_.classes; }
  int64_t label(int64_t index) const override { return labels_.labels.at(size_t(index)); }
  std::string name(int64_t index) const override { return root_ + "/" + files_.at(size_t(index)); }
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
  std::vector<std::string> files_;  // relative to root_
  PathLabels labels_;
};

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const std::string& root, const SourceOptions& options) {
  return std::make_unique<ImageFolder>(root, options);
}

}  // namespace vitrail::data
