#include "vitrail/recipes/build/build_data.h"

#include "vitrail/core/error.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/pad_random_crop.h"
#include "vitrail/data/augment/pad_square.h"
#include "vitrail/data/augment/rand_augment.h"
#include "vitrail/data/augment/random_resized_crop.h"
#include "vitrail/data/load/sampler.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/open_pairs.h"
#include "vitrail/data/sources/register_source.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/sources/subset.h"
#include "vitrail/data/sources/unread_files.h"
#include "vitrail/recipes/run/progress.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace vitrail::recipes {
namespace {

constexpr Named<DataSource> kDataSources[] = {{"files", DataSource::files}, {"shapes", DataSource::shapes}};
constexpr Named<TrainCrop> kCrops[] = {
    {"random_resized", TrainCrop::random_resized}, {"pad", TrainCrop::pad}, {"none", TrainCrop::none}};
constexpr Named<Square> kSquares[] = {{"crop", Square::crop}, {"pad", Square::pad}, {"stretch", Square::stretch}};
constexpr Named<data::EraseFill> kEraseFills[] = {
    {"const", data::EraseFill::constant}, {"rand", data::EraseFill::channel}, {"pixel", data::EraseFill::pixel}};
constexpr Named<data::Filter> kFilters[] = {
    {"nearest", data::Filter::nearest}, {"bilinear", data::Filter::bilinear}, {"bicubic", data::Filter::bicubic}};
constexpr Named<ScaledDecode> kScaledDecode[] = {
    {"none", ScaledDecode::none}, {"train", ScaledDecode::train}, {"all", ScaledDecode::all}};
constexpr Named<data::OnError> kOnError[] = {{"fail", data::OnError::fail}, {"skip", data::OnError::skip}};

data::Normalize normalize(const DataConfig& c) {
  return {{c.mean[0], c.mean[1], c.mean[2]}, {c.std[0], c.std[1], c.std[2]}};
}

Shape image_shape(const DataConfig& config) { return {3, config.img_size, config.img_size}; }

/// Whether the part is a share of the training part. parts: the names of the parts at config.root.
template <class Parts>
bool is_cut(const DataConfig& config, const std::string& split, const Parts& parts) {
  if (config.val_fraction == 0 || !config.val_root.empty()) return false;
  if (split != config.train_split && split != config.val_split) return false;
  check<ConfigError>(config.train_split != config.val_split, "data.val_fraction",
                     "cuts the part '{}' in two; data.val_split must have another name", config.train_split);
  const std::vector<std::string> names = parts(config.root);
  check<ConfigError>(std::find(names.begin(), names.end(), config.val_split) == names.end(), "data.val_fraction",
                     "{} has a part '{}' already; leave data.val_fraction out to evaluate on that", config.root,
                     config.val_split);
  return true;
}

/// Which images of the training part belong to `split`.
std::vector<int64_t> cut(const DataConfig& config, const std::string& split, const data::Dataset& whole) {
  data::Halves halves = data::hold_out(whole, config.root, config.val_fraction, uint64_t(config.val_seed));
  return split == config.val_split ? std::move(halves.held_out) : std::move(halves.kept);
}

/// The notes of both, each once.
std::vector<std::string> notes_of(const data::Dataset& train, const data::Dataset& val) {
  std::vector<std::string> notes = train.notes();
  for (std::string& note : val.notes())
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
  return notes;
}

void check_root(const DataConfig& config) {
  check<ConfigError>(!config.root.empty(), "data.root", "is empty; set data.root=FOLDER");
  const std::filesystem::path root = config.root;
  if (std::filesystem::exists(root) || data::find_source(config.root) != nullptr) return;
  const std::string from =
      root.is_absolute() ? ""
                         : " in " + std::filesystem::current_path().string() + ", and the run may be from elsewhere";
  fail<DataError>("data.root", "{} does not exist{}; data.root=FOLDER says where the data is now", config.root, from);
}

/// Whether the data is generated. Throws ConfigError if the section names files too.
bool is_generated(const DataConfig& config) {
  if (config.source == DataSource::files) return false;
  check<ConfigError>(config.root.empty() && config.val_root.empty() && config.val_fraction == 0, "data.source",
                     "shapes are generated, in parts of their own; leave out data.root, data.val_root and "
                     "data.val_fraction, or set data.source=files");
  return true;
}

data::LoaderOptions loader_options(const DataConfig& config, int64_t seed, int64_t batch_size) {
  data::LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = uint64_t(seed);
  options.workers = int(config.workers);
  options.prefetch = int(config.prefetch);
  return options;
}

/// Returns nothing without auto_augment. Geometric operations fill empty pixels with the mean colour.
std::optional<data::RandAugment> rand_augment(const DataConfig& c) {
  if (!c.auto_augment) return std::nullopt;
  data::RandAugment::Config config = data::parse_rand_augment(*c.auto_augment);
  config.warp.filter = c.interpolation;
  for (size_t i = 0; i < 3; ++i) config.warp.fill[i] = uint8_t(std::clamp(std::lround(255 * c.mean[i]), 0L, 255L));
  return data::RandAugment(config);
}

std::optional<data::RandomErasing> random_erasing(const DataConfig& c) {
  if (c.random_erasing == 0) return std::nullopt;
  return data::RandomErasing(
      {.probability = c.random_erasing, .fill = c.random_erasing_mode, .count = int(c.random_erasing_count)});
}

}  // namespace

