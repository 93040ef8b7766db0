#include "vitrail/recipes/eval/patch_measure.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/subset.h"
#include "vitrail/recipes/eval/finite.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr int64_t kThing = 1, kBackground = 0, kNeither = -1;
constexpr double kLeastOfThing = 0.75, kMostOfBackground = 0.25;  // mean opacity
constexpr int64_t kMostOfKind = 10000;                            // patches to learn from
constexpr double kHeldOut = 0.25;                                 // of the images, if they are in one part
constexpr int64_t kImagesAtOnce = 16;
constexpr double kHighestWave = 70, kFastestWave = 1;  // of 255, of each of two waves; radians a pixel

/// The opacity as an image, opaque itself.
data::Image opacity_of(const data::Image& image) {
  data::Image result(image.size());
  if (image.opacity().empty()) {
    std::fill(result.pixels().begin(), result.pixels().end(), uint8_t(255));
    return result;
  }
  uint8_t* at = result.data();
  for (const uint8_t o : image.opacity()) at = std::fill_n(at, 3, o);
  return result;
}

/// The image on a colour with two waves, drawn from the image's number alone.
data::Image on_waves(data::Image image, int64_t number) {
  struct Wave {
    double down, right;  // radians a pixel
    std::array<double, 3> phase;
  };
  if (image.opacity().empty()) return image;
  Rng rng(0, "patch background", uint64_t(number));
  std::array<double, 3> color{};
  for (double& c : color) c = rng.uniform(0, 255);
  const double height = rng.uniform(0, kHighestWave);
  std::array<Wave, 2> waves{};
  for (Wave& wave : waves) {
    const double frequency = rng.uniform(0, kFastestWave), direction = rng.uniform(0, 2 * std::numbers::pi);
    wave = {frequency * std::sin(direction), frequency * std::cos(direction), {}};
    for (double& phase : wave.phase) phase = rng.uniform(0, 2 * std::numbers::pi);
  }
  for (int64_t y = 0; y < image.height(); ++y)
    for (int64_t x = 0; x < image.width(); ++x)
      for (size_t c = 0; c < 3; ++c) {
        double behind = color[c];
        for (const Wave& wave : waves)
          behind += height * std::sin(wave.down * double(y) + wave.right * double(x) + wave.phase[c]);
        const double weight = double(image.opacity()[size_t(y * image.width() + x)]) / 255;
        uint8_t& pixel = image.at(y, x)[c];
        pixel = uint8_t(std::lround(double(pixel) * weight + std::clamp(behind, 0.0, 255.0) * (1 - weight)));
      }
  image.set_opacity({});
  return image;
}

/// The whole image at the size of the model's input.
Preprocessing of_whole(Preprocessing p) {
  p.size = p.crop = p.img_size();
  p.resize = Preprocessing::Resize::shorter;
  return p;
}

/// The images of a part of the data, or of a half if it is undivided.
std::unique_ptr<data::Dataset> open_part(const std::string& root, bool held_out) {
  const data::SourceOptions options{.labelled = false};
  if (!data::is_undivided(root)) return data::open_dataset(root, held_out ? "val" : "train", options);
  auto whole = data::open_dataset(root, "", options);
  data::Halves halves = data::hold_out(*whole, root, kHeldOut, /*seed=*/0);
  return data::subset(std::move(whole), std::move(held_out ? halves.held_out : halves.kept));
}

/// As many patches of each label, in rising order.
std::vector<int64_t> balanced(const std::vector<int64_t>& labels) {
  std::array<std::vector<int64_t>, 2> of_label;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != kNeither) of_label[size_t(labels[i])].push_back(int64_t(i));
  const auto count = std::min({std::ssize(of_label[0]), std::ssize(of_label[1]), std::ptrdiff_t(kMostOfKind)});
  std::vector<int64_t> chosen;
  for (size_t label = 0; label < 2; ++label) {
    const auto order = Rng(0, "patches", label).permutation(std::ssize(of_label[label]));
    for (std::ptrdiff_t i = 0; i < count; ++i) chosen.push_back(of_label[label][size_t(order[size_t(i)])]);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<int64_t> labelled(const std::vector<int64_t>& labels) {
  std::vector<int64_t> chosen;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != kNeither) chosen.push_back(int64_t(i));
  return chosen;
}

double share(const std::vector<int64_t>& labels, int64_t label, int64_t of) {
  return of == 0 ? 0 : double(std::count(labels.begin(), labels.end(), label)) / double(of);
}

std::vector<int64_t> integers(const Tensor& x) {
  const auto span = x.span<int64_t>();
  return {span.begin(), span.end()};
}

}  // namespace

PatchFeatureOf patch_tokens(nn::TokenBackbone& model) {
  model.eval();
  return [&model](const Tensor& images) { return model.tokens(images).patches.value(); };
}

PatchFeatureOf patch_pixels(int64_t patch_size) {
  return [patch_size](const Tensor& images) { return core::patchify(images, patch_size); };
}

std::vector<int64_t> patch_labels(const data::Image& opacity, int64_t patch_size) {
  const int64_t rows = opacity.height() / patch_size, columns = opacity.width() / patch_size;
  std::vector<int64_t> labels;
  labels.reserve(size_t(rows * columns));
  const double full = 255 * double(patch_size * patch_size);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      int64_t sum = 0;
      for (int64_t y = 0; y < patch_size; ++y)
        for (int64_t x = 0; x < patch_size; ++x) sum += *opacity.at(row * patch_size + y, column * patch_size + x);
      const double mean = double(sum) / full;
      labels.push_back(mean >= kLeastOfThing ? kThing : mean <= kMostOfBackground ? kBackground : kNeither);
    }
  return labels;
}

