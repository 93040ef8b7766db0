#include "vitrail/data/sources/image_folder.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/sources/folder_index.h"
#include "vitrail/data/sources/unread_files.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace vitrail::data {
namespace {

constexpr int64_t kLargestFile = int64_t{64} << 20;

class ImageFiles final : public Dataset {
 public:
  ImageFiles(std::string root, std::vector<std::string> files, PathLabels labels, std::vector<std::string> notes)
      : root_(std::move(root)), files_(std::move(files)), labels_(std::move(labels)), notes_(std::move(notes)) {}

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
  std::vector<std::string> notes() const override { return notes_; }

 private:
  std::string root_;
  std::vector<std::string> files_;
  PathLabels labels_;
  std::vector<std::string> notes_;
};

/// Folders beside the classes in which there is no file at all.
void note_empty_folders(const FolderIndex& index, const std::vector<std::string>& classes, const std::string& root,
                        std::vector<std::string>& notes) {
  for (const auto& item : index.folders) {
    const std::string& folder = item.first;
    const bool known = std::find(classes.begin(), classes.end(), folder) != classes.end();
    if (folder.empty() || folder.find('/') != std::string::npos || known || index.unread.contains(folder)) continue;
    notes.push_back(root + ": the folder '" + folder + "' is empty, so it is no class");
  }
}

}  // namespace

std::unique_ptr<Dataset> make_file_dataset(std::string root, std::vector<std::string> files, PathLabels labels,
                                           std::vector<std::string> notes) {
  return std::make_unique<ImageFiles>(std::move(root), std::move(files), std::move(labels), std::move(notes));
}

std::unique_ptr<Dataset> open_image_folder(const std::string& root, const SourceOptions& options) {
  FolderIndex index = index_folder(root, options.follow_symlinks);
  std::vector<std::string> notes = unread_notes(index.unread, root);
  check<DataError>(!index.files.empty(), "dataset", "{} holds no {} files{}", root, image_kinds("or"),
                   as_ending(notes));
  const std::vector<std::string_view> paths(index.files.begin(), index.files.end());
  check_no_class_vanishes(index.unread, paths, options, root);
  PathLabels labels = labels_from_paths(paths, options, root);
  if (!labels.classes.empty()) note_empty_folders(index, labels.classes, root, notes);
  return make_file_dataset(root, std::move(index.files), std::move(labels), std::move(notes));
}

}  // namespace vitrail::data
