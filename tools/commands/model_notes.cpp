#include "tools/commands/model_notes.h"

#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/build/build_model.h"

#include <fmt/format.h>

#include <cstdio>

namespace vitrail::tools {

namespace {

/// The first characters of a long text.
std::string beginning(const std::string& text) {
  constexpr size_t kLongest = 60;
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // inside a UTF-8 character
  return text.substr(0, end) + "...";
}

}  // namespace

Option add_network_option(const Command& command, std::string& network) {
  return command
      .option("--network", network, "of a checkpoint with a student and a teacher, as DINO's; without it: the teacher")
      .choices({"teacher", "student"});
}

void print_notes(const std::string& model, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) std::fputs(fmt::format("{}: {}\n", model, note).c_str(), stderr);
}

recipes::OpenModel open_with_notes(const std::string& model, const std::vector<std::string>& changes,
                                   const recipes::PublishedOptions& options) {
  recipes::OpenModel opened = recipes::open_model(model, changes, options);
  print_notes(model, opened.notes);
  return opened;
}

void resample_positions(const std::string& model, recipes::OpenModel& opened, int64_t side, const std::string& rule) {
  auto* const transformer = dynamic_cast<nn::VisionTransformer*>(opened.backbone.get());
  if (!transformer) return;
  nn::VitConfig& config = transformer->config;
  for (const auto& known : recipes::position_rules())
    if (known.name == rule) config.pos_interp = known.value;
  if (side != config.img_size)
    print_notes(model, {fmt::format("positions for images of {} are resampled by the rule '{}' (--positions)",
                                    config.img_size, recipes::name_of(config.pos_interp))});
}

Option add_positions_option(const Command& command, std::string& rule) {
  std::vector<std::string> rules;
  for (const auto& known : recipes::position_rules()) rules.emplace_back(known.name);
  return command
      .option("--positions", rule, "rule that resamples positions for another size; without it: the model's own")
      .choices(rules);
}

void note_cut_texts(const recipes::OpenModel& model, std::span<const std::string> texts) {
  constexpr size_t kNamed = 5;
  if (!model.symbols_cut) return;
  size_t count = 0;
  std::vector<std::string> notes;
  for (const std::string& text : texts) {
    const int64_t cut = model.symbols_cut(text);
    if (cut == 0 || ++count > kNamed) continue;
    notes.push_back(fmt::format("the text \"{}\" is too long: its last {} symbols are cut off", beginning(text), cut));
  }
  if (count > kNamed) notes.push_back(fmt::format("{} texts in all are too long", count));
  print_notes(model.source.string(), notes);
}

}  // namespace vitrail::tools
