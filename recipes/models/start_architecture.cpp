#include "vitrail/recipes/models/start_architecture.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/models/published_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace vitrail::recipes {
namespace {

/// The keys that weights decide. The others of `model:` say how it is trained.
constexpr const char* kArchitectureKeys[] = {
    "arch",        "patch_size", "embed_dim", "depth",        "num_heads", "mlp_ratio",   "layerscale_init",
    "global_pool", "distilled",  "ffn",       "gelu",         "ln_eps",    "pre_norm",    "num_registers",
    "pos_interp",  "pos",        "window",    "global_every", "width",     "small_images"};

int64_t ffn_width(const nn::VitConfig& vit) {
  if (vit.mlp_hidden > 0) return vit.mlp_hidden;
  if (vit.ffn == nn::Ffn::swiglu) return nn::swiglu_hidden(vit.embed_dim, vit.mlp_ratio);
  return int64_t(double(vit.embed_dim) * vit.mlp_ratio);
}

/// The names of the options that differ.
std::string differences(const nn::VitConfig& a, const nn::VitConfig& b) {
  std::string names;
  const auto compare = [&](const char* name, auto of) {
    if (of(a) != of(b)) names += (names.empty() ? "" : ", ") + std::string(name);
  };
  compare("gelu", [](const auto& v) { return v.gelu; });
  compare("qkv_bias", [](const auto& v) { return v.qkv_bias; });
  compare("qk_norm", [](const auto& v) { return v.qk_norm; });
  compare("class_token", [](const auto& v) { return v.class_token; });
  compare("pos_embed", [](const auto& v) { return v.pos_embed; });
  compare("rope_base", [](const auto& v) { return v.rope_base; });
  compare("pre_norm", [](const auto& v) { return v.pre_norm; });
  compare("pool", [](const auto& v) { return v.pool; });
  compare("fc_norm", [](const auto& v) { return v.fc_norm; });
  compare("the feed-forward's width", ffn_width);
  return names;
}

/// The sections of a recipe that weights decide.
struct FromWeights {
  ModelConfig model;
  std::vector<double> mean, std;

  void describe(Fields& f) {
    f("model", model);
    f.section("data", [&] { f("mean", mean, ""), f("std", std, ""); });
  }
};

FromWeights from_published(const std::string& init) {
  const OpenModel opened = open_model(read_published_model(init));
  const nn::VisionTransformer* const vit = opened.backbone ? nn::find_vit(*opened.backbone) : nullptr;
  check<ConfigError>(vit != nullptr, "model.arch", "from_init: {} is no vision transformer; name its architecture",
                     init);
  const Preprocessing& p = opened.preprocessing;
  return {model_section(vit->config), {p.mean.begin(), p.mean.end()}, {p.std.begin(), p.std.end()}};
}

/// Sets `key` to its value in `from`, and adds the value to text if the recipe had another one.
void take(Config& config, const Fields& from, const std::string& key, const std::string& init, std::string& text) {
  const Field* const source = from.find(key);
  const Field* const own = config.find(key);
  if (!source || !own || (own->is_of_command_line() && key != "model.arch")) return;
  const std::string value = to_yaml(*source);
  const bool changes = value != to_yaml(*own);
  config.set(key + "=" + value, "the weights of " + init);
  if (changes) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, value);
}

}  // namespace

ModelConfig model_section(const nn::VitConfig& vit) {
  ModelConfig section;
  const std::vector<std::string> variants = nn::vit_variants();
  const auto same_width = std::find_if(variants.begin(), variants.end(), [&](const std::string& name) {
    return nn::vit_variant(name).embed_dim == vit.embed_dim;
  });
  if (same_width != variants.end()) section.arch = *same_width;
  section.patch_size = vit.patch_size;
  section.embed_dim = vit.embed_dim;
  section.depth = vit.depth;
  section.num_heads = vit.num_heads;
  section.mlp_ratio = vit.ffn == nn::Ffn::mlp ? double(ffn_width(vit)) / double(vit.embed_dim) : vit.mlp_ratio;
  section.layerscale_init = std::abs(vit.layerscale_init);
  section.global_pool = vit.pool;
  section.distilled = vit.distilled;
  section.num_registers = vit.num_registers;
  section.ffn = vit.ffn;
  section.gelu = vit.gelu;
  section.ln_eps = vit.ln_eps;
  section.pre_norm = vit.pre_norm;
  section.pos_interp = vit.pos_interp;
  if (vit.pos_embed == nn::PosEmbed::rope) section.pos = nn::PosEmbed::rope;
  section.window = vit.window;
  section.global_every = vit.global_every;
  const std::string other = differences(vit, vit_config(section, vit.img_size, vit.num_classes));
  check<ConfigError>(other.empty(), "model.arch",
                     "from_init: no key of a recipe gives what these weights need: {}; vitrail features and linear use "
                     "them as they are",
                     other);
  return section;
}

