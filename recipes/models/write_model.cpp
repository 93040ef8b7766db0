#include "vitrail/recipes/models/write_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/data/image/background.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/vit_json.h"

#include <fmt/format.h>

#include <optional>
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
  check<ConfigError>(layout.name != "hf_deit_one_head", "layout", "{} is read and not written: timm can say the same",
                     layout.title);
  return layout;
}

/// Throws ConfigError for options that the layout cannot express.
void check_expressible(const PublishedModel& model, const nn::Layout& layout) {
  const nn::VitConfig& c = model.architecture->vision();
  check<ConfigError>(c.pos_embed != nn::PosEmbed::rope && c.window == 0, "layout",
                     "models of {} have a table of positions and global attention; this one has {}: use the run itself",
                     layout.title, c.window > 0 ? "windows" : "rotary positions");
  check<ConfigError>(layout.name == "timm" || c.pos_embed == nn::PosEmbed::cls_and_patches, "layout",
                     "models of {} have a position for the class token and none for registers; this one has others",
                     layout.title);
  check<ConfigError>(layout.name != "openai_clip" || c.gelu == ag::Gelu::quick, "layout",
                     "OpenAI's CLIP always has QuickGELU, this model has another activation: open_clip can say so");
  const nn::TextConfig* const text = model.architecture->text();
  const bool usual_clip = c.pre_norm && c.pool == nn::Pool::token && text && text->causal &&
                          text->pool == nn::TextPool::argmax && text->gelu == c.gelu;
  check<ConfigError>(layout.name != "openai_clip" || usual_clip, "layout",
                     "OpenAI's CLIP has a norm before the blocks of images, reads their class token and the end of "
                     "texts, and masks later tokens; this model differs: open_clip can say so");
}

/// Notes the facts that other programs do not find in a file of weights.
void note_unwritten(const PublishedModel& model, const nn::Layout& layout, std::vector<std::string>& notes) {
  const nn::VitConfig& c = model.architecture->vision();
  std::string text = fmt::format("{} heads, eps {} in norms, {}", c.num_heads, c.ln_eps, gelu_title(c.gelu));
  if (c.ln_eps != layout.ln_eps || c.gelu != layout.gelu)
    text += fmt::format("; {} has eps {} and {} unless told otherwise", layout.title, layout.ln_eps,
                        gelu_title(layout.gelu));
  notes.push_back("other programs must be told what Vitrail reads from the file's metadata: " + text);
  notes.push_back("the file does not say how images are prepared: " + model.preprocessing.text());
}

/// Whether DINOv2's network has arguments for this rule.
bool is_dinov2_rule(ag::PosInterp rule) {
  return rule == ag::PosInterp::scale_offset || rule == ag::PosInterp::size || rule == ag::PosInterp::size_antialias;
}

/// Notes how the DINOv2 repository builds the network that loads the file strictly. Its own functions know published
/// sizes alone.
void note_dinov2_network(const nn::VitConfig& c, const nn::Layout& layout, std::vector<std::string>& notes) {
  const std::optional<double> ratio = dinov2_mlp_ratio(c);
  if (layout.name != "dinov2" || !ratio) return;
  const bool scaled = c.layerscale_init != 0, swiglu = c.ffn == nn::Ffn::swiglu;
  std::string text = fmt::format(
      "the network in Python: DinoVisionTransformer(img_size={}, patch_size={}, embed_dim={}, depth={}, num_heads={}, "
      "mlp_ratio={}, qkv_bias={}, init_values={}, ffn_layer=\"{}\", num_register_tokens={}, block_chunks=0",
      c.img_size, c.patch_size, c.embed_dim, c.depth, c.num_heads, *ratio, c.qkv_bias ? "True" : "False",
      scaled ? "1.0" : "None", swiglu ? "swiglu" : "mlp", c.num_registers);
  if (is_dinov2_rule(c.pos_interp) && c.pos_interp != ag::PosInterp::scale_offset)
    text += fmt::format(", interpolate_offset=0.0, interpolate_antialias={}",
                        c.pos_interp == ag::PosInterp::size ? "False" : "True");
  notes.push_back(text + ")");
}

/// Notes that the layout's program gives other results for images of another size.
void note_positions(const PublishedModel& model, const nn::Layout& layout, std::vector<std::string>& notes) {
  const nn::VitConfig& c = model.architecture->vision();
  const ag::PosInterp rule = nn::position_rule(layout, c.num_registers > 0);
  if (rule == c.pos_interp || (layout.name == "dinov2" && is_dinov2_rule(c.pos_interp))) return;
  notes.push_back(
      fmt::format("for images of another size than {} {} resamples positions by the rule '{}', this model by "
                  "'{}': results differ there",
                  c.img_size, layout.title, name_of(rule), name_of(c.pos_interp)));
}

