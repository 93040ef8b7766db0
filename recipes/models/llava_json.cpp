#include "vitrail/recipes/models/llava_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/foreign_keys.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/llama_json.h"
#include "vitrail/recipes/models/model_family.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrail::recipes {
namespace {

using nn::FeatureSelect;
using nn::LlavaNames;

struct LlavaType {
  std::string_view name, decoder;  // decoder: of LLaVA's own program
};
constexpr LlavaType kLlavaTypes[] = {{"llava", "llama"},          {"idefics3", ""},        {"smolvlm", ""},
                                     {"llava_llama", "llama"},    {"llava_qwen", "qwen2"}, {"llava_qwen2", "qwen2"},
                                     {"llava_mistral", "mistral"}};
constexpr Named<FeatureSelect> kSelects[] = {{"default", FeatureSelect::patch}, {"full", FeatureSelect::full}};
constexpr int64_t kTileSide = 364;  // the default of Idefics3ImageProcessor

// ---- reading: the parts ---------------------------------------------------------------------------------------------

/// SigLIP's image tower: no class token, no norm before the blocks. The defaults are those of its two classes.
nn::VitConfig parse_siglip(const JsonObject& c, bool idefics3, int64_t& image_size) {
  nn::VitConfig v;
  v.embed_dim = c.integer("hidden_size", 1, kMostWidth, idefics3 ? 1152 : 768);
  v.depth = c.integer("num_hidden_layers", 1, kMostBlocks, 12);
  v.num_heads = c.integer("num_attention_heads", 1, kMostHeads, idefics3 ? 16 : 12);
  check<IoError>(v.embed_dim % v.num_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(),
                 c.path("hidden_size"), v.embed_dim, c.path("num_attention_heads"), v.num_heads);
  set_hidden_width(v, c.integer("intermediate_size", 1, kMostHidden, 3072));
  v.ln_eps = c.number("layer_norm_eps", 0, 1, 1e-6);
  v.gelu = parse_activation(c, "gelu_pytorch_tanh");
  v.patch_size = c.side("patch_size", kMostPatch, idefics3 ? 32 : 16);
  image_size = c.side("image_size", kMostSide, 224);
  check<IoError>(image_size >= v.patch_size, "json", "{}: '{}' {} is less than '{}' {}", c.file(), c.path("image_size"),
                 image_size, c.path("patch_size"), v.patch_size);
  v.img_size = image_size / v.patch_size * v.patch_size;
  c.only("num_channels", v.in_chans);
  c.pass_over({"vision_use_head"});                                          // the pooling is not used here
  if (idefics3) c.pass_over({"size", "max_image_size", "use_base_siglip"});  // of preparing images
  v.class_token = false;
  v.pool = nn::Pool::avg;
  v.num_classes = 0;
  v.pos_interp = ag::PosInterp::size;
  return v;
}

nn::VitConfig parse_clip_tower(const JsonObject& c, int64_t& image_size) {
  c.pass_over({"vocab_size"});  // left over from CLIP
  nn::VitConfig v = parse_clip_vision_config(c).architecture->vision();
  v.num_classes = 0;
  v.head_bias = true;
  image_size = v.img_size;
  return v;
}

/// CLIP's ViT-L/14 at 336 pixels: the tower of a file that does not describe one.
nn::VitConfig usual_tower(int64_t& image_size) {
  nn::VitConfig v = nn::clip_variant("ViT-L-14-336-quickgelu").vision;
  v.num_classes = 0;
  v.head_bias = true;
  image_size = v.img_size;
  return v;
}

nn::VitConfig parse_tower(const JsonObject& c, bool idefics3, int64_t& image_size) {
  if (c.json().as_object().empty() && !idefics3) return usual_tower(image_size);
  const std::string type = c.text("model_type", idefics3 ? "idefics3_vision" : "clip_vision_model");
  if (idefics3) {
    check<IoError>(type.starts_with("idefics3") || type.starts_with("smolvlm"), "json",
                   "{}: '{}' is \"{}\"; known is idefics3_vision", c.file(), c.path("model_type"), type);
    return parse_siglip(c, true, image_size);
  }
  check<IoError>(type == "clip_vision_model" || type == "siglip_vision_model", "json",
                 "{}: '{}' is \"{}\"; known are clip_vision_model, siglip_vision_model", c.file(), c.path("model_type"),
                 type);
  return type == "clip_vision_model" ? parse_clip_tower(c, image_size) : parse_siglip(c, false, image_size);
}

/// tied: the outer object says that logits come from the embeddings.
void set_decoder(const JsonObject& text, bool tied, LlavaHubConfig& hub) {
  hub.decoder = parse_decoder(text);
  hub.decoder.llama.tied |= tied;
  hub.llava.text = hub.decoder.llama;
}

/// "vision_feature_layer": a number, or a list of them.
std::vector<int64_t> feature_layers(const JsonObject& c) {
  const Json* const value = c.find("vision_feature_layer");
  if (!value || !value->is_array()) return {c.integer("vision_feature_layer", -kMostBlocks, kMostBlocks, -2)};
  check<IoError>(int64_t(value->as_array().size()) <= kMostBlocks, "json",
                 "{}: '{}' has {} layers; at most {} are read", c.file(), c.path("vision_feature_layer"),
                 value->as_array().size(), kMostBlocks);
  std::vector<int64_t> layers;
  for (const Json& layer : value->as_array()) {
    check<IoError>(layer.is_integer(), "json", "{}: '{}' has {}; it must have whole numbers", c.file(),
                   c.path("vision_feature_layer"), layer.excerpt());
    layers.push_back(layer.as_int64());
  }
  return layers;
}

LlavaHubConfig parse_hf_llava(const JsonObject& c) {
  LlavaHubConfig model;
  nn::LlavaConfig& config = model.llava;
  config.vision = parse_tower(c.object("vision_config"), false, model.image_size);
  set_decoder(c.object("text_config"), c.flag("tie_word_embeddings", false), model);
  config.feature_layers = feature_layers(c);
  config.select = c.choice("vision_feature_select_strategy", kSelects, "default");
  // The strategy "default" leaves out the first token, whatever it is.
  check<IoError>(config.select == FeatureSelect::full || config.vision.class_token, "json",
                 "{}: '{}' is \"default\", which leaves out the first token, but SigLIP's towers have no class token; "
                 "it must be \"full\"",
                 c.file(), c.path("vision_feature_select_strategy"));
  config.projector = {.depth = 2,
                      .bias = c.flag("multimodal_projector_bias", true),
                      .gelu = parse_activation(c, "gelu", "projector_hidden_act")};
  model.image_token = c.integer(c.has("image_token_id") ? "image_token_id" : "image_token_index", 0, kMostWords, 32000);
  // image_seq_length is often left at its default; what the processor makes is checked instead.
  c.pass_over({"image_token_index", "ignore_index", "image_seq_length", "vocab_size"});
  return model;
}

LlavaHubConfig parse_idefics3(const JsonObject& c) {
  LlavaHubConfig model;
  nn::LlavaConfig& config = model.llava;
  model.names = LlavaNames::idefics3;
  config.vision = parse_tower(c.object("vision_config"), true, model.image_size);
  const JsonObject text = c.object("text_config");
  // Left over from earlier models of the family, of which these options are not built.
  text.only("qk_layer_norms", false);
  text.only("use_resampler", false);
  text.pass_over({"perceiver_config", "pixel_shuffle_factor", "neftune_noise_alpha", "_flash_attn_2_enabled"});
  set_decoder(text, c.flag("tie_word_embeddings", false), model);
  config.feature_layers = {-1};
  config.feature_norm = true;
  config.select = FeatureSelect::patch;
  config.pixel_shuffle = c.integer("scale_factor", 1, kMostPatch, 2);
  check<IoError>(config.vision.grid_side() % config.pixel_shuffle == 0, "json",
                 "{}: 'scale_factor' is {}; an image has {} patches along a side, which must be a multiple of it",
                 c.file(), config.pixel_shuffle, config.vision.grid_side());
  config.projector = {.depth = 1, .bias = false};
  model.image_token = c.integer("image_token_id", 0, kMostWords, 128257);
  c.pass_over({"_pad_token_id", "vocab_size", "image_seq_len"});
  return model;
}

// ---- reading: LLaVA's own program -----------------------------------------------------------------------------------

/// "linear", "identity" or "mlp2x_gelu".
nn::ProjectorConfig own_projector(const JsonObject& c) {
  const std::string type = c.text("mm_projector_type", "linear");
  if (type == "linear") return {.depth = 1};
  if (type == "identity") return {.depth = 0};
  const bool mlp = type.size() > 9 && type.starts_with("mlp") && type.ends_with("x_gelu");
  const std::string count = mlp ? type.substr(3, type.size() - 9) : "";
  check<IoError>(count.size() == 1 && count[0] >= '1' && count[0] <= '9', "json",
                 "{}: 'mm_projector_type' is \"{}\"; known are linear, identity and mlp2x_gelu with any digit",
                 c.file(), type);
  return {.depth = count[0] - '0'};
}

LlavaHubConfig parse_own_llava(const JsonObject& c, std::string_view decoder) {
  LlavaHubConfig model;
  nn::LlavaConfig& config = model.llava;
  model.image_size = 0;
  const std::string as_decoder = Json::object({{"model_type", decoder}}).text();
  set_decoder(c.updated(JsonObject::parse(as_decoder, c.file())), false, model);
  config.feature_layers = {c.integer("mm_vision_select_layer", -kMostBlocks, kMostBlocks, -2)};
  constexpr Named<FeatureSelect> kOwnSelects[] = {{"patch", FeatureSelect::patch}, {"cls_patch", FeatureSelect::full}};
  config.select = c.choice("mm_vision_select_feature", kOwnSelects, "patch");
  config.projector = own_projector(c);
  c.only("mm_use_im_start_end", false);
  c.only("mm_patch_merge_type", "flat");
  c.only("mm_resampler_type", Json());
  constexpr Named<bool> kPads[] = {{"square", false}, {"pad", true}};
  model.preprocessing.pad = c.choice("image_aspect_ratio", kPads, "square");
  // mm_use_im_patch_token adds a word that no model reads. The others are of training and of several tiles.
  c.pass_over({"mm_vision_tower", "mm_hidden_size", "mm_use_im_patch_token", "tune_mm_mlp_adapter",
               "freeze_mm_mlp_adapter", "mm_projector_lr", "unfreeze_mm_vision_tower", "use_mm_proj",
               "tokenizer_padding_side", "tokenizer_model_max_length", "image_grid_pinpoints", "image_crop_resolution",
               "image_split_resolution", "mm_vision_tower_lr"});
  return model;
}

}  // namespace

