// vitrail eval: how well a trained model classifies.
#include "tools/commands/commands.h"
#include "tools/commands/confusion.h"
#include "tools/commands/eval_questions.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/data/io/lines.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/eval/zero_shot.h"
#include "vitrail/recipes/methods/llava_chat.h"
#include "vitrail/recipes/models/open_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr int64_t kBest = 5;            // top-5
constexpr size_t kMostEmptyRows = 100;  // classes; with more, those without an image are not listed

struct Options {
  ModelArguments arguments;
  std::string confusion, templates, examples;
  bool json = false;
};

struct Result {
  std::vector<std::string> names;  // of the model's classes
  Scores scores;
  Confusion confusion;  // undefined for so many classes that nobody reads it
  int64_t left_out = 0;
  std::vector<std::string> files;  // to write the confusion matrix to
};

double share(int64_t part, int64_t all) { return all == 0 ? 0 : double(part) / double(all); }

void print_json(const OpenModel& model, const Result& r) {
  const DataConfig& config = model.eval.data;
  nlohmann::ordered_json result = {{"checkpoint", model.source.string()}, {"averaged", model.averaged},
                                   {"data", evaluated(config).root},      {"split", config.val_split},
                                   {"pictures", r.scores.all.images},     {"left_out", r.left_out}};
  for (const auto& [name, value] : r.scores.stats()) result[name] = value;
  auto& classes = result["classes"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < r.names.size(); ++i) {
    const ClassScore& c = r.scores.classes[i];
    classes.push_back({{"name", r.names[i]},
                       {"pictures", c.images},
                       {"top1", share(c.top1, c.images)},
                       {"top5", share(c.top5, c.images)}});
  }
  result["confusion"] = r.files;
  fmt::print("{}\n", json_text(result));
}

/// The last column is left out for so few classes that it would be 100%.
std::string summary(const Scores& s) {
  std::string text = fmt::format("loss {:.4f}, top-1 {:.2f}%", s.loss, 100 * share(s.all.top1, s.all.images));
  if (int64_t(s.classes.size()) > kBest) text += fmt::format(", top-5 {:.2f}%", 100 * share(s.all.top5, s.all.images));
  return text;
}

void print_table(const OpenModel& model, const Result& r) {
  const bool many = int64_t(r.names.size()) > kBest;
  std::vector<Row> rows{{"class", "images", "top-1"}};
  if (many) rows[0].emplace_back("top-5");
  const auto add = [&](const std::string& name, const ClassScore& c) {
    const auto percent = [&c](int64_t right) {
      return c.images == 0 ? std::string("-") : fmt::format("{:.1f}%", 100 * share(right, c.images));
    };
    rows.push_back({name, std::to_string(c.images), percent(c.top1)});
    if (many) rows.back().push_back(percent(c.top5));
  };
  const auto& classes = r.scores.classes;
  const auto empty = std::count_if(classes.begin(), classes.end(), [](const ClassScore& c) { return c.images == 0; });
  const bool all = r.names.size() <= kMostEmptyRows;
  for (size_t i = 0; i < r.names.size(); ++i)
    if (all || classes[i].images > 0) add(r.names[i], classes[i]);
  add("all", r.scores.all);
  fmt::print("{}", to_table(rows));
  if (!all && empty > 0) fmt::print("{} classes have no images and are not listed\n", empty);
  fmt::print("{} on {}{}: {}: {}\n", model.source.string(), evaluated_name(model.eval.data),
             model.averaged ? ", averaged weights" : "", images_text(r.scores.all.images, r.left_out),
             summary(r.scores));
  constexpr const char* kHeads[] = {"class token alone", "distillation token alone"};
  for (size_t i = 0; i < r.scores.heads.size(); ++i) fmt::print("{}: {}\n", kHeads[i], summary(r.scores.heads[i]));
  const std::string confused = r.confusion.defined() ? most_confused(r.confusion, r.names) : "";
  if (!confused.empty()) fmt::print("most confused: {}\n", confused);
}

/// A CLIP classifies by texts: the names of the data's classes in the templates.
FeatureOf text_classifier(const Options& o, const OpenModel& model, const std::vector<std::string>& names) {
  const std::vector<std::string> templates =
      o.templates.empty() ? std::vector<std::string>{"{}"} : data::read_lines(o.templates);
  return zero_shot_classifier(model.image_features, zero_shot_weights(model.text_features, words_of(names), templates),
                              model.logit_scale);
}

void eval(const Options& o) {
  if (is_chat_model(o.arguments.checkpoint, o.arguments.published.base)) {
    eval_questions({.model = o.arguments.checkpoint,
                    .words = o.arguments.rest,
                    .changes = o.arguments.background.changes(),
                    .published = o.arguments.published,
                    .confusion = o.confusion,
                    .examples = o.examples,
                    .json = o.json});
    return;
  }
  check<ConfigError>(o.examples.empty(), "eval", "--examples draws answers to questions, which this model cannot give");
  const OpenModel model = o.arguments.open();
  const bool clip = model.text_features && !model.classify;
  if (!clip) expect_classes(model, "eval");
  const DataConfig& config = model.eval.data;
  TerminalProgress progress;
  MatchedData data{.images = open_evaluated(config), .note = "the names of the classes are the texts of a CLIP"};
  if (!clip) data = match_data(model, std::move(data.images), "eval");
  if (!data.note.empty()) progress.message("[eval] " + data.note);
  const data::Dataset& images = *data.images;

  Result result{.names = images.classes(), .scores = {}, .confusion = {}, .files = {}};
  const auto classes = int64_t(result.names.size());
  result.files = confusion_files(o.confusion, result.names.size());
  if (!result.files.empty() || result.names.size() <= kMostDrawn)
    result.confusion = zeros({classes, classes}, DType::i64);
  data::BadFiles bad_files = bad_files_policy(config);
  const ag::Autocast precision(model.eval.precision);
  const auto loader = eval_loader(model, images, bad_files);
  const Tick tick = progress.tick("eval");
  Confusion* const confusion = result.confusion.defined() ? &result.confusion : nullptr;
  result.scores = clip ? evaluate(text_classifier(o, model, result.names), *loader, tick, confusion)
                       : evaluate(*model.backbone, *loader, tick, confusion);
  result.left_out = images.size() - result.scores.all.images;
  progress.report(bad_files);
  (o.json ? print_json : print_table)(model, result);
  std::fflush(stdout);  // the result is seen even if a file cannot be written
  for (const std::string& file : result.files) {
    write_confusion(file, result.confusion, result.names);
    if (!o.json) fmt::print("confusion matrix: {}\n", file);
  }
}

}  // namespace

void add_eval(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("eval",
                                          "Evaluates a classifier, or a CLIP as one: loss, top-1 and top-5 accuracy, "
                                          "per class too, and the confusion matrix. A model that sees (llava): the "
                                          "share of questions that it answers right, also about blank images.");
  o->arguments.add_to(command, "other data, whose classes are the model's by name; undivided data is evaluated whole");
  command.option("--confusion", o->confusion, "write the confusion matrix: NAME.csv, NAME.png, or NAME for both");
  command.option("--templates", o->templates, "CLIP: file with one prompt per line, with {} for the name of a class")
      .existing_file();
  command.option("--examples", o->examples,
                 "a model that sees: PNG with images, questions and answers, wrong ones first");
  command.flag("--json", o->json, "print one JSON object, with accuracies as fractions");
  command.example("vitrail eval runs/vit_digits-2025-01-31-1 photos/ data.val_split=train --confusion confusion.png");
  command.action([o] { eval(*o); });
}

}  // namespace vitrail::tools
