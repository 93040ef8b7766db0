#include "vitrail/recipes/models/hub_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/published_model.h"

#include <algorithm>
#include <cmath>

namespace vitrail::recipes {
namespace {

// If several names mean one activation, we write the first.
constexpr Named<ag::Gelu> kActivations[] = {{"gelu", ag::Gelu::erf},
                                            {"quick_gelu", ag::Gelu::quick},
                                            {"gelu_pytorch_tanh", ag::Gelu::tanh},
                                            {"gelu_new", ag::Gelu::tanh},
                                            {"gelu_fast", ag::Gelu::tanh},
                                            {"gelu_accurate", ag::Gelu::tanh},
                                            {"gelu_python_tanh", ag::Gelu::tanh},
                                            {"gelu_python", ag::Gelu::erf}};

}  // namespace

ag::Gelu parse_activation(const JsonObject& c, const char* otherwise, const char* key) {
  return c.choice(key, kActivations, otherwise);
}

std::string activation_name(ag::Gelu gelu) {
  return std::string(
      std::find_if(std::begin(kActivations), std::end(kActivations), [&](auto& a) { return a.value == gelu; })->name);
}

std::string gelu_title(ag::Gelu gelu) {
  return gelu == ag::Gelu::erf ? "GELU" : gelu == ag::Gelu::quick ? "QuickGELU" : "GELU's tanh approximation";
}

nn::VitConfig parse_transformer(const JsonObject& c, double ln_eps, int64_t patch_size, int64_t img_size,
                                const char* activation) {
  nn::VitConfig v;
  v.embed_dim = c.integer("hidden_size", 1, kMostWidth, 768);
  v.depth = c.integer("num_hidden_layers", 1, kMostBlocks, 12);
  v.num_heads = c.integer("num_attention_heads", 1, kMostHeads, 12);
  check<IoError>(v.embed_dim % v.num_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(),
                 c.path("hidden_size"), v.embed_dim, c.path("num_attention_heads"), v.num_heads);
  v.ln_eps = c.number("layer_norm_eps", 0, 1, ln_eps);
  v.gelu = parse_activation(c, activation);
  v.patch_size = c.side("patch_size", kMostPatch, patch_size);
  v.img_size = c.side("image_size", kMostSide, img_size);
  c.only("num_channels", v.in_chans);
  check<IoError>(v.img_size % v.patch_size == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(),
                 c.path("image_size"), v.img_size, c.path("patch_size"), v.patch_size);
  return v;
}

Json transformer_json(const nn::VitConfig& c) {
  return Json::object({{"hidden_size", c.embed_dim},
                       {"num_hidden_layers", c.depth},
                       {"num_attention_heads", c.num_heads},
                       {"hidden_act", activation_name(c.gelu)},
                       {"layer_norm_eps", c.ln_eps},
                       {"image_size", c.img_size},
                       {"patch_size", c.patch_size},
                       {"num_channels", c.in_chans}});
}

void set_hidden_width(nn::VitConfig& v, int64_t hidden) {
  v.mlp_hidden = hidden;
  v.mlp_ratio = double(hidden) / double(v.embed_dim);
}

int64_t hidden_width(const nn::VitConfig& c) {
  return c.mlp_hidden > 0 ? c.mlp_hidden : std::llround(c.mlp_ratio * double(c.embed_dim));
}

std::string torch_dtype(const PublishedModel& model) {
  constexpr Named<DType> kNames[] = {{"bfloat16", DType::bf16}, {"float64", DType::f64}};
  if (model.floats == safetensors::Floats::f16) return "float16";
  for (const Named<DType>& type : kNames)
    if (std::all_of(model.weights.begin(), model.weights.end(),
                    [&](const auto& item) { return item.second.dtype() == type.value; }))
      return std::string(type.name);
  return "float32";
}

bool has_class(const JsonObject& c, std::string_view name) {
  const Json* const classes = c.find("architectures");
  if (!classes || !classes->is_array()) return false;
  const Json::Array& list = classes->as_array();
  return std::any_of(list.begin(), list.end(), [&](const Json& v) { return v.is_string() && v.as_string() == name; });
}

void refuse_in_layout(bool refused, const nn::Layout& layout, const char* what) {
  check<ConfigError>(!refused, "layout", "models of {} have no {}", layout.title, what);
}

}  // namespace vitrail::recipes
