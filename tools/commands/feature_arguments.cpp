#include "tools/commands/feature_arguments.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/io/lines.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/sources/folder_index.h"
#include "vitrail/data/sources/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>

namespace vitrail::tools {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of_input() {
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

void add(std::vector<std::string>& names, const std::string& path, bool follow_symlinks) {
  check<DataError>(fs::exists(path), "images", "{}: no such file or folder", path);
  if (!fs::is_directory(path)) {
    names.push_back(path);
    return;
  }
  const data::FolderIndex index = data::index_folder(path, follow_symlinks);
  for (const std::string& note : data::unread_notes(index.unread, path)) fmt::print(stderr, "note: {}\n", note);
  for (const std::string& file : index.files) names.push_back((fs::path(path) / file).string());
}

}  // namespace

void FeatureArguments::add_to(const Command& command) {
  command
      .option("-m,--model", model,
              "folder of a run, a checkpoint, the folder of a published model, or a .safetensors file")
      .required();
  add_images_to(command);
}

void FeatureArguments::add_images_to(const Command& command) {
  command.option("images", images, "images and folders of images; -: read their names from standard input");
  command.option("--list", list, "file with one image name per line").existing_file();
  command.flag("--follow-symlinks", follow_symlinks, "follow symbolic links in folders");
  command.option("--precision", precision, "of matrix products").choices({"f32", "bf16"});
  command.option("--batch", batch, "images at a time").range(1, 4096);
  background.add_to(command);
}

recipes::OpenModel FeatureArguments::open() const {
  recipes::OpenModel opened = recipes::open_model(model, background.changes());
  for (const std::string& note : opened.notes) fmt::print(stderr, "{}: {}\n", model, note);
  return opened;
}

NamedImages FeatureArguments::named_images() const {
  NamedImages result;
  for (const std::string& path : images) {
    if (path == "-")
      for (const std::string& line : lines_of_input()) add(result.names, line, follow_symlinks);
    else
      add(result.names, path, follow_symlinks);
  }
  if (!list.empty())
    for (const std::string& line : data::read_lines(list)) add(result.names, line, follow_symlinks);
  check<DataError>(!result.names.empty(), "images",
                   "no images given or found: name files or folders, or use - or --list");
  result.dataset = data::make_file_dataset(".", result.names, {});
  return result;
}

Tensor features_of(const recipes::OpenModel& model, const data::Dataset& images, const FeatureArguments& arguments,
                   bool normalise, TerminalProgress& progress) {
  const int64_t side = model.preprocessing.img_size();
  data::LoaderOptions options;
  options.batch_size = std::min(arguments.batch, images.size());
  options.workers = 2;
  data::BadFiles bad_files(data::OnError::fail, 0);
  data::Loader loader(data::ImageBatch(images, model.preprocessing.transform(), {3, side, side}, bad_files), options);
  const ag::Autocast precision(parse_dtype(arguments.precision));
  const auto set = recipes::extract_features(model.image_features, loader, progress.tick("features"));
  return normalise ? recipes::normalized(set).features : set.features;
}

}  // namespace vitrail::tools
