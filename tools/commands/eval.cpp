// vitrail eval: how well a trained model classifies.
#include "tools/commands/commands.h"
#include "tools/commands/confusion.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/models/open_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  ModelArguments arguments;
  std::string confusion = "confusion";
  bool json = false;
};

double share(int64_t part, int64_t all) { return all == 0 ? 0 : double(part) / double(all); }

void print_json(const OpenModel& model, const std::vector<std::string>& names, const Scores& scores,
                const std::vector<std::string>& files) {
  nlohmann::ordered_json result = {{"checkpoint", model.source.string()},
                                   {"averaged", model.averaged},
                                   {"data", model.eval.data.root},
                                   {"split", model.eval.data.val_split},
                                   {"pictures", scores.all.images}};
  for (const auto& [name, value] : scores.stats()) result[name] = value;
  auto& classes = result["classes"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < names.size(); ++i) {
    const ClassScore& c = scores.classes[i];
    classes.push_back({{"name", names[i]},
                       {"pictures", c.images},
                       {"top1", share(c.top1, c.images)},
                       {"top5", share(c.top5, c.images)}});
  }
  result["confusion"] = files;
  fmt::print("{}\n", json_text(result));
}

std::string summary(const Scores& s) {
  return fmt::format("loss {:.4f}, top-1 {:.2f}%, top-5 {:.2f}%", s.loss, 100 * share(s.all.top1, s.all.images),
                     100 * share(s.all.top5, s.all.images));
}

void print_table(const OpenModel& model, const std::vector<std::string>& names, const Scores& scores,
                 const std::vector<std::string>& files) {
  std::vector<Row> rows{{"class", "images", "top-1", "top-5"}};
  const auto add = [&rows](const std::string& name, const ClassScore& c) {
    const auto percent = [&c](int64_t right) {
      return c.images == 0 ? std::string("-") : fmt::format("{:.1f}%", 100 * share(right, c.images));
    };
    rows.push_back({name, std::to_string(c.images), percent(c.top1), percent(c.top5)});
  };
  for (size_t i = 0; i < names.size(); ++i) add(names[i], scores.classes[i]);
  add("all", scores.all);
  fmt::print("{}{} on {} of {}{}: {}\n", to_table(rows), model.source.string(), model.eval.data.val_split,
             model.eval.data.root, model.averaged ? ", averaged weights" : "", summary(scores));
  constexpr const char* kHeads[] = {"class token alone", "distillation token alone"};
  for (size_t i = 0; i < scores.heads.size(); ++i) fmt::print("{}: {}\n", kHeads[i], summary(scores.heads[i]));
  for (const std::string& file : files) fmt::print("confusion matrix: {}\n", file);
}

void eval(const Options& o) {
  const OpenModel model = o.arguments.open();
  expect_classes(model, "eval");
  const DataConfig& config = model.eval.data;
  const auto part = open_labelled(config, config.val_split);
  const int64_t classes = int64_t(part->classes().size());
  check<DataError>(classes == model.backbone->num_classes(), "eval", "{} has {} classes, but the model has {}",
                   config.root, classes, model.backbone->num_classes());

  data::BadFiles bad_files = bad_files_policy(config);
  TerminalProgress progress;
  const ag::Autocast precision(model.eval.precision);
  Confusion confusion;
  if (!o.confusion.empty()) confusion = zeros({classes, classes}, DType::i64);
  const Scores scores = evaluate(*model.backbone, *eval_loader(model, *part, bad_files), progress.tick("eval"),
                                 o.confusion.empty() ? nullptr : &confusion);
  progress.report(bad_files);
  std::vector<std::string> files;
  if (!o.confusion.empty()) files = write_confusion(o.confusion, confusion, part->classes());
  (o.json ? print_json : print_table)(model, part->classes(), scores, files);
}

}  // namespace

void add_eval(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command(
      "eval", "Evaluates a classifier: loss, top-1 and top-5 accuracy, per class too, and the confusion matrix.");
  o->arguments.add_to(command, "other data with the same classes");
  command.option("--confusion", o->confusion, "write the confusion matrix to this name with .csv and .png; '': do not");
  command.flag("--json", o->json, "print one JSON object, with accuracies as fractions");
  command.example("vitrail eval runs/vit_digits-2025-01-31-1 photos/ data.val_split=train");
  command.action([o] { eval(*o); });
}

}  // namespace vitrail::tools