void DataConfig::describe(Fields& f) {
  describe_source(f);
  describe_augmentation(f);
  describe_pixels(f);
  describe_reading(f);
}

void DataConfig::describe_source(Fields& f) {
  f("root", root, "where the images are: class folders, tar shards, CIFAR, IDX, HDF5", is_path());
  f("train_split", train_split, "the part to train on");
  f("val_split", val_split, "the part to evaluate on");
  f("val_root", val_root, "where the part to evaluate on is, if not in root; undivided data is taken whole", is_path());
  f("classes", classes,
    "file with a class on each line, in the order of the labels; or its name in the data, a tab, the model's name or "
    "number",
    is_path());
  describe_division(f);
  f("subset", subset, "share of the training images of each class to use", positive().up_to(1));
  f("subset_seed", subset_seed, "chooses the subset; independent of the training seed", at_least(0));
}

void DataConfig::describe_division(Fields& f) {
  f("val_fraction", val_fraction,
    "for data without a validation part: share of each class of the training part to hold back for it",
    between(0, 0.9));
  f("val_seed", val_seed, "chooses the images held back; independent of the training seed", at_least(0));
  f("follow_symlinks", follow_symlinks, "follow symbolic links in folders of images, and from tables to images");
}

void DataConfig::describe_generator(Fields& f) {
  f("source", source, "files: the data at root; shapes: synthetic scenes, with captions and questions", kDataSources);
  f.section("shapes", [&] {
    f("levels", shapes.levels, "0: one shape; 1: two and how they lie; 2: counting, comparing; 3: three and more",
      between(0, 3));
    f("train", shapes.train, "images of the part train", at_least(1));
    f("val", shapes.val, "images of each other part: val, test, composition, paraphrase", at_least(1));
    f("side", shapes.side, "of an image, in pixels", between(32, 1024));
    f("seed", shapes.seed, "of the scenes; independent of the training seed", at_least(0));
  });
}

void DataConfig::describe_augmentation(Fields& f) {
  f("crop", crop, "random_resized: a random part of the image; pad: a random shift; none: the whole image", kCrops);
  f("crop_scale", crop_scale, "random_resized: smallest and largest share of the image area", between(0, 1).of(2));
  f("crop_padding", crop_padding, "pad: largest shift in pixels", at_least(0));
  f("hflip", hflip, "probability of a horizontal flip", between(0, 1));
  f("vflip", vflip, "probability of a vertical flip", between(0, 1));
  f("auto_augment", auto_augment, "RandAugment in timm's notation, rand-m9-mstd0.5-inc1; it replaces color_jitter");
  f("color_jitter", color_jitter, "largest change of brightness, contrast, saturation and hue", between(0, 1).of(4));
  f("random_erasing", random_erasing, "probability of erasing a rectangle", between(0, 1));
  f("random_erasing_mode", random_erasing_mode,
    "fill of the rectangle; const: the mean colour; rand: a random colour; pixel: noise", kEraseFills);
  f("random_erasing_count", random_erasing_count, "number of rectangles, which share the area", at_least(1));
  f("repeated_aug", repeated_aug, "augmented copies of each image in a batch; an epoch then sees fewer images",
    at_least(1));
}

