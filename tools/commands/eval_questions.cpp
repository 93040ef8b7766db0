#include "tools/commands/eval_questions.h"

#include "tools/commands/confusion.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/methods/llava_chat.h"
#include "vitrail/recipes/methods/llava_eval.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <utility>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr size_t kMostAnswers = 64;    // different right answers for which a confusion matrix is made
constexpr size_t kExamplesDrawn = 48;  // half of them wrong answers, if there are so many

/// A file is evaluated whole; a folder has parts.
std::vector<std::string> changes_of(const QuestionArguments& arguments) {
  std::vector<std::string> changes = arguments.changes;
  for (const std::string& word : arguments.words) {
    const bool is_change = word.find('=') != std::string::npos;
    const char* const key = std::filesystem::is_regular_file(word) ? "data.val_root" : "data.root";
    changes.push_back(is_change ? word : fmt::format("{}='{}'", key, word));
  }
  return changes;
}

std::string_view right_answer(const LlavaEvalData& data, const AnsweredQuestion& question) {
  return last_answer(data.talks.samples[size_t(question.sample)]);
}

/// Right answers as rows, given ones as columns: those of the data, and last all others as one.
struct AnswerConfusion {
  std::vector<std::string> names;
  Tensor counts;  // i64 [K, K]; undefined if there are too many answers
};

AnswerConfusion confuse(const LlavaEvalData& data, const LlavaScores& scores) {
  std::map<std::string, int64_t> number;
  for (const AnsweredQuestion& question : scores.answered) number.emplace(right_answer(data, question), 0);
  if (number.empty() || number.size() > kMostAnswers) return {};
  AnswerConfusion result;
  for (auto& [name, place] : number) {
    place = int64_t(result.names.size());
    result.names.push_back(name);
  }
  const auto others = int64_t(result.names.size());
  result.names.emplace_back("(another answer)");
  result.counts = zeros({others + 1, others + 1}, DType::i64);
  for (const AnsweredQuestion& question : scores.answered) {
    const auto given = std::find_if(number.begin(), number.end(),
                                    [&](const auto& known) { return same_answer(known.first, question.answer); });
    const int64_t row = number.at(std::string(right_answer(data, question)));
    ++result.counts.data<int64_t>()[row * (others + 1) + (given == number.end() ? others : given->second)];
  }
  return result;
}

/// Wrong answers first.
void draw_examples(const std::string& file, const LlavaEvalData& data, const LlavaScores& scores) {
  std::vector<const AnsweredQuestion*> wrong, right, shown;
  for (const AnsweredQuestion& question : scores.answered)
    (same_answer(question.answer, right_answer(data, question)) ? right : wrong).push_back(&question);
  const size_t wrong_shown = std::min(wrong.size(), kExamplesDrawn - std::min(right.size(), kExamplesDrawn / 2));
  const auto spread = [&](const std::vector<const AnsweredQuestion*>& from, size_t count) {
    for (size_t i = 0; i < count; ++i) shown.push_back(from[i * from.size() / count]);
  };
  spread(wrong, wrong_shown);
  spread(right, std::min(right.size(), kExamplesDrawn - wrong_shown));
  std::vector<data::Image> images;
  std::vector<std::string> captions;
  for (const AnsweredQuestion* const question : shown) {
    const int64_t image = data.talks.image_of[size_t(question->sample)];
    if (image == data::kNoImage) continue;
    std::string asked(last_question(data.talks.samples[size_t(question->sample)]));
    if (asked.starts_with("<image>\n")) asked.erase(0, 8);
    const std::string truth(right_answer(data, *question));
    images.push_back(data.talks.images->get(image).image);
    captions.push_back(fmt::format("{} {}{}", asked, question->answer,
                                   same_answer(question->answer, truth) ? "" : " (no: " + truth + ")"));
  }
  check<DataError>(!images.empty(), "eval", "no question about an image was answered; --examples has nothing to draw");
  data::write_png(file, data::contact_sheet(images, captions, {.columns = 6, .cell = 256}));
}

