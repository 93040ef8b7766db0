#include "vitrail/recipes/models/timm_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/model_family.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

namespace vitrail::recipes {
namespace {

// ---- what the names of timm's architectures mean --------------------------------------------------------------------

struct Size {
  std::string_view name;
  int64_t width, heads;
};
constexpr Size kSizes[] = {{"tiny", 192, 3},      {"xsmall", 256, 4},   {"wee", 256, 4},     {"little", 320, 5},
                           {"small", 384, 6},     {"medium", 512, 8},   {"mediumd", 512, 8}, {"betwixt", 640, 10},
                           {"base", 768, 12},     {"so150m2", 832, 13}, {"so150m", 896, 14}, {"large", 1024, 16},
                           {"so400m", 1152, 16},  {"huge", 1280, 16},   {"giant", 1408, 16}, {"giantopt", 1536, 16},
                           {"gigantic", 1664, 16}};

constexpr double kTimmEps = 1e-6, kClipEps = 1e-5;

/// The settings of the architectures whose names have this form. $ stands for one of kSizes, # for a number.
struct Form {
  std::string_view pattern;
  nn::Pool pool = nn::Pool::token;
  ag::Gelu gelu = ag::Gelu::erf;
  double ln_eps = kTimmEps;
  Size size = {};  // instead of the one in the name, or if there is none
};
// Source: timm/models/vision_transformer.py and deit.py. The first that fits counts.
constexpr Form kForms[] = {
    {"vit_base_patch#_gap_#", nn::Pool::avg, ag::Gelu::erf, kTimmEps, {"", 768, 16}},
    {"vit_base_patch#_plus_#", nn::Pool::token, ag::Gelu::erf, kTimmEps, {"", 896, 14}},
    {"vit_base_patch#_plus_clip_#", nn::Pool::token, ag::Gelu::erf, kClipEps, {"", 896, 14}},
    {"vit_giant_patch#_dinov2", nn::Pool::token, ag::Gelu::erf, kTimmEps, {"", 1536, 24}},
    {"vit_giant_patch#_reg#_dinov2", nn::Pool::token, ag::Gelu::erf, kTimmEps, {"", 1536, 24}},
    {"vit_giant_patch#_reg#_tipsv2", nn::Pool::token, ag::Gelu::erf, kTimmEps, {"", 1536, 24}},
    {"vit_base_patch32_siglip_gap_#", nn::Pool::avg, ag::Gelu::tanh, kTimmEps, {"", 768, 12}},
    {"vit_large_patch16_siglip_gap_512", nn::Pool::avg, ag::Gelu::tanh, kTimmEps, {"", 1024, 16}},
    {"vit_so400m_patch16_siglip_gap_#", nn::Pool::avg, ag::Gelu::tanh, kTimmEps, {"", 1152, 16}},
    {"vit_giantopt_patch#_siglip_gap_#", nn::Pool::avg, ag::Gelu::tanh, kTimmEps, {"", 1536, 16}},
    {"vit_$_patch#_siglip_gap_#", nn::Pool::avg},
    {"vit_$_patch#_gap_#", nn::Pool::avg},
    {"vit_$_patch#_reg#_gap_#", nn::Pool::avg},
    {"vit_$_patch#_clip_quickgelu_#", nn::Pool::token, ag::Gelu::quick, kClipEps},
    {"vit_$_patch#_clip_#", nn::Pool::token, ag::Gelu::erf, kClipEps},
    {"vit_$_patch#_#_clip_laion2b", nn::Pool::token, ag::Gelu::erf, kClipEps},
    {"vit_$_patch#_dinov2"},
    {"vit_$_patch#_reg#_dinov2"},
    {"vit_$_patch#_reg#_tipsv2"},
    {"vit_$_patch#_#"},
    {"vit_$_patch#_#_in#k"},
    {"vit_$_patch#_#_dino"},
    {"vit_$_patch#_#_sam"},
    {"vit_$_patch#_#_miil"},
    {"vit_$_patch#_#_miil_in#k"},
    {"vit_$_patch#_36x1_#"},
    {"deit_$_patch#_#"},
    {"deit_$_distilled_patch#_#"},
    {"deit3_$_patch#_#"},
    {"deit3_$_patch#_#_in#ft#k"},
    {"eva_large_patch#_#", nn::Pool::avg, ag::Gelu::erf, kTimmEps, {"", 1024, 16}},
    {"flexivit_$"},
    {"test_vit", nn::Pool::token, ag::Gelu::erf, kTimmEps, {"", 64, 2}},
    {"test_vit2", nn::Pool::avg, ag::Gelu::erf, kTimmEps, {"", 64, 2}},
};

const Size* find_size(std::string_view word) {
  const auto* const found = std::find_if(std::begin(kSizes), std::end(kSizes), [&](auto& s) { return s.name == word; });
  return found == std::end(kSizes) ? nullptr : found;
}

/// Whether the name has the form. size: set to the one in the name.
bool matches(std::string_view pattern, std::string_view name, const Size*& size) {
  for (; !pattern.empty(); pattern.remove_prefix(1)) {
    if (pattern.front() == '#') {
      const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
      if (digits == 0) return false;
      name.remove_prefix(digits);
    } else if (pattern.front() == '$') {
      const size_t letters = std::min(name.find('_'), name.size());
      size = find_size(name.substr(0, letters));
      if (!size) return false;
      name.remove_prefix(letters);
    } else {
      if (!name.starts_with(pattern.front())) return false;
      name.remove_prefix(1);
    }
  }
  return name.empty();
}

/// Takes what the name of the architecture says. Without a name everything follows from the weights.
void read_name(const JsonObject& c, HubConfig& config) {
  if (!c.has("architecture")) return;
  const std::string whole = c.text("architecture"), name = whole.substr(0, whole.find('.'));  // the rest is a tag
  for (const Form& form : kForms) {
    const Size* size = &form.size;
    if (!matches(form.pattern, name, size)) continue;
    if (form.size.width > 0) size = &form.size;
    config.named = {name, size->width, size->heads};
    config.unwritten.ln_eps = form.ln_eps;
    config.unwritten.gelu = form.gelu;
    config.unwritten.pool = form.pool;
    return;
  }
  fail<IoError>("json",
                "{}: '{}' is \"{}\", which is no vision transformer that is known here; known are {}, where $ is a "
                "size and # a number; to go by the weights alone: --accept-key architecture",
                c.file(), c.path("architecture"), whole,
                joined(
                    kForms, [](const Form& form) { return form.pattern; }, 40));
}

// ---- model_args -----------------------------------------------------------------------------------------------------

constexpr Named<ag::Gelu> kTimmGelus[] = {
    {"gelu", ag::Gelu::erf}, {"gelu_tanh", ag::Gelu::tanh}, {"quick_gelu", ag::Gelu::quick}};
constexpr Named<nn::Pool> kTimmPools[] = {{"token", nn::Pool::token}, {"avg", nn::Pool::avg}};
constexpr Named<double> kTimmNorms[] = {{"layernorm", kTimmEps}, {"layernormfp32", kTimmEps}};

struct CheckedKey {
  const char* key;
  double (*in_weights)(const Architecture&);
};
constexpr CheckedKey kSides[] = {
    {"img_size", [](const Architecture& a) { return double(a.vision().img_size); }},
    {"patch_size", [](const Architecture& a) { return double(a.vision().patch_size); }},
};
constexpr CheckedKey kNumbers[] = {
    {"num_classes", [](const Architecture& a) { return double(a.vision().num_classes); }},
    {"embed_dim", [](const Architecture& a) { return double(a.vision().embed_dim); }},
    {"depth", [](const Architecture& a) { return double(a.vision().depth); }},
    {"reg_tokens", [](const Architecture& a) { return double(a.vision().num_registers); }},
};
constexpr CheckedKey kTimmFlags[] = {
    {"qkv_bias", [](const Architecture& a) { return double(a.vision().qkv_bias); }},
    {"qk_norm", [](const Architecture& a) { return double(a.vision().qk_norm); }},
    {"class_token", [](const Architecture& a) { return double(a.vision().class_token); }},
    {"distilled", [](const Architecture& a) { return double(a.vision().distilled); }},
    {"pre_norm", [](const Architecture& a) { return double(a.vision().pre_norm); }},
    {"fc_norm", [](const Architecture& a) { return double(a.vision().fc_norm); }},
};
constexpr double kMostNumber = 1e9;

/// The hidden width of the MLP by its width. SwiGLU has two halves of the hidden width.
double mlp_ratio_of(const Architecture& a) {
  const nn::VitConfig& v = a.vision();
  return double(hidden_width(v)) * (v.ffn == nn::Ffn::swiglu ? 2 : 1) / double(v.embed_dim);
}
/// Whether the class token has no position. Without a class token and registers, both tables are the same.
double has_no_embed_class(const Architecture& a) {
  return double(a.vision().pos_embed == nn::PosEmbed::patches || a.vision().prefix_positions() == 0);
}
double has_layer_scale(const Architecture& a) { return double(a.vision().layerscale_init != 0); }

void state_sizes(const JsonObject& c, std::vector<Stated>& stated) {
  const auto state = [&](const char* key, double value, double (*in_weights)(const Architecture&)) {
    stated.push_back({c.path(key), value, in_weights});
  };
  for (const auto& [key, in_weights] : kSides)
    if (c.has(key)) state(key, double(c.side(key, kMostSide)), in_weights);
  for (const auto& [key, in_weights] : kNumbers)
    if (c.has(key)) state(key, double(c.integer(key, 0, int64_t(kMostNumber))), in_weights);
  for (const auto& [key, in_weights] : kTimmFlags)
    if (c.has(key)) state(key, double(c.flag(key, false)), in_weights);
  if (c.has("mlp_ratio"))
    stated.push_back({c.path("mlp_ratio"), c.number("mlp_ratio", 0, kMostNumber), mlp_ratio_of, kRatioTolerance});
  if (c.flag("no_embed_class", false)) state("no_embed_class", 1, has_no_embed_class);
  if (c.has("init_values")) {  // timm makes no LayerScale of zeros
    const bool scaled = c.number("init_values", -kMostNumber, kMostNumber) != 0;
    stated.push_back({c.path("init_values") + " (LayerScale)", double(scaled), has_layer_scale});
  }
}

/// The arguments that the model was made with, where they differ from its name's.
void read_model_args(const JsonObject& args, HubConfig& config) {
  if (args.has("num_heads")) config.unwritten.num_heads = args.integer("num_heads", 1, kMostHeads);
  if (args.has("embed_dim") && config.named) config.named->width = args.integer("embed_dim", 1, kMostWidth);
  if (args.has("norm_layer")) config.unwritten.ln_eps = args.choice("norm_layer", kTimmNorms, "");
  if (args.has("norm_eps")) config.unwritten.ln_eps = args.number("norm_eps", 0, 1);
  if (args.has("act_layer")) config.unwritten.gelu = args.choice("act_layer", kTimmGelus, "");
  if (args.has("global_pool")) config.unwritten.pool = args.choice("global_pool", kTimmPools, "");
  state_sizes(args, config.stated);
  args.only("in_chans", 3);
  args.only("proj_bias", true);
  args.only("final_norm", true);
  args.only("pool_include_prefix", false);
  args.only("scale_attn_norm", false);
  args.only("scale_mlp_norm", false);
  args.only("dynamic_img_pad", false);
  args.only("pos_embed", "learn");
  args.pass_over({"drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "weight_init",
                  "fix_init", "dynamic_img_size", "strict_img_size", "pretrained"});
}

// ---- the file -------------------------------------------------------------------------------------------------------

/// "label_names": a list, or an object of ids and names. None if an object leaves out an id.
std::vector<std::string> label_names(const JsonObject& c, const char* key) {
  const Json* const labels = c.find(key);
  if (!labels) return {};
  const bool list = labels->is_array();
  check<IoError>(list || labels->is_object(), "json", "{}: '{}' is {}; it must be a list or an object", c.file(),
                 c.path(key), labels->excerpt());
  const auto count = int64_t(list ? labels->as_array().size() : labels->as_object().size());
  check<IoError>(count <= kMostClasses, "json", "{}: '{}' has {} names; at most {} are read", c.file(), c.path(key),
                 count, kMostClasses);
  std::vector<std::string> names(static_cast<size_t>(count));
  const auto take = [&](size_t i, const Json& name) {
    check<IoError>(name.is_string(), "json", "{}: '{}' has {} for class {}; it must be a text", c.file(), c.path(key),
                   name.excerpt(), i);
    names[i] = name.as_string();
  };
  if (list) {
    for (size_t i = 0; i < names.size(); ++i) take(i, labels->as_array()[i]);
    return names;
  }
  for (const auto& [id, name] : labels->as_object()) {
    size_t i = names.size();
    std::from_chars(id.data(), id.data() + id.size(), i);
    if (i >= names.size() || std::to_string(i) != id) return {};
    take(i, name);
  }
  return names;
}

}  // namespace

bool is_timm_config(const JsonObject& c) { return c.has("pretrained_cfg") || c.has("architecture"); }

Preprocessing parse_timm_preprocessing(const JsonObject& c) {
  Preprocessing p;
  int64_t side = 224;
  if (const Json* const size = c.find("input_size")) {
    const auto allowed = [](const Json& v) { return v.is_integer() && v.as_int64() >= 1 && v.as_int64() <= kMostSide; };
    check<IoError>(size->is_array() && size->as_array().size() == 3 &&
                       std::all_of(size->as_array().begin(), size->as_array().end(), allowed),
                   "json", "{}: '{}' is {}; it must be three whole numbers: channels, height, width", c.file(),
                   c.path("input_size"), size->excerpt());
    const Json::Array& sizes = size->as_array();
    check<IoError>(sizes[0].as_int64() == 3 && sizes[1].as_int64() == sizes[2].as_int64(), "json",
                   "{}: '{}' is {}; images must have 3 channels and be square here", c.file(), c.path("input_size"),
                   size->excerpt());
    side = sizes[2].as_int64();
  }
  constexpr Named<Preprocessing::Resize> kCropModes[] = {{"center", Preprocessing::Resize::shorter},
                                                         {"squash", Preprocessing::Resize::exact}};
  p.resize = c.choice("crop_mode", kCropModes, "center");
  p.crop = side;
  p.size = int64_t(std::floor(double(side) / c.number("crop_pct", 0.1, 1, 0.875)));
  p.filter = parse_filter(c, "interpolation", data::Filter::bicubic);
  p.mean = c.triple("mean", -256, p.mean);
  p.std = c.triple("std", 0, p.std);
  return p;
}

HubConfig parse_timm_config(const JsonObject& c) {
  HubConfig config{.layout = &nn::layout_named("timm")};
  const bool nested = c.has("pretrained_cfg");
  const JsonObject pretrained = nested ? c.object("pretrained_cfg") : c;
  read_name(c, config);
  if (c.has("global_pool")) config.unwritten.pool = c.choice("global_pool", kTimmPools, "");
  read_model_args(c.object("model_args"), config);
  config.preprocessing = parse_timm_preprocessing(pretrained);
  for (const JsonObject* const part : {&c, &pretrained})
    for (const char* const key : {"label_names", "labels"})
      if (config.classes.empty()) config.classes = label_names(*part, key);
  const auto classes = [](const Architecture& a) { return double(a.vision().num_classes); };
  const bool headless = has_class(c, "TimmWrapperModel");  // transformers writes a number of classes all the same
  if (c.has("num_classes") && !headless)
    config.stated.push_back({"num_classes", double(c.integer("num_classes", 0, kMostClasses)), classes});
  const auto width = [](const Architecture& a) { return double(a.vision().embed_dim); };
  if (c.has("num_features"))
    config.stated.push_back({"num_features", double(c.integer("num_features", 1, kMostWidth)), width});
  if (nested) pretrained.pass_over({"architecture", "num_classes", "label_names", "labels"});  // those of the origin
  return config;
}

}  // namespace vitrail::recipes