bool is_llava_type(std::string_view model_type) {
  return std::any_of(std::begin(kLlavaTypes), std::end(kLlavaTypes),
                     [&](const LlavaType& type) { return type.name == model_type; });
}

std::optional<std::string> own_tower(const JsonObject& c) {
  return c.has("mm_vision_tower") ? std::optional(c.text("mm_vision_tower")) : std::nullopt;
}

LlavaHubConfig parse_llava(const JsonObject& c) {
  const std::string type = c.text("model_type");
  const auto* const found = std::find_if(std::begin(kLlavaTypes), std::end(kLlavaTypes),
                                         [&](const LlavaType& known) { return known.name == type; });
  check<IoError>(found != std::end(kLlavaTypes), "json", "{}: 'model_type' is \"{}\"; models that see are {}", c.file(),
                 type, joined(kLlavaTypes, [](const LlavaType& known) { return known.name; }));
  LlavaHubConfig model = found->decoder.empty() ? parse_idefics3(c)
                         : own_tower(c)         ? parse_own_llava(c, found->decoder)
                                                : parse_hf_llava(c);
  expect_all_read(c);
  return model;
}

// ---- writing --------------------------------------------------------------------------------------------------------

namespace {

void refuse_here(bool refused, LlavaNames names, std::string_view what) {
  check<ConfigError>(!refused, "layout", "models of Hugging Face {} have no {}",
                     names == LlavaNames::llava ? "LLaVA" : "Idefics3", what);
}

Json tower_json(const LlavaHubConfig& model) {
  const nn::VitConfig& v = model.llava.vision;
  const bool idefics3 = model.names == LlavaNames::idefics3;
  if (v.class_token && !idefics3) {
    Json json = Json::parse(to_clip_vision_config_json(v, "float32"));
    json["torch_dtype"] = Json();
    json["architectures"] = Json();
    return json;
  }
  refuse_here(v.class_token || v.distilled || v.num_registers > 0 || v.qk_norm || v.layerscale_init != 0 ||
                  !v.qkv_bias || !v.patch_bias || v.ffn != nn::Ffn::mlp || v.pre_norm || v.fc_norm,
              model.names, "image towers but the usual ones of CLIP and SigLIP");
  Json json = transformer_json(v);
  json["model_type"] = idefics3 ? "idefics3_vision" : "siglip_vision_model";
  json["intermediate_size"] = hidden_width(v);
  json["image_size"] = model.image_size;
  if (!idefics3) json["vision_use_head"] = false;
  return json;
}

}  // namespace

