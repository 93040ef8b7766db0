// vitrail zero-shot: which of some texts fits an image best.
#include "tools/commands/commands.h"
#include "tools/commands/feature_arguments.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/io/lines.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  FeatureArguments arguments;
  std::vector<std::string> labels;
  std::string names, templates;
  int64_t top = 5;
  bool json = false;
};

std::vector<std::string> names_of(const Options& o) {
  std::vector<std::string> names = o.labels;
  if (!o.names.empty())
    for (std::string& line : data::read_lines(o.names)) names.push_back(std::move(line));
  check<ConfigError>(!names.empty(), "zero-shot", "no classes: give texts with --labels, or a file with --names");
  return names;
}

void zero_shot(const Options& o) {
  const std::vector<std::string> names = names_of(o);
  const std::vector<std::string> templates =
      o.templates.empty() ? std::vector<std::string>{"{}"} : data::read_lines(o.templates);
  const NamedImages images = o.arguments.named_images();
  const OpenModel model = o.arguments.open();
  expect_texts(model, "zero-shot");
  note_cut_texts(model, prompts(names, templates));

  TerminalProgress progress;
  const ImageFeatures asked = features_of(model, images, o.arguments, true, progress);
  const ag::Autocast precision(parse_dtype(o.arguments.precision));
  const Tensor weights = zero_shot_weights(model.text_features, names, templates);
  const Tensor logits =
      core::mul(core::matmul(asked.features, weights, core::Trans::no, core::Trans::yes), scalar(model.logit_scale));
  const int64_t k = std::min(o.top, int64_t(names.size()));
  const auto best = core::topk(core::softmax(logits), k);
  const auto values = best.values.span<float>();
  const auto places = best.indices.span<int64_t>();

  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (size_t p = 0; p < asked.names.size(); ++p) {
    std::vector<Row> rows;
    auto found = nlohmann::ordered_json::array();
    for (size_t i = p * size_t(k); i < (p + 1) * size_t(k); ++i) {
      const std::string& name = names[size_t(places[i])];
      rows.push_back({"  " + name, fmt::format("{:.2f}%", 100 * values[i])});
      found.push_back({{"label", name}, {"probability", values[i]}});
    }
    if (o.json)
      result.push_back({{"picture", asked.names[p]}, {"labels", std::move(found)}});
    else
      fmt::print("{}\n{}", on_one_line(asked.names[p]), to_table(rows));
  }
  if (o.json) fmt::print("{}\n", json_text(result));
}

}  // namespace

void add_zero_shot(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("zero-shot", "Classifies images by the texts that fit them best, with probabilities.");
  o->arguments.add_to(command);
  command.option("--labels", o->labels, "texts or class names to choose from");
  command.option("--names", o->names, "file with one label per line, or a pipe: <(...)").existing_file();
  command.option("--templates", o->templates, "file with one prompt per line, with {} for the label").existing_file();
  command.option("-k,--top", o->top, "labels to show per image").positive();
  command.flag("--json", o->json, "print JSON");
  command.example("vitrail zero-shot dog.jpg --model clip/ --labels \"a dog\" \"a cat\" \"a diagram\"");
  command.action([o] { zero_shot(*o); });
}

}  // namespace vitrail::tools
