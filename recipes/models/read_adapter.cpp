#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/llama_names.h"
#include "vitrail/nn/weights/llava_names.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/config/derived_values.h"
#include "vitrail/recipes/config/json_object.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/weights_file.h"
#include "vitrail/recipes/run/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kAdapterConfig = "adapter_config.json", *kAdapterWeights = "adapter_model.safetensors";
constexpr std::string_view kPeftPrefix = "base_model.model.", kLoraA = ".lora_a";

// ---- adapter_config.json --------------------------------------------------------------------------------------------

bool is_off(const Json& value) {
  return value.is_null() || (value.is_bool() && !value.as_bool()) || (value.is_array() && value.as_array().empty()) ||
         (value.is_object() && value.as_object().empty()) || (value.is_string() && value.as_string().empty());
}

/// Throws IoError naming the first key that makes more of an adapter than LoRA is.
void expect_plain_lora(const JsonObject& c) {
  // The names of the weights show which layers are adapted and what is saved whole; the others are of training.
  c.pass_over({"target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "bias",
               "task_type", "auto_mapping", "inference_mode", "revision", "peft_version", "megatron_core",
               "qalora_group_size", "ensure_weight_tying"});
  if (const Json* const start = c.find("init_lora_weights"); start && start->is_string()) {
    const std::string& how = start->as_string();  // the others change the base too
    check<IoError>(how == "gaussian" || how == "eva" || how == "orthogonal", "adapter",
                   "{}: '{}' is '{}': such an adapter belongs to a base whose weights were changed with it", c.file(),
                   "init_lora_weights", how);
  }
  for (const auto& [key, value] : c.json().as_object()) {
    if (c.use_of(key) != JsonObject::Use::none || is_off(value)) continue;
    fail<IoError>("adapter",
                  "{}: '{}' is {}; of PEFT's methods plain LoRA is read, which has no such option; to pass over it: "
                  "--accept-key {}, in a recipe accept_keys: [{}]",
                  c.file(), key, value.excerpt(), key, key);
  }
}

void parse_adapter_config(const JsonObject& c, PeftAdapter& adapter) {
  c.only("peft_type", "LORA");
  c.only("fan_in_fan_out", false);
  adapter.base = c.text("base_model_name_or_path", "");
  adapter.config.rank = c.integer("r", 1, kMostWidth, 8);
  adapter.config.alpha = c.number("lora_alpha", 0, 1e6, 8);
  adapter.config.dropout = c.number("lora_dropout", 0, 0.99, 0);
  adapter.config.use_rslora = c.flag("use_rslora", false);
  expect_plain_lora(c);
  for (std::string& note : c.notes()) adapter.notes.push_back(std::move(note));
}

/// Reads adapter_config.json. path: the folder, or its file of weights.
PeftAdapter adapter_without_weights(const fs::path& path, const std::vector<std::string>& accept_keys) {
  PeftAdapter adapter;
  adapter.source = fs::is_directory(path) ? path : path.parent_path();
  for (const char* name : {kAdapterConfig, kAdapterWeights})
    check<IoError>(fs::exists(adapter.source / name), "adapter", "{}: has no {}", adapter.source.string(), name);
  parse_adapter_config(JsonObject::read(adapter.source / kAdapterConfig, accept_keys), adapter);
  return adapter;
}

// ---- adapter_model.safetensors --------------------------------------------------------------------------------------

/// A name in the file: "base_model.model.vit.layers.0.attention.q_proj.lora_A.weight".
struct PeftName {
  enum class Kind { a, b, whole } kind = Kind::whole;
  std::string weight;  // of the layer, or the weight itself: "vit.layers.0.attention.q_proj.weight"
};

/// Nothing for a weight of the base.
std::optional<PeftName> parse_peft_name(std::string name, const std::string& file) {
  check<IoError>(name.starts_with(kPeftPrefix), "adapter", "{}: '{}' does not begin with '{}', as PEFT's names do",
                 file, name, kPeftPrefix);
  name.erase(0, kPeftPrefix.size());
  if (name.find(".original_module.") != name.npos) return std::nullopt;
  for (const std::string_view wrapper : {".modules_to_save", ".base_layer"})
    if (const size_t at = name.find(wrapper); at != name.npos) name.erase(at, wrapper.size());
  constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";
  const bool is_a = name.ends_with(kA);
  if (is_a || name.ends_with(kB))
    return PeftName{is_a ? PeftName::Kind::a : PeftName::Kind::b, name.substr(0, name.size() - kA.size()) + ".weight"};
  check<IoError>(name.find("lora_") == name.npos, "adapter",
                 "{}: '{}' is of a kind of LoRA that is not built; lora_A and lora_B of linear layers are", file, name);
  return PeftName{PeftName::Kind::whole, name};
}

