// vitrail retrieval: evaluates a CLIP run, and draws queries with their nearest images and texts.
#include "tools/commands/commands.h"
#include "tools/commands/model_arguments.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/eval/image_retrieval.h"
#include "vitrail/recipes/methods/clip_eval.h"
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

constexpr int64_t kCell = 112;

struct Options {
  ModelArguments arguments;
  std::string out;
  int64_t count = 8, answers = 6;
  bool json = false;
};

/// Rows of an image query and its nearest texts, then rows of a text query and its nearest images. A text is the
/// caption of the first image that has it.
data::Image sheet(const OpenModel& model, ClipEvalData& data, const Options& o, TerminalProgress& progress) {
  const EvalPairs& pairs = *data.pairs();
  const FeatureSet set =
      normalized(extract_features(model.image_features, *data.loader(*pairs.images), progress.tick("features")));
  const Tensor& images = set.features;  // without broken images
  const Answers right = answers_among(pairs, set.indices);
  const Tensor texts = core::l2_normalize(model.text_features(right.texts)).y;
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  const auto add = [&](int64_t row, const std::string& caption) {
    cells.push_back(pairs.images->get(set.indices[size_t(row)]).image);
    captions.push_back(caption);
  };
  const auto first_text = [&](int64_t row) { return right.texts_of[size_t(row)][0]; };
  const auto text_of = [&](int64_t row) { return right.texts[size_t(first_text(row))]; };
  const int64_t all = images.size(0), count = std::min(o.count, all);
  for (const bool from_image : {true, false}) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = i * all / count, text = first_text(row);  // spread over the split
      add(row, (from_image ? "image: " : "text: ") + text_of(row));
      const Tensor& known = from_image ? texts : images;
      const Tensor asked = from_image ? images.slice(0, row, row + 1) : texts.slice(0, text, text + 1);
      for (const int64_t answer : nearest(asked, known, std::min(o.answers, known.size(0))).span<int64_t>()) {
        const int64_t shown = from_image ? right.images_of[size_t(answer)][0] : answer;
        add(shown, from_image ? right.texts[size_t(answer)] : text_of(shown));
      }
    }
  }
  return data::contact_sheet(cells, captions, {.columns = 1 + o.answers, .cell = kCell});
}

void retrieval(const Options& o) {
  const OpenModel model = o.arguments.open();
  const auto* const settings = dynamic_cast<const ClipConfig*>(model.settings.get());
  check<ConfigError>(settings != nullptr, "retrieval",
                     "{} is not of a run of the method clip; a published CLIP answers vitrail zero-shot and search",
                     model.source.string());
  data::BadFiles bad_files = bad_files_policy(settings->data);
  ClipEvalData data(*settings, bad_files);
  check<DataError>(data.pairs() || data.classes(), "retrieval", "{}",
                   data.notes().empty() ? std::string("no data to evaluate on") : data.notes().front());
  if (data.pairs()) note_cut_texts(model, data.pairs()->texts);
  if (data.classes()) note_cut_texts(model, prompts(data.classes()->names, data.classes()->templates));
  TerminalProgress progress;
  for (const std::string& note : data.notes()) progress.message(note);
  const ag::Autocast precision(settings->precision);
  const Stats stats = evaluate_clip(model.image_features, model.text_features, data, progress.tick("eval"));
  progress.report(bad_files);
  if (o.json) {
    nlohmann::ordered_json result = {{"checkpoint", model.source.string()},
                                     {"data", evaluated(settings->data).root},
                                     {"left_out", bad_files.list().size()}};
    for (const auto& [name, value] : stats) result[name] = value;
    fmt::print("{}\n", json_text(result));
  } else {
    std::vector<Row> rows;
    for (const auto& [name, value] : stats)
      rows.push_back({name, name.ends_with("images") ? fmt::format("{:.0f}", value)
                            : name.ends_with("rank") ? fmt::format("{:.1f}", value)
                                                     : fmt::format("{:.1f}%", 100 * value)});
    fmt::print("{}", to_table(rows));
  }
  if (o.out.empty()) return;
  check<DataError>(data.pairs().has_value(), "retrieval", "no pairs to draw: {}", data.notes().front());
  data::write_png(o.out, sheet(model, data, o, progress));
  if (!o.json) fmt::print("{}: images with the nearest texts, then texts with the nearest images\n", o.out);
}

}  // namespace

void add_retrieval(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command(
      "retrieval", "Evaluates a CLIP run: retrieval between images and texts, and zero-shot classification.");
  o->arguments.add_to(command, "other pairs", "folder or checkpoint of a run of the method clip");
  command.option("-o,--out", o->out, "PNG file for some queries with their results");
  command.option("-n,--count", o->count, "queries to draw, in each direction").range(1, 64);
  command.option("-k", o->answers, "results per query").range(1, 32);
  command.flag("--json", o->json, "print JSON");
  command.example("vitrail retrieval runs/clip_emoji-2025-01-31-1 -o answers.png");
  command.action([o] { retrieval(*o); });
}

}  // namespace vitrail::tools