void DataConfig::describe_pixels(Fields& f) {
  f("img_size", img_size, "side of the images the model sees", at_least(1));
  f("eval_crop", eval_crop, "random_resized: share of the shorter side kept in evaluation", between(0.1, 1));
  f("interpolation", interpolation, "of resizing", kFilters);
  f("mean", mean, "subtracted from red, green, blue in 0..1", Limits{}.of(3));
  f("std", std, "then divided by", positive().of(3));
}

void DataConfig::describe_reading(Fields& f) {
  f("background", background, "behind transparent pixels: a colour such as white or '#ff8800'; drop: ignore alpha");
  f("scaled_decode", scaled_decode,
    "JPEGs much larger than what is cut from them: decode that part alone, at a half to an eighth of the resolution; "
    "in "
    "training, in evaluation too (all), or never",
    kScaledDecode);
  f("workers", workers, "threads that prepare images; results do not depend on their number", at_least(1));
  f("prefetch", prefetch, "batches prepared ahead", at_least(1));
  f("on_error", on_error, "broken images: fail ends the run; skip lists them in bad_files.tsv", kOnError);
  f("max_bad", max_bad, "skip: the largest share of broken images; more end the run", between(0, 1));
}

void DataConfig::describe_square(Fields& f) {
  f("square", square,
    "how an image that is not square becomes one: crop: its middle part; pad: whole, on a square of the mean colour, "
    "as in LLaVA 1.5; stretch: whole, with other proportions",
    kSquares);
}

data::Background background_of(const DataConfig& config) {
  return config.background ? data::Background::parse(*config.background) : data::Background();
}

data::ImageTransform train_transform(const DataConfig& c) {
  check<ConfigError>(c.square == Square::crop || c.crop == TrainCrop::none, "data.square",
                     "pad and stretch are for whole images: they need data.crop=none");
  const data::Filter filter = c.interpolation;
  data::Pipeline steps;
  if (c.square == Square::pad)
    steps.add(data::PadSquare(data::PadSquare::mean_color({c.mean[0], c.mean[1], c.mean[2]})));
  if (c.square == Square::stretch)
    steps.add(data::ResizeExact({c.img_size, c.img_size}, filter));
  else if (c.crop == TrainCrop::random_resized)
    steps.add(data::RandomResizedCrop(
        {.size = c.img_size, .min_scale = c.crop_scale[0], .max_scale = c.crop_scale[1], .filter = filter}));
  else if (c.crop == TrainCrop::pad)
    steps.add(data::PadRandomCrop(c.img_size, c.crop_padding));
  else
    steps.add(data::ResizeCenterCrop(c.img_size, c.img_size, filter));
  if (c.hflip > 0) steps.add(data::HorizontalFlip(c.hflip));
  if (c.vflip > 0) steps.add(data::VerticalFlip(c.vflip));
  if (auto augment = rand_augment(c))
    steps.add(*std::move(augment));
  else if (*std::max_element(c.color_jitter.begin(), c.color_jitter.end()) > 0)
    steps.add(data::ColorJitter({c.color_jitter[0], c.color_jitter[1], c.color_jitter[2], c.color_jitter[3]}));
  return {std::move(steps), normalize(c), random_erasing(c), background_of(c)};
}

