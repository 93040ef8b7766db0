#include "tools/commands/feature_arguments.h"

#include "tools/commands/image_files.h"
#include "tools/commands/model_notes.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/io/lines.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/sources/image_folder.h"

#include <algorithm>
#include <iostream>
#include <utility>

namespace vitrail::tools {
namespace {

std::vector<std::string> lines_of_input() {
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

}  // namespace

void FeatureArguments::add_to(const Command& command) {
  command
      .option("-m,--model", model,
              "folder of a run, a checkpoint, the folder of a published model, or a .safetensors file")
      .required();
  add_network_option(command, network);
  add_images_to(command);
}

void FeatureArguments::add_images_to(const Command& command) {
  command.option("images", images, "images and folders of images; -: read their names from standard input");
  command.option("--list", list, "file with one image name per line, or a pipe: <(find ...)").existing_file();
  command.flag("--follow-symlinks", follow_symlinks, "follow symbolic links in folders");
  command.option("--precision", precision, "of matrix products").choices({"f32", "bf16"});
  command.option("--batch", batch, "images at a time").range(1, 4096);
  command.option("--mean", mean, "subtracted from red, green, blue in 0..1, in place of the model's").values(3);
  command.option("--std", std, "then divided by, in place of the model's").values(3).positive();
  const Option size =
      command.option("--image-size", image_size, "side of the model's input, in place of the model's").range(1, 4096);
  add_positions_option(command, positions).needs(size);
  background.add_to(command);
  skip.add_to(command);
  published.add_to(command);
}

recipes::OpenModel FeatureArguments::open() const {
  recipes::OpenModel opened = open_with_notes(model, background.changes(), published.options(network));
  recipes::Preprocessing& p = opened.preprocessing;
  if (!mean.empty()) std::copy(mean.begin(), mean.end(), p.mean.begin());
  if (!std.empty()) std::copy(std.begin(), std.end(), p.std.begin());
  if (image_size) {
    p.size = p.size * *image_size / p.img_size();
    if (p.crop > 0) p.crop = *image_size;
    resample_positions(model, opened, *image_size, positions);
  }
  return opened;
}

NamedImages FeatureArguments::named_images() const {
  NamedImages result;
  for (const std::string& path : images) {
    if (path == "-")
      for (const std::string& line : lines_of_input()) add_images(result.names, line, skip, follow_symlinks);
    else
      add_images(result.names, path, skip, follow_symlinks);
  }
  if (!list.empty())
    for (const std::string& line : data::read_lines(list)) add_images(result.names, line, skip, follow_symlinks);
  check<DataError>(!result.names.empty(), "images",
                   "no images given or found: name files or folders, or use - or --list");
  result.dataset = data::make_file_dataset("", result.names, {});
  return result;
}

ImageFeatures features_of(const recipes::OpenModel& model, const NamedImages& images, const FeatureArguments& arguments,
                          bool normalise, TerminalProgress& progress) {
  const int64_t side = model.preprocessing.img_size();
  data::LoaderOptions options;
  options.batch_size = std::min(arguments.batch, images.dataset->size());
  options.workers = 2;
  data::BadFiles bad_files = arguments.skip.bad_files();
  data::Loader loader(data::ImageBatch(*images.dataset, model.preprocessing.transform(), {3, side, side}, bad_files,
                                       data::Broken::left_out),
                      options);
  const ag::Autocast precision(parse_dtype(arguments.precision));
  recipes::FeatureSet set = recipes::extract_features(model.image_features, loader, progress.tick("features"));
  progress.report(bad_files);
  if (normalise) set = recipes::normalized(set);
  ImageFeatures result{
      .names = {}, .features = std::move(set.features), .skipped = images.dataset->size() - std::ssize(set.indices)};
  for (const int64_t index : set.indices) result.names.push_back(images.names[size_t(index)]);
  return result;
}

}  // namespace vitrail::tools