Json to_llava_json(const LlavaHubConfig& model, const std::string& dtype) {
  const nn::LlavaConfig& c = model.llava;
  const bool idefics3 = model.names == LlavaNames::idefics3;
  const auto refuse = [&](bool refused, std::string_view what) { refuse_here(refused, model.names, what); };
  refuse(c.tower != nn::VisionTower::vit, "raw patches in place of an image tower");
  refuse(c.prefix, "image tokens that see each other");
  Json json = Json::object();
  if (idefics3) {
    refuse(c.projector.depth != 1 || c.projector.bias, "projector but one Linear without a bias");
    refuse(c.feature_layers != std::vector<int64_t>{-1} || !c.feature_norm || c.select != FeatureSelect::patch,
           "features but the last ones, after the norm");
    json = Json::object({{"architectures", Json::array({"Idefics3ForConditionalGeneration"})},
                         {"model_type", "idefics3"},
                         {"image_token_id", model.image_token},
                         {"scale_factor", c.pixel_shuffle}});
  } else {
    refuse(c.projector.depth != 2, "projector but that of two Linears");
    refuse(c.feature_norm, "features after the tower's final norm");
    refuse(c.pixel_shuffle != 1, "pixel shuffle");
    refuse(c.select == FeatureSelect::patch && !c.vision.class_token, "choice of patches in a tower of nothing else");
    json = Json::object({{"architectures", Json::array({"LlavaForConditionalGeneration"})},
                         {"model_type", "llava"},
                         {"image_token_index", model.image_token},
                         {"image_seq_length", c.image_tokens()},
                         {"projector_hidden_act", activation_name(c.projector.gelu)},
                         {"multimodal_projector_bias", c.projector.bias},
                         {"vision_feature_select_strategy", c.select == FeatureSelect::full ? "full" : "default"}});
    if (c.feature_layers.size() == 1)
      json["vision_feature_layer"] = c.feature_layers[0];
    else
      json["vision_feature_layer"] = c.feature_layers;
  }
  json["tie_word_embeddings"] = c.text.tied;
  json["text_config"] = to_decoder_json(model.decoder, dtype);
  json["vision_config"] = tower_json(model);
  json["torch_dtype"] = dtype;
  return json;
}