/// Throws ConfigError for a vision transformer whose weights have names in the layout, though the other program's model
/// computes something else from them.
void check_computes_same(const nn::VitConfig& c, const nn::Layout& layout) {
  const bool plain = layout.name == "torchvision" || layout.name.starts_with("dino");
  check<ConfigError>(!plain || (c.class_token && c.pool != nn::Pool::avg), "layout",
                     "models of {} read the class token, this model reads the mean of the patches: timm can say so",
                     layout.title);
  check<ConfigError>(!plain || c.gelu == ag::Gelu::erf || c.ffn == nn::Ffn::swiglu, "layout",
                     "models of {} always have GELU, this model has another activation: hf and timm can say so",
                     layout.title);
  check<ConfigError>(layout.name != "hf_deit" || c.distilled, "layout",
                     "models of {} have a distillation token, this model has none: hf_vit can say so", layout.title);
  check<ConfigError>(layout.name == "hf_dinov2" || c.pool != nn::Pool::token_and_avg || c.num_classes == 0, "layout",
                     "models of {} have no classifier on the class token and the mean of the patches: hf can say so",
                     layout.title);
}

/// Notes what the files of a folder cannot say about the preparation of images.
/// Throws ConfigError for a filter that open_clip does not have.
void note_preparation(const Preprocessing& here, const nn::Layout& layout, std::vector<std::string>& notes) {
  Preprocessing there = here;
  const bool open_clip = layout.name == "open_clip";
  there.crop_offset = open_clip ? data::CropOffset::half_even : data::CropOffset::floor;
  if (open_clip) {
    check<ConfigError>(here.filter == data::Filter::bicubic || here.filter == data::Filter::bilinear, "layout",
                       "open_clip resizes images with bicubic or bilinear weights, this model with {}: hf can say so",
                       data::to_string(here.filter));
    there.size = here.img_size();
    if (here.resize == Preprocessing::Resize::none) there.resize = Preprocessing::Resize::shorter;
  }
  if (there.text() != here.text())
    notes.push_back(
        fmt::format("{} prepares images otherwise: {}; this model: {}", layout.title, there.text(), here.text()));
  else if (there.crop_offset != here.crop_offset && here.crop > 0)
    notes.push_back(
        fmt::format("{} rounds the place of the crop otherwise: it is one pixel beside this model's where the margin "
                    "is an odd number of pixels",
                    layout.title));
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

/// The model's vocabulary, or nothing and a note if it is of a kind that is not built.
std::optional<data::Vocabulary> usable_vocabulary(const PublishedModel& model, std::vector<std::string>& notes) {
  try {
    return model.vocabulary();
  } catch (const ConfigError& e) {
    notes.push_back(std::string("no tokenizer is written: ") + e.what());
    return std::nullopt;
  }
}

}  // namespace

const nn::Layout& layout_for(const PublishedModel& model, std::string_view name) {
  const nn::Layout& layout = chosen_layout(model, name);
  check_expressible(model, layout);
  check_computes_same(model.architecture->vision(), layout);
  return layout;
}

WrittenModel write_model(const PublishedModel& model, std::string_view name, const fs::path& out) {
  const nn::Layout& layout = layout_for(model, name);
  nn::Converted converted = nn::to_layout(layout, model.weights);
  WrittenModel written{.files = {}, .notes = std::move(converted.notes)};
  if (const data::Background& background = model.preprocessing.background; background.named())
    written.notes.push_back("no layout stores the background of transparent pixels: use the model with --background '" +
                            background.text() + "'");
  note_positions(model, layout, written.notes);
  note_dinov2_network(model.architecture->vision(), layout, written.notes);
  const auto metadata = to_metadata(model.architecture->unwritten(), model.classes);

  const bool file = out.extension() == ".safetensors", hf = layout.name.starts_with("hf_"),
             open_clip = layout.name == "open_clip";
  if (file) {
    safetensors::save(out, converted.weights, metadata, model.floats);
    written.files.push_back(out);
    note_unwritten(model, layout, written.notes);
    return written;
  }
  check<ConfigError>(hf || open_clip, "layout", "the layout of {} is a file of weights: '{}' must end in .safetensors",
                     layout.title, out.string());
  note_preparation(model.preprocessing, layout, written.notes);
  const auto texts = model.architecture->files(model, layout);
  const nn::TextConfig* const text = model.architecture->text();
  std::optional<data::Vocabulary> vocabulary;
  if (text && model.vocabulary) vocabulary = usable_vocabulary(model, written.notes);
  check<ConfigError>(!vocabulary || vocabulary->size() == text->vocab_size, "vocabulary",
                     "it has {} symbols, the model {}", vocabulary ? vocabulary->size() : 0,
                     text ? text->vocab_size : 0);

  std::error_code error;
  fs::create_directories(out, error);
  check<WriteError>(!error, "layout", "{}: cannot make the folder: {}", out.string(), error.message());
  const fs::path weights = out / (open_clip ? "open_clip_model.safetensors" : "model.safetensors");
  safetensors::save(weights, converted.weights, metadata, model.floats);
  written.files.push_back(weights);
  for (const auto& [name_of_file, content] : texts) {
    durable_write(out / name_of_file, content);
    written.files.push_back(out / name_of_file);
  }
  if (vocabulary) write_tokenizer(*vocabulary, text->context_length, out, written.files);
  if (text && !model.vocabulary && hf) written.notes.emplace_back("no tokenizer is written: no vocabulary is known");
  return written;
}

}  // namespace vitrail::recipes