std::vector<std::string> settle_architecture(Config& config, const std::string& init) {
  const Field* const arch = config.find("model.arch");
  if (!arch || to_yaml(*arch) != kFromInit) return {};
  check<ConfigError>(!init.empty(), "model.arch", "from_init takes the architecture of weights: give init=RUN or FILE");
  std::string text;
  const auto take_all = [&](const Fields& from) {
    for (const char* key : kArchitectureKeys) take(config, from, "model." + std::string(key), init, text);
    for (const char* key : {"data.mean", "data.std"}) take(config, from, key, init, text);
  };
  if (published_weights(init)) {
    FromWeights sections = from_published(init);
    Fields fields;
    sections.describe(fields);
    take_all(fields);
  } else {
    const OpenedRun run = open_run(init);
    Fields fields;
    run.settings->describe(fields);
    check<ConfigError>(fields.find("model.global_pool") != nullptr, "model.arch",
                       "from_init: {} is a run of the method {}, which has no such model", init, run.settings->recipe);
    take_all(fields);
  }
  return {"[init] model and pixels of " + init + ": " + text};
}

std::string fit_hint(const TensorMap& network, const TensorMap& weights) {
  std::vector<std::string> hints;
  const auto has = [](const TensorMap& map, const char* name) { return map.contains(name); };
  const auto size = [](const TensorMap& map, const char* name, int axis) -> int64_t {
    const auto found = map.find(name);
    return found == map.end() || found->second.rank() <= axis ? 0 : found->second.size(axis);
  };
  const auto blocks = [](const TensorMap& map) {
    std::set<std::string> names;
    for (const auto& [name, tensor] : map)
      if (name.starts_with("blocks.")) names.insert(name.substr(0, name.find('.', 7)));
    return int64_t(names.size());
  };
  constexpr const char* kPatches = "patch_embed.proj.weight";  // [C, 3, P, P]
  if (has(weights, "conv1.weight") != has(network, "conv1.weight"))
    hints.emplace_back(has(weights, "conv1.weight") ? "the weights are a ResNet's" : "the weights are no ResNet's");
  if (has(weights, "cls_token") && !has(network, "cls_token"))
    hints.emplace_back("the weights have a class token: model.global_pool=token");
  if (!has(weights, "cls_token") && has(network, "cls_token") && has(weights, kPatches))
    hints.emplace_back("the weights have no class token: model.global_pool=avg");
  const auto number = [&](const char* what, const char* key, int64_t theirs, int64_t ours) {
    if (theirs > 0 && ours > 0 && theirs != ours)
      hints.push_back(fmt::format("their {} is {}, the model's {}: {}={}", what, theirs, ours, key, theirs));
  };
  number("width", "model.embed_dim", size(weights, kPatches, 0), size(network, kPatches, 0));
  number("patch", "model.patch_size", size(weights, kPatches, 3), size(network, kPatches, 3));
  number("depth", "model.depth", blocks(weights), blocks(network));
  if (has(weights, "blocks.0.ls1.gamma") != has(network, "blocks.0.ls1.gamma"))
    hints.emplace_back(has(weights, "blocks.0.ls1.gamma") ? "they have LayerScale: model.layerscale_init=1e-5"
                                                          : "they have no LayerScale: model.layerscale_init=0");
  if (has(weights, "pos_embed") != has(network, "pos_embed"))
    hints.emplace_back(has(weights, "pos_embed") ? "they have a table of positions: model.pos=learned"
                                                 : "they have no table of positions: model.pos=rope");
  if (const int64_t n = size(weights, "reg_token", 1); n != size(network, "reg_token", 1))
    hints.push_back(fmt::format("they have {} register tokens: model.num_registers={}", n, n));
  return fmt::format("{}", fmt::join(hints, "; "));
}

}  // namespace vitrail::recipes