Preprocessing eval_preprocessing(const DataConfig& c) {
  const double share = c.crop == TrainCrop::random_resized ? c.eval_crop : 1;
  Preprocessing p;
  p.crop = c.img_size;
  p.size = int64_t(double(c.img_size) / share);
  p.filter = c.interpolation;
  p.pad = c.square == Square::pad;
  if (c.square == Square::stretch) {
    p.resize = Preprocessing::Resize::exact;
    p.crop = 0;
  }
  std::copy_n(c.mean.begin(), 3, p.mean.begin());
  std::copy_n(c.std.begin(), 3, p.std.begin());
  p.background = background_of(c);
  return p;
}

namespace {

data::ClassList class_list(const data::Dataset& part, const std::string& owner) {
  return {.owner = owner, .names = part.classes(), .count = int64_t(part.classes().size())};
}

/// Whether all images are the part to evaluate on. there: as evaluated() returns it.
bool is_whole(const DataConfig& there) { return there.val_fraction == 0 && data::is_undivided(there.root); }

}  // namespace

std::unique_ptr<data::Dataset> open_images(const DataConfig& config, const std::string& split, bool labelled) {
  check_root(config);
  const data::SourceOptions options{.labelled = labelled, .follow_symlinks = config.follow_symlinks};
  if (!is_cut(config, split, data::dataset_splits)) return data::open_dataset(config.root, split, options);
  auto whole = data::open_dataset(config.root, config.train_split, options);
  std::vector<int64_t> chosen = cut(config, split, *whole);
  return data::subset(std::move(whole), std::move(chosen));
}

std::unique_ptr<data::Dataset> open_labelled(const DataConfig& config, const std::string& split) {
  auto part = open_images(config, split, /*labelled=*/true);
  check<DataError>(!part->classes().empty(), "data", "{} has no labels in its part '{}'{}", config.root, split,
                   split == config.train_split ? "; put the images into a folder for each class"
                                               : "; data.val_fraction=0.1 evaluates on a tenth of the training images");
  return config.classes.empty() ? std::move(part) : data::with_class_file(std::move(part), config.classes);
}

DataConfig evaluated(const DataConfig& config) {
  DataConfig there = config;
  if (config.val_root.empty()) return there;
  there.root = config.val_root;
  there.val_root.clear();
  there.val_fraction = 0;
  return there;
}

std::unique_ptr<data::Dataset> open_evaluated(const DataConfig& config) {
  const DataConfig there = evaluated(config);
  check_root(there);
  return open_labelled(there, is_whole(there) ? "" : there.val_split);
}

std::string division_note(const DataConfig& config) {
  if (config.val_root.empty() || config.val_fraction == 0) return {};
  return "data.val_root names the images to evaluate on, so data.val_fraction holds back none";
}

std::string evaluated_name(const DataConfig& config) {
  const DataConfig there = evaluated(config);
  return is_whole(there) ? there.root : there.val_split + " of " + there.root;
}

data::Pairs open_captioned(const DataConfig& config, const std::string& split, const std::vector<std::string>& kinds) {
  if (is_generated(config)) {
    check<DataError>(kinds.empty(), "pairs", "the captions of shapes have no kinds; '{}' was asked for",
                     kinds.empty() ? std::string() : kinds[0]);
    return data::shapes_pairs(config.shapes, split);
  }
  check_root(config);
  const data::PairOptions options{.kinds = kinds,
                                  .follow_symlinks = config.follow_symlinks,
                                  .skip_missing = config.on_error == data::OnError::skip};
  if (!is_cut(config, split, data::pair_splits)) return data::open_pairs(config.root, split, options);
  data::Pairs whole = data::open_pairs(config.root, config.train_split, options);
  std::vector<int64_t> chosen = cut(config, split, *whole.images);
  return data::subset(std::move(whole), std::move(chosen));
}

data::Conversations open_conversations(const DataConfig& config, const std::string& split) {
  if (is_generated(config)) return data::shapes_conversations(config.shapes, split);
  check_root(config);
  const data::ConversationOptions options{.follow_symlinks = config.follow_symlinks,
                                          .skip_missing = config.on_error == data::OnError::skip};
  const auto parts = [](const std::string& root) { return data::splits_of(data::find_conversation_parts(root)); };
  if (!is_cut(config, split, parts)) return data::open_conversations(config.root, split, options);
  data::Conversations whole = data::open_conversations(config.root, config.train_split, options);
  std::vector<int64_t> chosen = cut(config, split, *whole.images);
  return data::subset(std::move(whole), std::move(chosen), /*without_image=*/split == config.train_split);
}