// ---- preparing images -----------------------------------------------------------------------------------------------

Preprocessing parse_llava_processor(const JsonObject& c, const LlavaHubConfig& model, std::vector<std::string>& notes) {
  if (model.names == LlavaNames::llava) return parse_preprocessor(c, nn::tower_layout(model.llava.vision));
  Preprocessing p{.resize = Preprocessing::Resize::exact, .crop = 0};
  p.size = c.object("max_image_size").integer("longest_edge", 1, kMostSide, kTileSide);
  p.filter = parse_filter(c, "resample", data::Filter::lanczos);
  p.mean = c.triple("image_mean", -256, data::kHalfMean);
  p.std = c.triple("image_std", 0, data::kHalfStd);
  c.only("do_resize", true);
  c.only("do_rescale", true);
  c.only("do_normalize", true);
  c.pass_over({"rescale_factor", "size", "do_pad", "image_processor_type", "return_row_col_info", "video_sampling"});
  notes.push_back(fmt::format("{}: an image is one tile of {} x {}, resized once; transformers resizes twice{}",
                              c.file(), p.size, p.size,
                              c.flag("do_image_splitting", true) ? ", and cuts large images into tiles" : ""));
  expect_all_read(c.updated(JsonObject::parse(R"({"do_pad": false})", c.file())));  // one tile needs no padding
  return p;
}