void print_json(const ChatModel& model, const LlavaEvalData& data, const LlavaScores& scores,
                const std::vector<std::string>& files) {
  const DataConfig& config = model.settings->data;
  nlohmann::ordered_json result = {{"checkpoint", model.source.string()}, {"data", place_of(evaluated(config))},
                                   {"split", config.val_split},           {"conversations", scores.conversations},
                                   {"questions", scores.all.questions},   {"left_out", scores.left_out}};
  for (const auto& [name, value] : scores.stats()) result[name] = value;
  auto& answers = result["answers"] = nlohmann::ordered_json::array();
  for (const AnsweredQuestion& question : scores.answered) {
    nlohmann::ordered_json row = {{"question", last_question(data.talks.samples[size_t(question.sample)])},
                                  {"right", right_answer(data, question)},
                                  {"answer", question.answer}};
    if (scores.blank) row["blank"] = question.blank;
    const int64_t image = data.talks.image_of[size_t(question.sample)];
    if (image != data::kNoImage) row["image"] = data.talks.images->name(image);
    answers.push_back(std::move(row));
  }
  result["confusion"] = files;
  fmt::print("{}\n", json_text(result));
}

void print_table(const ChatModel& model, const LlavaScores& scores, const AnswerConfusion& confusion) {
  const auto percent = [](double share) { return fmt::format("{:.1f}%", 100 * share); };
  if (scores.all.questions > 0) {
    std::vector<Row> rows{{"questions", "number", "right"}};
    if (scores.blank) rows[0].emplace_back("blank image");
    const auto add = [&](const std::string& name, const RightAnswers& of) {
      if (of.questions == 0) return;
      rows.push_back({name, std::to_string(of.questions), percent(of.accuracy())});
      if (scores.blank) rows.back().push_back(percent(of.accuracy_blank()));
    };
    for (size_t i = 0; i < scores.families.size(); ++i) add(scores.families[i], scores.by_family[i]);
    add("all", scores.all);
    fmt::print("{}", to_table(rows));
  }
  fmt::print("{} on {}: {} conversations{}: loss {:.4f}", model.source.string(), evaluated_name(model.settings->data),
             scores.conversations,
             scores.left_out > 0 ? fmt::format(" ({} about broken images left out)", scores.left_out) : "",
             scores.loss);
  if (scores.all.questions > 0) fmt::print(", {:.2f}% right", 100 * scores.all.accuracy());
  if (scores.ranked > 0)
    fmt::print(", the right sentence of {} is the likeliest for {} of {} images", model.settings->eval.candidates,
               percent(double(scores.ranked_first) / double(scores.ranked)), scores.ranked);
  fmt::print("\n");
  const std::string confused = confusion.counts.defined() ? most_confused(confusion.counts, confusion.names) : "";
  if (!confused.empty()) fmt::print("most confused: {}\n", confused);
}

}  // namespace

void eval_questions(const QuestionArguments& arguments) {
  const PublishedArguments& published = arguments.published;
  const ChatModel model =
      open_chat_model(arguments.model,
                      {.changes = changes_of(arguments), .accept_keys = published.accept_keys, .base = published.base});
  print_notes(arguments.model, model.notes);
  const LlavaConfig& settings = *model.settings;
  LlavaEvalData data = open_eval_talks(settings);
  for (data::Conversation& talk : data.talks.samples)
    if (!talk.system) talk.system = model.system;
  data::BadFiles bad_files = bad_files_policy(settings.data);
  const ag::Autocast precision(model.precision);
  TerminalProgress progress;
  const LlavaScores scores = evaluate_llava(*model.llava, model.words(), data, settings, model.preprocessing, bad_files,
                                            progress.tick("eval"));
  progress.report(bad_files);
  const AnswerConfusion confusion = confuse(data, scores);
  const std::vector<std::string> files = confusion_files(arguments.confusion, confusion.names.size());
  check<ConfigError>(files.empty() || confusion.counts.defined(), "eval",
                     "--confusion needs at most {} different answers", kMostAnswers);
  if (arguments.json)
    print_json(model, data, scores, files);
  else
    print_table(model, scores, confusion);
  std::fflush(stdout);  // the result is seen even if a file cannot be written
  for (const std::string& file : files) {
    write_confusion(file, confusion.counts, confusion.names);
    if (!arguments.json) fmt::print("confusion matrix: {}\n", file);
  }
  if (arguments.examples.empty()) return;
  draw_examples(arguments.examples, data, scores);
  if (!arguments.json) fmt::print("examples: {}\n", arguments.examples);
}

}  // namespace vitrail::tools
