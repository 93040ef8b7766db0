// vitrail zero-shot: which of some sentences fits a picture.
#include "autograd/scope.h"
#include "core/error.h"
#include "core/ops.h"
#include "data/text/lines.h"
#include "recipes/clip_model.h"
#include "tools/commands/arguments.h"
#include "tools/commands/commands.h"
#include "tools/commands/pictures.h"
#include "tools/commands/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr int64_t kMostPictures = int64_t{1} << 20;

struct Options {
  std::string checkpoint, pictures;
  std::vector<std::string> labels;
  std::string names, templates;
  int64_t top = 5;
  bool json = false;
};

std::vector<std::string> names_of(const Options& o) {
  std::vector<std::string> names = o.labels;
  if (!o.names.empty())
    for (std::string& line : data::read_lines(o.names)) names.push_back(std::move(line));
  check<ConfigError>(!names.empty(), "zero-shot", "no classes: give sentences with --labels, or a file with --names");
  return names;
}

/// Probabilities of the classes: [B, C].
Tensor probabilities(TrainedClip& clip, const Tensor& images, const Tensor& weights) {
  const Tensor features = core::l2_normalize(image_features(*clip.model)(images).to(DType::f32)).y;
  const double scale = std::exp(clip.model->logit_scale.value().item());
  const Tensor logits = core::matmul(features, weights, core::Trans::no, core::Trans::yes);
  return core::softmax(core::mul(logits, scalar(scale)));
}

void zero_shot(const Options& o) {
  TrainedClip clip = load_trained_clip(o.checkpoint);
  const std::vector<std::string> names = names_of(o);
  const std::vector<std::string> templates =
      o.templates.empty() ? std::vector<std::string>{"{}"} : data::read_lines(o.templates);
  const ag::Autocast precision(parse_dtype(clip.settings->precision));
  const Tensor weights = zero_shot_weights(text_features(*clip.model, clip.tokenizer), names, templates);

  const data::ImageTransform transform = eval_transform(clip.settings->data);
  const int64_t k = std::min(o.top, int64_t(names.size()));
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (const Picture& picture : read_pictures(o.pictures, kMostPictures)) {
    Rng unused(0, "zero-shot");
    const data::Image seen = transform.augmented(picture.image, unused);
    const auto best = core::topk(probabilities(clip, to_input(seen, clip.settings->data), weights), k);
    const auto values = best.values.to_vector();
    const auto places = best.indices.span<int64_t>();
    std::vector<Row> rows;
    auto found = nlohmann::ordered_json::array();
    for (size_t i = 0; i < size_t(k); ++i) {
      const std::string& name = names[size_t(places[i])];
      rows.push_back({"  " + name, fmt::format("{:.2f}%", 100 * values[i])});
      found.push_back({{"label", name}, {"probability", values[i]}});
    }
    if (o.json)
      result.push_back({{"picture", picture.name}, {"labels", std::move(found)}});
    else
      fmt::print("{}\n{}", picture.name, to_table(rows));
  }
  if (o.json) fmt::print("{}\n", result.dump());
}

}  // namespace

void add_zero_shot(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("zero-shot", "Says which of some sentences fits a picture, and how surely.");
  command->add_option("checkpoint", o->checkpoint, "folder of a CLIP run, or one of its checkpoints")->required();
  command->add_option("pictures", o->pictures, "a picture, or a folder of them")->required();
  command->add_option("--labels", o->labels, "sentences or names to choose from");
  command->add_option("--names", o->names, "file with one on each line")->check(CLI::ExistingFile);
  command->add_option("--templates", o->templates, "file with a prompt on each line, {} for the name")
      ->check(CLI::ExistingFile);
  command->add_option("-k,--top", o->top, "how many to show")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_flag("--json", o->json, "for programs");
  command->footer("Example: vitrail zero-shot runs/clip dog.jpg --labels \"a dog\" \"a cat\" \"a diagram\"");
  command->callback([o] { zero_shot(*o); });
}

}  // namespace vitrail::tools