CutOuts::CutOuts(const std::string& root, const Preprocessing& preprocessing, int64_t patch_size,
                 const std::optional<data::Background>& background)
    : preprocessing_(of_whole(preprocessing)),
      patch_size_(patch_size),
      train_(open(root, /*held_out=*/false, background)),
      val_(open(root, /*held_out=*/true, background)) {
  train_.chosen = balanced(train_.labels);
  val_.chosen = labelled(val_.labels);
}

CutOuts::Part CutOuts::open(const std::string& root, bool held_out,
                            const std::optional<data::Background>& background) const {
  const auto dataset = open_part(root, held_out);
  const data::ImageTransform transform = preprocessing_.transform();
  Rng unused(0, "");
  Part part;
  bool transparent = false;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    data::Image image = dataset->get(i).image;
    transparent |= !image.opacity().empty();
    const auto labels = patch_labels(transform.augmented(opacity_of(image), unused), patch_size_);
    part.labels.insert(part.labels.end(), labels.begin(), labels.end());
    part.images.push_back(background ? background->under(std::move(image)) : on_waves(std::move(image), i));
  }
  const char* const name = held_out ? "val" : "train";
  check<DataError>(transparent, "patches",
                   "no image in the part '{}' of {} has transparent pixels: opacity says which patches show a thing "
                   "and which show background",
                   name, root);
  for (const auto& [label, what] : {std::pair{kThing, "a thing"}, {kBackground, "background"}})
    check<DataError>(std::count(part.labels.begin(), part.labels.end(), label) > 0, "patches",
                     "no patch of {} pixels in the part '{}' of {} shows {}", patch_size_, name, root, what);
  return part;
}

PatchSet CutOuts::features(const Part& part, const PatchFeatureOf& feature_of, const Tick& tick) const {
  const int64_t images = std::ssize(part.images), patches = std::ssize(part.labels) / images;
  std::vector<Tensor> features;
  std::vector<int64_t> labels;
  auto next = part.chosen.begin();
  for (int64_t begin = 0; begin < images; begin += kImagesAtOnce) {
    const int64_t end = std::min(begin + kImagesAtOnce, images);
    std::vector<int64_t> rows;
    for (; next != part.chosen.end() && *next < end * patches; ++next) {
      rows.push_back(*next - begin * patches);
      labels.push_back(part.labels[size_t(*next)]);
    }
    tick(end, images);
    if (rows.empty()) continue;
    const std::span<const data::Image> shown(part.images.data() + begin, size_t(end - begin));
    const Tensor x = feature_of(preprocessing_.batch(shown)).to(DType::f32).contiguous();
    check<ShapeError>(x.rank() == 3 && x.size(1) == patches, "patches", "features are {}, they must be [B, {}, D]",
                      x.shape(), patches);
    const int64_t count = std::ssize(rows);
    features.push_back(core::index_select(x.reshape({-1, x.size(2)}), 0, tensor(rows, {count})));
    expect_finite(features.back(), "patches", [&](int64_t i) {
      return "patch " + std::to_string(rows[size_t(i)] % patches) + " of image " +
             std::to_string(begin + rows[size_t(i)] / patches);
    });
  }
  const int64_t count = std::ssize(labels);
  return {core::l2_normalize(core::concat(features, 0)).y, tensor(labels, {count})};
}

double CutOuts::val_things() const { return share(val_.labels, kThing, std::ssize(val_.chosen)); }
double CutOuts::val_mixed() const { return share(val_.labels, kNeither, std::ssize(val_.labels)); }

PatchScore score_patches(const std::vector<int64_t>& predicted, const std::vector<int64_t>& labels) {
  check<ShapeError>(predicted.size() == labels.size(), "patches", "{} predictions for {} labels", predicted.size(),
                    labels.size());
  std::array<double, 2> right{}, asked{}, said{};
  for (size_t i = 0; i < labels.size(); ++i) {
    ++asked[size_t(labels[i])];
    ++said[size_t(predicted[i])];
    if (predicted[i] == labels[i]) ++right[size_t(labels[i])];
  }
  PatchScore score;
  for (size_t kind = 0; kind < 2; ++kind) {
    const double either = asked[kind] + said[kind] - right[kind];
    if (asked[kind] > 0) score.accuracy += right[kind] / asked[kind] / 2;
    if (either > 0) score.miou += right[kind] / either / 2;
  }
  return score;
}

PatchScore patch_knn(const PatchSet& train, const PatchSet& val, const KnnOptions& options) {
  const Tensor votes = knn_votes(train.features, train.labels, val.features, /*classes=*/2, options);
  return score_patches(integers(core::argmax(votes, 1)), integers(val.labels));
}

PatchScore patch_majority(const PatchSet& val) {
  const std::vector<int64_t> labels = integers(val.labels);
  const int64_t things = std::accumulate(labels.begin(), labels.end(), int64_t{0});
  return score_patches(std::vector<int64_t>(labels.size(), 2 * things > std::ssize(labels) ? kThing : kBackground),
                       labels);
}

}  // namespace vitrail::recipes