/// Our place of a weight by its name in the file.
using PlaceOf = std::function<std::optional<nn::PlaceInOurs>(std::string_view theirs)>;

/// The names that models have: those of each layout, of decoders, and of decoders that see.
std::vector<PlaceOf> known_names() {
  std::vector<PlaceOf> known;
  for (const nn::Layout* const layout : nn::layouts())
    known.emplace_back([layout](std::string_view theirs) { return nn::place_in_ours(*layout, theirs); });
  known.emplace_back([](std::string_view theirs) {
    const auto ours = nn::llama_name(theirs);
    return ours ? std::optional(nn::PlaceInOurs{.name = *ours}) : std::nullopt;
  });
  known.emplace_back(nn::llava_place);
  return known;
}

/// The first names in which every name has a place, and a place in the model if there is one.
PlaceOf places_of_adapter(const std::vector<PeftName>& names, const TensorMap* model, const std::string& file) {
  std::string homeless;  // of the names that come nearest
  size_t most = 0;
  for (const PlaceOf& place_of : known_names()) {
    const auto bad = std::find_if(names.begin(), names.end(), [&](const PeftName& name) {
      const auto place = place_of(name.weight);
      const bool head = place && place->name.starts_with("head");  // the base may have none
      return !place || (model && !head && !model->contains(place->name));
    });
    if (bad == names.end()) return place_of;
    const auto good = size_t(bad - names.begin());
    if (homeless.empty() || good > most) homeless = bad->weight;
    most = std::max(most, good);
  }
  fail<IoError>("adapter", "{}: it changes '{}', which {}", file, homeless,
                model ? "the model does not have" : "no model known here has");
}

/// What the file has for one layer of ours, by the parts of its rows.
struct Factors {
  std::vector<Tensor> a, b;  // [r, in], [out / parts, r]; undefined: the part is not adapted
};

bool same_values(const Tensor& x, const Tensor& y) { return x.shape() == y.shape() && x.to_vector() == y.to_vector(); }

/// lora_a [k r, in] and lora_b [out, k r] for the k parts that are adapted; [r, in] and [out, r] if all share lora_A.
std::pair<Tensor, Tensor> pack_factors(const Factors& f) {
  const auto is_there = [](const Tensor& t) { return t.defined(); };
  const bool all = std::all_of(f.a.begin(), f.a.end(), is_there);
  if (all && std::all_of(f.a.begin(), f.a.end(), [&](const Tensor& a) { return same_values(a, f.a[0]); }))
    return {f.a[0], core::concat(f.b, 0)};
  const Tensor& any = *std::find_if(f.b.begin(), f.b.end(), is_there);
  const int64_t rows = any.size(0), rank = any.size(1);
  const int64_t count = std::count_if(f.a.begin(), f.a.end(), is_there);
  std::vector<Tensor> a;
  Tensor b = zeros({rows * int64_t(f.b.size()), rank * count});
  for (size_t i = 0; i < f.a.size(); ++i) {
    if (!f.a[i].defined()) continue;
    const auto row = int64_t(i) * rows, column = int64_t(a.size()) * rank;
    b.slice(0, row, row + rows).slice(1, column, column + rank).copy_(f.b[i]);
    a.push_back(f.a[i]);
  }
  return {core::concat(a, 0), b};
}