std::string missing_note(const DataConfig& config, const std::string& split, const std::vector<std::string>& missing,
                         int64_t named) {
  if (missing.empty()) return {};
  constexpr size_t kShown = 5;
  std::string shown;
  for (size_t i = 0; i < std::min(missing.size(), kShown); ++i) shown += (i > 0 ? ", " : "") + missing[i];
  const std::string text = std::to_string(missing.size()) + " of the " + std::to_string(named) +
                           " images of the part '" + split + "' are not there: " + shown +
                           (missing.size() > kShown ? ", ..." : "");
  check<DataError>(double(missing.size()) <= config.max_bad * double(named), "pairs",
                   "{}; more than the share data.max_bad {} of them", text, config.max_bad);
  return text + "; they are left out (data.on_error: skip)";
}

std::string place_of(const DataConfig& config) {
  return config.source == DataSource::shapes ? "generated shapes" : config.root;
}

std::unique_ptr<data::Dataset> open_training(const DataConfig& config) {
  return data::stratified_subset(open_labelled(config, config.train_split), config.subset,
                                 uint64_t(config.subset_seed));
}

LabelledParts open_parts(const DataConfig& config) {
  LabelledParts parts{.train = open_training(config),
                      .val = config.val_root.empty() ? open_labelled(config, config.val_split) : open_evaluated(config),
                      .notes = {}};
  parts.notes = notes_of(*parts.train, *parts.val);
  if (std::string note = division_note(config); !note.empty()) parts.notes.push_back(std::move(note));
  check<DataError>(parts.train->classes().size() > 1, "data",
                   "{} has the one class '{}'; a classifier needs two or more, in a folder each{}", config.root,
                   parts.train->classes()[0], data::as_ending(parts.notes));
  const data::ClassMatch match =
      data::match_classes("data", class_list(*parts.val, evaluated_name(config)),
                          class_list(*parts.train, config.train_split + " of " + config.root));
  if (!match.note.empty()) parts.notes.push_back("[data] " + match.note);
  if (parts.val->classes() != parts.train->classes())
    parts.val = data::relabelled(std::move(parts.val), match.to, parts.train->classes());
  return parts;
}

data::BadFiles bad_files_policy(const DataConfig& config) { return data::BadFiles(config.on_error, config.max_bad); }

std::unique_ptr<data::Loader> eval_loader(const DataConfig& config, const data::Dataset& dataset, int64_t batch_size,
                                          data::BadFiles& bad_files) {
  return eval_loader(eval_preprocessing(config), config, dataset, batch_size, bad_files);
}

std::unique_ptr<data::Loader> eval_loader(const Preprocessing& preprocessing, const DataConfig& config,
                                          const data::Dataset& dataset, int64_t batch_size, data::BadFiles& bad_files) {
  constexpr int64_t kSeed = 0;  // nothing is random
  const int64_t side = preprocessing.img_size();
  const Shape shape{3, side, side};
  const data::LoaderOptions options = loader_options(config, kSeed, batch_size);
  constexpr data::Broken kBroken = data::Broken::left_out;
  if (config.scaled_decode != ScaledDecode::all)
    return std::make_unique<data::Loader>(
        data::ImageBatch(dataset, preprocessing.transform(), shape, bad_files, kBroken), options);
  return std::make_unique<data::Loader>(
      data::ImageBatch(dataset, data::by_parts(preprocessing.transform()), {{shape}}, bad_files, kBroken), options);
}

data::ImageBatch training_images(const DataConfig& config, const data::Dataset& dataset, data::BadFiles& bad_files) {
  if (config.scaled_decode == ScaledDecode::none)
    return {dataset, train_transform(config), image_shape(config), bad_files};
  return {dataset, data::by_parts(train_transform(config)), {{image_shape(config)}}, bad_files};
}