std::string to_llava_processor_json(const LlavaHubConfig& model) {
  const Preprocessing& p = model.preprocessing;
  Json json = Json::parse(to_preprocessor_json(p, nn::tower_layout(model.llava.vision)));
  if (p.pad && model.names == LlavaNames::llava) {
    json["image_processor_type"] = "LlavaImageProcessor";
    json["do_pad"] = true;
  } else if (model.names == LlavaNames::idefics3) {
    json = Json::object({{"image_processor_type", "Idefics3ImageProcessor"},
                         {"do_convert_rgb", true},
                         {"do_image_splitting", false},
                         {"do_normalize", true},
                         {"do_pad", true},
                         {"do_rescale", true},
                         {"do_resize", true},
                         {"image_mean", p.mean},
                         {"image_std", p.std},
                         {"resample", *json.find("resample")},
                         {"rescale_factor", 1 / 255.0},
                         {"max_image_size", Json::object({{"longest_edge", p.size}})},
                         {"size", Json::object({{"longest_edge", p.size}})}});
  } else if (!model.llava.vision.class_token && p.resize == Preprocessing::Resize::exact && p.crop == 0) {
    json["image_processor_type"] = "SiglipImageProcessor";
  }
  return json.text(2) + "\n";
}

void check_image_tokens(const JsonObject& c, const LlavaHubConfig& model, const std::string& source) {
  const nn::LlavaConfig& config = model.llava;
  const int64_t features = config.image_tokens();
  const auto expect = [&](int64_t tokens, const std::string& how) {
    check<IoError>(tokens == features, "load",
                   "{}: makes {} tokens of an image ({}), but the model of {} has {} features for one", c.file(),
                   tokens, how, source, features);
  };
  if (model.names == LlavaNames::idefics3) {
    if (c.has("image_seq_len")) expect(c.integer("image_seq_len", 1, kMostTokens), "image_seq_len");
    return;
  }
  const int64_t side = model.preprocessing.img_size();
  const int64_t patch = c.integer("patch_size", 1, kMostPatch, config.vision.patch_size);
  const FeatureSelect select =
      c.choice("vision_feature_select_strategy", kSelects, config.select == FeatureSelect::full ? "full" : "default");
  const int64_t more = c.integer("num_additional_image_tokens", 0, kMostTokens, config.vision.class_token ? 1 : 0);
  const int64_t tokens = (side / patch) * (side / patch) + more - (select == FeatureSelect::patch ? 1 : 0);
  expect(tokens, fmt::format("images of {0} x {0}, patch_size {1}, num_additional_image_tokens {2}, {3}", side, patch,
                             more, select == FeatureSelect::full ? "full" : "default"));
}

}  // namespace vitrail::recipes