void take_factors(const std::string& layer, const Factors& f, const TensorMap* model, PeftAdapter& adapter) {
  const std::string& file = adapter.source.string();
  const int64_t rank = adapter.config.rank;
  const Tensor* first = nullptr;
  for (size_t i = 0; i < f.a.size(); ++i) {
    const Tensor &a = f.a[i], &b = f.b[i];
    check<IoError>(a.defined() == b.defined(), "adapter", "{}: '{}' lacks one of lora_A and lora_B", file, layer);
    if (!a.defined()) continue;
    check<IoError>(a.rank() == 2 && b.rank() == 2 && a.size(0) == rank && b.size(1) == rank, "adapter",
                   "{}: '{}' has lora_A {} and lora_B {}, 'r' is {}", file, layer, a.shape(), b.shape(), rank);
    if (!first) first = &b;
    check<IoError>(b.size(0) == first->size(0), "adapter", "{}: the parts of '{}' have {} and {} outputs", file, layer,
                   first->size(0), b.size(0));
  }
  auto [a, b] = pack_factors(f);
  if (model) {
    const Shape& weight = model->at(layer + ".weight").shape();
    check<IoError>(weight == Shape{b.size(0), a.size(1)}, "adapter",
                   "{}: it is for a '{}' of {} inputs and {} outputs; the model's weight is {}", file, layer, a.size(1),
                   b.size(0), weight);
  }
  adapter.weights.emplace(layer + ".lora_a", std::move(a));
  adapter.weights.emplace(layer + ".lora_b", std::move(b));
}

/// The names of the file's tensors, and of what each is. Weights of the base are left out.
std::map<std::string, PeftName> peft_names_in(const safetensors::Reader& file) {
  std::map<std::string, PeftName> names;
  for (const std::string& name : file.names())
    if (auto parsed = parse_peft_name(name, file.path())) names.emplace(name, std::move(*parsed));
  return names;
}

void read_adapter_weights(const safetensors::Reader& file, const TensorMap* model, PeftAdapter& adapter) {
  const std::map<std::string, PeftName> names = peft_names_in(file);
  std::vector<PeftName> list;
  list.reserve(names.size());
  for (const auto& item : names) list.push_back(item.second);
  const PlaceOf place_of = places_of_adapter(list, model, file.path());
  std::map<std::string, Factors> layers;
  for (const auto& [name, parsed] : names) {
    const Tensor value = file.read(name);
    check_weight(file.path(), name, file.dtype(name), value);
    const nn::PlaceInOurs place = *place_of(parsed.weight);
    if (parsed.kind == PeftName::Kind::whole) {
      Shape shape = value.shape();
      for (int i = 0; i < place.unit_axes; ++i) shape = shape.insert(0, 1);
      adapter.whole.push_back({place.name, place.part, place.parts, value.to(DType::f32).reshape(shape)});
      continue;
    }
    Factors& factors = layers[place.name.substr(0, place.name.rfind('.'))];
    factors.a.resize(place.parts);
    factors.b.resize(place.parts);
    (parsed.kind == PeftName::Kind::a ? factors.a : factors.b)[place.part] = value.to(DType::f32);
  }
  check<IoError>(!layers.empty(), "adapter", "{}: has no lora_A", file.path());
  std::set<std::string> targets;
  int64_t largest = 1;
  for (const auto& [layer, factors] : layers) {
    take_factors(layer, factors, model, adapter);
    largest = std::max(largest, adapter.weights.at(layer + ".lora_a").size(0));
    targets.insert(end_of_name(layer));
  }
  adapter.targets.assign(targets.begin(), targets.end());
  const double scale = adapter.config.scale();
  adapter.config.rank = largest;
  adapter.config.alpha = scale * (adapter.config.use_rslora ? std::sqrt(double(largest)) : double(largest));
  adapter.classes = recipes::classes_in(file.metadata(), file.path());
}

/// Sets rows of weights to those that the adapter brings whole.
void replace_rows(const PeftAdapter& adapter, TensorMap& weights) {
  for (const auto& [name, part, parts, value] : adapter.whole) {
    if (parts == 1) {
      weights[name] = value;
      continue;
    }
    Tensor& weight = weights.at(name);
    const int64_t rows = value.size(0);
    check<IoError>(weight.size(0) == rows * int64_t(parts), "adapter", "{}: its part of '{}' is {}, the weight is {}",
                   adapter.source.string(), name, value.shape(), weight.shape());
    weight = weight.clone();
    weight.slice(0, int64_t(part) * rows, int64_t(part + 1) * rows).copy_(value);
  }
}

