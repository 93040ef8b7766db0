#include "vitrail/recipes/models/clip_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/hub_json.h"

#include <cmath>

namespace vitrail::recipes {
namespace {

HubConfig parse_hf_clip(const JsonObject& c) {
  const nn::Layout& layout = nn::layout_named("hf_clip");
  const JsonObject vision = c.object("vision_config"), text = c.object("text_config");
  nn::ClipConfig clip;
  nn::VitConfig& v = clip.vision = parse_transformer(vision, 1e-5, 32, 224, "quick_gelu");
  set_hidden_width(v, vision.integer("intermediate_size", 1, kMostHidden, 3072));
  v.num_classes = c.integer("projection_dim", 1, kMostWidth, 512);
  v.pre_norm = true;
  v.head_bias = false;
  v.pos_interp = layout.pos_interp;

  nn::TextConfig& t = clip.text;
  t.vocab_size = text.integer("vocab_size", 1, kMostWords, 49408);
  t.context_length = text.integer("max_position_embeddings", 1, kMostTokens, 77);
  t.embed_dim = text.integer("hidden_size", 1, kMostWidth, 512);
  t.depth = text.integer("num_hidden_layers", 1, kMostBlocks, 12);
  t.num_heads = text.integer("num_attention_heads", 1, kMostHeads, 8);
  check<IoError>(t.embed_dim % t.num_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", text.file(),
                 text.path("hidden_size"), t.embed_dim, text.path("num_attention_heads"), t.num_heads);
  t.mlp_ratio = double(text.integer("intermediate_size", 1, kMostHidden, 2048)) / double(t.embed_dim);
  t.gelu = parse_activation(text, "quick_gelu");
  t.ln_eps = text.number("layer_norm_eps", 0, 1, 1e-5);
  t.out_dim = v.num_classes;
  // The feature of a text is read at its largest id, the first one on ties. Old files say 2 and mean the same.
  const int64_t end = text.integer("eos_token_id", 0, kMostWords, 49407);
  check<IoError>(end == 2 || end == t.vocab_size - 1, "json",
                 "{}: '{}' is {}; models here need the end of text to be the largest id, {}", text.file(),
                 text.path("eos_token_id"), end, t.vocab_size - 1);
  clip.init_logit_scale = c.number("logit_scale_init_value", -100, 100, clip.init_logit_scale);
  return {.layout = &layout, .architecture = clip_architecture(clip)};
}

constexpr HubModelType kClipTypes[] = {{"clip", parse_hf_clip}};

}  // namespace

std::span<const HubModelType> clip_model_types() { return kClipTypes; }

HubConfig parse_open_clip_config(std::string_view text, const std::string& name) {
  const JsonObject c = JsonObject::parse(text, name);
  const JsonObject model = c.object("model_cfg"), vision = model.object("vision_cfg"), words = model.object("text_cfg");
  HubConfig config{.layout = &nn::layout_named("open_clip")};
  const int64_t width = vision.integer("width", 1, kMostWidth, 768);
  const int64_t head_width = vision.integer("head_width", 1, kMostWidth, 64);
  check<IoError>(width % head_width == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", name,
                 vision.path("width"), width, vision.path("head_width"), head_width);
  config.unwritten.num_heads = width / head_width;
  config.unwritten.text_num_heads = words.integer("heads", 1, kMostHeads, 8);
  config.unwritten.gelu = model.flag("quick_gelu", false) ? ag::Gelu::quick : ag::Gelu::erf;

  const JsonObject pixels = c.object("preprocess_cfg");
  Preprocessing p = published_preprocessing(*config.layout, vision.integer("image_size", 1, kMostSide, 224));
  const std::string mode = pixels.text("resize_mode", "shortest");
  check<IoError>(mode == "shortest" || mode == "squash", "json",
                 "{}: '{}' is \"{}\"; known are \"shortest\" and \"squash\"", name, pixels.path("resize_mode"), mode);
  if (mode == "squash") p.resize = Preprocessing::Resize::exact;
  p.filter = data::parse_filter(pixels.text("interpolation", "bicubic"));
  p.mean = pixels.triple("mean", -256, p.mean);
  p.std = pixels.triple("std", 0, p.std);
  config.preprocessing = p;
  return config;
}

std::string to_config_json(const nn::ClipConfig& c) {
  const nn::TextConfig& t = c.text;
  Json vision = transformer_json(c.vision);
  vision["model_type"] = "clip_vision_model";
  vision["intermediate_size"] = hidden_width(c.vision);
  vision["projection_dim"] = c.text.out_dim;
  const Json text = Json::object({{"model_type", "clip_text_model"},
                                  {"vocab_size", t.vocab_size},
                                  {"max_position_embeddings", t.context_length},
                                  {"hidden_size", t.embed_dim},
                                  {"intermediate_size", std::llround(t.mlp_ratio * double(t.embed_dim))},
                                  {"num_hidden_layers", t.depth},
                                  {"num_attention_heads", t.num_heads},
                                  {"hidden_act", activation_name(t.gelu)},
                                  {"layer_norm_eps", t.ln_eps},
                                  {"projection_dim", t.out_dim},
                                  {"bos_token_id", t.vocab_size - 2},
                                  {"eos_token_id", t.vocab_size - 1},
                                  {"pad_token_id", t.vocab_size - 1}});
  const Json json = Json::object({{"architectures", Json::array({"CLIPModel"})},
                                  {"model_type", "clip"},
                                  {"projection_dim", t.out_dim},
                                  {"logit_scale_init_value", c.init_logit_scale},
                                  {"text_config", text},
                                  {"vision_config", vision},
                                  {"torch_dtype", "float32"}});
  return json.text(2) + "\n";
}

std::string to_open_clip_config_json(const nn::ClipConfig& c, const Preprocessing& p) {
  const nn::Layout& layout = nn::layout_named("open_clip");
  refuse_in_layout(c.vision.embed_dim % c.vision.num_heads != 0, layout, "heads of unequal width");
  const bool quick = c.text.gelu == ag::Gelu::quick;
  refuse_in_layout(c.text.gelu == ag::Gelu::tanh || c.vision.gelu != c.text.gelu, layout, "such activation");
  Json model = Json::object(
      {{"embed_dim", c.text.out_dim},
       {"vision_cfg", Json::object({{"image_size", c.vision.img_size},
                                    {"layers", c.vision.depth},
                                    {"width", c.vision.embed_dim},
                                    {"head_width", c.vision.embed_dim / c.vision.num_heads},
                                    {"mlp_ratio", double(hidden_width(c.vision)) / double(c.vision.embed_dim)},
                                    {"patch_size", c.vision.patch_size}})},
       {"text_cfg", Json::object({{"context_length", c.text.context_length},
                                  {"vocab_size", c.text.vocab_size},
                                  {"width", c.text.embed_dim},
                                  {"heads", c.text.num_heads},
                                  {"layers", c.text.depth},
                                  {"mlp_ratio", c.text.mlp_ratio}})}});
  if (c.vision.layerscale_init != 0) model["vision_cfg"]["ls_init_value"] = c.vision.layerscale_init;
  if (c.text.layerscale_init != 0) model["text_cfg"]["ls_init_value"] = c.text.layerscale_init;
  if (quick) model["quick_gelu"] = true;
  if (c.init_logit_bias) model["init_logit_bias"] = *c.init_logit_bias;
  const Json json = Json::object(
      {{"model_cfg", model},
       {"preprocess_cfg",
        Json::object({{"mean", p.mean},
                      {"std", p.std},
                      {"interpolation", data::to_string(p.filter)},
                      {"resize_mode", p.resize == Preprocessing::Resize::exact ? "squash" : "shortest"}})}});
  return json.text(2) + "\n";
}

}  // namespace vitrail::recipes
