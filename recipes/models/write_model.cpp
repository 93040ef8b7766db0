#include "vitrail/recipes/models/write_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

const nn::Layout& chosen_layout(const PublishedModel& model, std::string_view name) {
  if (name == "hf") return model.architecture->hugging_face_layout();
  const nn::Layout& layout = nn::layout_named(name);
  const ModelFamily& family = model.architecture->family();
  check<ConfigError>(layout.family == family.family, "layout",
                     "{} is a layout of the family {}, but {} is of the family {}", layout.title,
                     model_family(layout.family).name, model.source.string(), family.name);
  return layout;
}

/// Throws ConfigError for options that the layout cannot express.
void check_expressible(const PublishedModel& model, const nn::Layout& layout) {
  const nn::VitConfig& c = model.architecture->vision();
  check<ConfigError>(layout.name == "timm" || c.pos_embed == nn::PosEmbed::cls_and_patches, "layout",
                     "models of {} have a position for the class token and none for registers; this one has others",
                     layout.title);
  check<ConfigError>(layout.name != "openai_clip" || c.gelu == ag::Gelu::quick, "layout",
                     "OpenAI's CLIP always has QuickGELU, this model has another activation: open_clip can say so");
}

std::string gelu_text(ag::Gelu gelu) {
  return gelu == ag::Gelu::erf ? "GELU" : gelu == ag::Gelu::quick ? "QuickGELU" : "GELU's tanh approximation";
}

/// Notes the facts that a weights file does not store. Its reader must supply them.
void note_unwritten(const PublishedModel& model, const nn::Layout& layout, std::vector<std::string>& notes) {
  const nn::VitConfig& c = model.architecture->vision();
  std::string text = fmt::format("{} heads, eps {} in norms, {}", c.num_heads, c.ln_eps, gelu_text(c.gelu));
  if (c.ln_eps != layout.ln_eps || c.gelu != layout.gelu)
    text += fmt::format("; {} has eps {} and {} unless told otherwise", layout.title, layout.ln_eps,
                        gelu_text(layout.gelu));
  notes.push_back("the file of weights does not say what model they are of: " + text);
}

/// Writes the files of Hugging Face's CLIPTokenizer.
void write_tokenizer(const data::Vocabulary& vocabulary, int64_t context_length, const fs::path& out,
                     std::vector<fs::path>& files) {
  vocabulary.save(out);
  const std::string &start = vocabulary.symbol(vocabulary.start_of_text()),
                    &end = vocabulary.symbol(vocabulary.end_of_text());
  const Json special = Json::object({{"bos_token", start}, {"eos_token", end}, {"pad_token", end}, {"unk_token", end}});
  Json config = Json::object(
      {{"tokenizer_class", "CLIPTokenizer"}, {"do_lower_case", true}, {"model_max_length", context_length}});
  config.update(special);
  durable_write(out / "special_tokens_map.json", special.text(2) + "\n");
  durable_write(out / "tokenizer_config.json", config.text(2) + "\n");
  for (const char* name : {"merges.txt", "vocab.json", "special_tokens_map.json", "tokenizer_config.json"})
    files.push_back(out / name);
}

}  // namespace

WrittenModel write_model(const PublishedModel& model, std::string_view name, const fs::path& out) {
  const nn::Layout& layout = chosen_layout(model, name);
  check_expressible(model, layout);
  nn::Converted converted = nn::to_layout(layout, model.weights);
  WrittenModel written{.files = {}, .notes = std::move(converted.notes)};
  const auto metadata = to_metadata(model.architecture->unwritten(), model.classes);

  const bool file = out.extension() == ".safetensors", hf = layout.name.starts_with("hf_"),
             open_clip = layout.name == "open_clip";
  if (file) {
    safetensors::save(out, converted.weights, metadata);
    written.files.push_back(out);
    note_unwritten(model, layout, written.notes);
    return written;
  }
  check<ConfigError>(hf || open_clip, "layout", "the layout of {} is a file of weights: '{}' must end in .safetensors",
                     layout.title, out.string());
  const auto texts = model.architecture->files(model, layout);
  const nn::TextConfig* const text = model.architecture->text();
  std::optional<data::Vocabulary> vocabulary;
  if (text && model.vocabulary) {
    vocabulary = model.vocabulary();
    check<ConfigError>(vocabulary->size() == text->vocab_size, "vocabulary", "it has {} symbols, the model {}",
                       vocabulary->size(), text->vocab_size);
  }

  std::error_code error;
  fs::create_directories(out, error);
  check<IoError>(!error, "layout", "{}: cannot make the folder: {}", out.string(), error.message());
  const fs::path weights = out / (open_clip ? "open_clip_model.safetensors" : "model.safetensors");
  safetensors::save(weights, converted.weights, metadata);
  written.files.push_back(weights);
  for (const auto& [name_of_file, content] : texts) {
    durable_write(out / name_of_file, content);
    written.files.push_back(out / name_of_file);
  }
  if (vocabulary) write_tokenizer(*vocabulary, text->context_length, out, written.files);
  if (text && !vocabulary && hf) written.notes.emplace_back("no tokenizer is written: no vocabulary is known");
  return written;
}

}  // namespace vitrail::recipes