/// The base as adapter_config.json names it: from here, or from the adapter.
std::optional<fs::path> base_here(const fs::path& folder, const std::string& named) {
  for (const fs::path& path : {fs::path(named), folder / named})
    if (!named.empty() && fs::exists(path)) return path;
  return std::nullopt;
}

fs::path folder_of(const fs::path& adapter) { return fs::is_directory(adapter) ? adapter : adapter.parent_path(); }

std::string named_base(const fs::path& folder) {
  const fs::path config = folder / kAdapterConfig;
  return fs::exists(config) ? JsonObject::read(config).text("base_model_name_or_path", "") : "";
}

}  // namespace

std::string end_of_name(const std::string& layer) {
  for (size_t dot = layer.rfind('.'); dot != layer.npos && dot > 0; dot = layer.rfind('.', dot - 1))
    if (layer[dot - 1] >= '0' && layer[dot - 1] <= '9') return layer.substr(dot + 1);
  return layer;
}

bool is_adapter(const fs::path& path) {
  return path.filename() == kAdapterWeights || (fs::is_directory(path) && fs::exists(path / kAdapterConfig));
}

std::optional<fs::path> find_base(const fs::path& adapter, const std::string& base) {
  if (!base.empty()) return base;
  return base_here(folder_of(adapter), named_base(folder_of(adapter)));
}

fs::path base_of_adapter(const fs::path& adapter, const std::string& base) {
  const fs::path folder = folder_of(adapter);
  const std::optional<fs::path> found = find_base(adapter, base);
  check<ConfigError>(found.has_value(), "adapter",
                     "{}: its base model '{}' is no folder here; give the folder with --base, or write it as "
                     "base_model_name_or_path into {}",
                     folder.string(), found ? "" : named_base(folder), kAdapterConfig);
  check<ConfigError>(!is_adapter(*found), "adapter", "{}: its base {} is an adapter, too", folder.string(),
                     found->string());
  return *found;
}

PeftAdapter read_adapter(const fs::path& path, const TensorMap* model, const std::vector<std::string>& accept_keys) {
  PeftAdapter adapter = adapter_without_weights(path, accept_keys);
  read_adapter_weights(safetensors::Reader(adapter.source / kAdapterWeights), model, adapter);
  return adapter;
}

PublishedModel read_adapted_model(const fs::path& path, const PublishedOptions& options) {
  const fs::path folder = folder_of(path);
  PublishedOptions of_base = options;
  of_base.base.clear();
  const fs::path base = base_of_adapter(path, options.base);
  PublishedModel model =
      published_weights(base) ? read_published_model(base, of_base) : to_published(open_model(base, {}, of_base));
  PeftAdapter adapter = read_adapter(folder, &model.weights, options.accept_keys);
  model.weights.merge(TensorMap(adapter.weights));
  nn::merge_lora(model.weights, adapter.config.scale());
  replace_rows(adapter, model.weights);
  const auto head = model.weights.find("head.weight");
  const int64_t outputs = head == model.weights.end() ? 0 : head->second.size(0);
  if (outputs != model.architecture->vision().num_classes && outputs > 0)  // the adapter brings another classifier
    model.architecture =
        model.architecture->completed(model.weights, *model.layout, folder.string(), model.architecture->unwritten());
  if (!adapter.classes.empty()) model.classes = std::move(adapter.classes);
  if (int64_t(model.classes.size()) != model.architecture->num_classes()) model.classes.clear();
  model.source = folder / kAdapterWeights;
  for (std::string& note : adapter.notes) model.notes.push_back(std::move(note));
  model.notes.push_back("the adapter is added to the weights of " + base.string());
  return model;
}