data::LoaderOptions shuffled(const DataConfig& config, int64_t seed, int64_t batch_size, int64_t epochs,
                             const data::LoaderState& start) {
  data::LoaderOptions options = loader_options(config, seed, batch_size);
  options.shuffle = options.drop_last = true;
  options.repeats = config.repeated_aug;
  options.epochs = epochs;
  options.start = start;
  return options;
}

int64_t epoch_length(const DataConfig& config, int64_t seed, int64_t images) {
  return data::Sampler(images, true, uint64_t(seed), config.repeated_aug).length();
}

std::unique_ptr<data::Loader> augmented_loader(const DataConfig& config, int64_t seed, const data::Dataset& dataset,
                                               int64_t batch_size, int64_t epochs, data::BadFiles& bad_files) {
  data::LoaderOptions options = loader_options(config, seed, batch_size);
  options.epochs = epochs;
  return std::make_unique<data::Loader>(training_images(config, dataset, bad_files), options);
}

data::Image to_image(const Tensor& normalized, const DataConfig& config) {
  data::Image image(normalized.size(1), normalized.size(2));
  const auto values = normalized.span<float>();
  const size_t count = values.size() / 3;
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const double value = double(values[c * count + i]) * config.std[c] + config.mean[c];
      image.data()[3 * i + c] = uint8_t(std::lround(255 * std::clamp(value, 0.0, 1.0)));
    }
  }
  return image;
}

Preview preview(const DataConfig& config, int64_t seed, int64_t count) {
  const auto dataset = open_training(config);
  data::BadFiles bad_files = bad_files_policy(config);
  const int64_t shown = std::min(count, epoch_length(config, seed, dataset->size()));
  data::Loader loader(training_images(config, *dataset, bad_files), shuffled(config, seed, shown, 1, {}));
  const auto batch = loader.next();
  check<DataError>(batch.has_value(), "preview", "{} has no images in its part '{}'", config.root, config.train_split);
  Preview result;
  for (int64_t i = 0; i < shown; ++i) {
    result.images.push_back(to_image((*batch)["images"].select(0, i), config));
    result.captions.push_back(dataset->classes().at(size_t((*batch)["labels"].span<int64_t>()[size_t(i)])));
  }
  return result;
}

ImageData::ImageData(const DataConfig& config, int64_t seed)
    : config_(config), seed_(seed), bad_files_(bad_files_policy(config)), parts_(open_parts(config)) {
  train_transform(config);  // throws for bad values now, before the run folder is made
}

std::string ImageData::text() const { return parts_text(config_, train_size(), classes(), parts_.val->size()); }

std::vector<int64_t> ImageData::class_counts() const {
  std::vector<int64_t> counts(parts_.train->classes().size());
  for (int64_t i = 0; i < train_size(); ++i) ++counts.at(size_t(parts_.train->label(i)));
  return counts;
}

std::string parts_text(const DataConfig& config, int64_t train, int64_t classes, int64_t val) {
  std::string text = several(train, "training image");
  if (classes > 0) text += " of " + count_text(classes) + (classes == 1 ? " class" : " classes");
  text += ", " + (val > 0 ? several(val, "validation image") : "no validation images");
  return text + ", from " + place_of(config);
}

int64_t ImageData::epoch_size() const { return epoch_length(config_, seed_, parts_.train->size()); }

std::unique_ptr<data::Loader> ImageData::train_loader(int64_t batch_size, int64_t passes,
                                                      const data::LoaderState& start, const Shards& shards) {
  data::LoaderOptions options = shuffled(config_, seed_, batch_size, passes, start);
  options.shards = shards;
  return std::make_unique<data::Loader>(training_images(config_, *parts_.train, bad_files_), options);
}

std::unique_ptr<data::Loader> ImageData::val_loader(int64_t batch_size) {
  return eval_loader(config_, *parts_.val, batch_size, bad_files_);
}

}  // namespace vitrail::recipes