void add_adapter(TensorMap& weights, const fs::path& folder, const std::vector<std::string>& accept_keys,
                 std::vector<std::string>& notes) {
  const PeftAdapter adapter = read_adapter(folder, &weights, accept_keys);
  bool rounds = false;
  for (const auto& [name, a] : adapter.weights) {
    if (!name.ends_with(kLoraA)) continue;
    const std::string layer = name.substr(0, name.size() - kLoraA.size()), weight = layer + ".weight";
    // One layer at a time: a large model in bf16 is never in memory in f32.
    TensorMap one = {
        {weight, weights.at(weight)}, {name, a}, {layer + ".lora_b", adapter.weights.at(layer + ".lora_b")}};
    nn::merge_lora(one, adapter.config.scale());
    const DType dtype = weights.at(weight).dtype();
    rounds |= dtype == DType::bf16;
    weights.at(weight) = one.at(weight).to(dtype);
  }
  const TensorMap before = weights;
  replace_rows(adapter, weights);
  for (const PeftAdapter::Whole& whole : adapter.whole) {
    Tensor& now = weights.at(whole.name);
    const Tensor& then = before.at(whole.name);
    check<IoError>(now.shape() == then.shape(), "adapter", "{}: its '{}' is {}, the model's is {}", folder.string(),
                   whole.name, now.shape(), then.shape());
    now = now.to(then.dtype());
  }
  for (const std::string& note : adapter.notes) notes.push_back(note);
  notes.push_back(fmt::format("the adapter {} is added to the weights of {}{}", folder.string(),
                              several(int64_t(adapter.weights.size() / 2), "layer"),
                              rounds ? ", and the sums are rounded to bf16" : ""));
}

void settle_adapter(Config& config, std::vector<std::string>& notes) {
  const auto path = *std::get<std::string*>(config.find("lora.init")->slot);
  DerivedValues defaults(config, "lora.init", "the adapter " + path);
  if (path.empty() || !defaults.may_set("lora.rank")) return;
  const auto accepted = *std::get<std::vector<std::string>*>(config.find("accept_keys")->slot);
  const PeftAdapter adapter = read_adapter(path, nullptr, accepted);
  defaults.set("lora.rank", std::to_string(adapter.config.rank));
  defaults.set("lora.alpha", fmt::format("{}", adapter.config.alpha));
  defaults.set("lora.dropout", fmt::format("{}", adapter.config.dropout));
  defaults.set("lora.use_rslora", adapter.config.use_rslora ? "true" : "false");
  defaults.set("lora.targets", fmt::format("[{}]", fmt::join(adapter.targets, ", ")));
  if (!defaults.text().empty()) notes.push_back(fmt::format("[lora] as the adapter {}: {}", path, defaults.text()));
}

void load_adapter(nn::ModuleBase& model, const fs::path& folder, const std::vector<std::string>& accept_keys,
                  std::vector<std::string>& notes) {
  TensorMap own = nn::state(model);
  const PeftAdapter adapter = read_adapter(folder, &own, accept_keys);
  for (nn::Linear* const layer : model.modules<nn::Linear>()) {
    const auto a = adapter.weights.find(layer->name() + ".lora_a");
    if (a == adapter.weights.end()) continue;
    check<ConfigError>(layer->lora_a.has_value(), "lora.targets", "{} adapts '{}', which no target names",
                       folder.string(), layer->name());
    const int64_t theirs = a->second.size(0), rank = layer->lora_a->shape()[0];
    check<ConfigError>(theirs <= rank, "lora.rank",
                       "is {}; {} needs {} for '{}', where it adapts queries, keys and values one by one", rank,
                       folder.string(), theirs, layer->name());
    const double factor = adapter.config.scale() / layer->lora_scale;
    const Tensor b = core::affine(adapter.weights.at(layer->name() + ".lora_b"), factor);
    layer->lora_a->update([&](Tensor& t) { t.slice(0, 0, theirs).copy_(a->second); });
    layer->lora_b->update([&](Tensor& t) { t.zero_().slice(1, 0, theirs).copy_(b); });
  }
  replace_rows(adapter, own);
  std::set<std::string> names;
  for (const PeftAdapter::Whole& w : adapter.whole) names.insert(w.name);
  TensorMap whole;
  for (const std::string& name : names) whole.emplace(name, own.at(name));
  const nn::LoadReport report = nn::load_state(model, whole, folder.string(), nn::Strict::no);
  for (const auto* const list : {&report.unexpected, &report.mismatched})
    for (const std::string& name : *list)
      notes.push_back(fmt::format("[lora] {}: {}: left out, it is not of this model", folder.string(), name));
  for (const std::string& note : adapter.notes) notes.push_back("[lora] " + note);
  notes.push_back(
      fmt::format("[lora] begins with the adapter {}, on {} layers", folder.string(), adapter.weights.size() / 2));
}

}  // namespace vitrail::recipes
