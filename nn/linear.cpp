#include "vitrail/nn/linear.h"

#include <algorithm>
#include <cmath>

namespace vitrail::nn {
namespace {

constexpr std::string_view kLoraA = ".lora_a", kLoraB = ".lora_b";

/// weight + scale b a, in the adapter's type. Shapes: weight [out, in], a [rank, in], b [out, rank].
Tensor adapted(const Tensor& weight, const Tensor& a, const Tensor& b, double scale) {
  return core::add(weight.to(b.dtype()), core::affine(core::matmul(b, a), scale));
}

}  // namespace

double LoraConfig::scale() const { return alpha / (use_rslora ? std::sqrt(double(rank)) : double(rank)); }

Linear::Linear(const Scope& scope, int64_t in, int64_t out, const LinearConfig& config)
    : Module(scope), weight(sub("weight"), {out, in}, config.weight_init) {
  if (config.bias) bias.emplace(sub("bias"), Shape{out}, config.bias_init);
}

Var Linear::forward(const Var& x, std::optional<DType> out_dtype) {
  const Var addend = bias ? Var(*bias) : Var();
  Var y = int8 ? linear(x, *int8, addend, out_dtype) : linear(x, weight, addend, out_dtype);
  return lora_a ? y + adapter(x, *lora_b, out_dtype) : y;
}

Var Linear::outputs(const Var& x, int64_t begin, int64_t end) {
  expect_weight("outputs");
  Var y = linear(x, slice(weight, 0, begin, end), bias ? slice(*bias, 0, begin, end) : Var());
  return lora_a ? y + adapter(x, slice(*lora_b, 0, begin, end)) : y;
}

Var Linear::adapter(const Var& x, const Var& b, std::optional<DType> out_dtype) {
  const Var seen = is_training() && lora_dropout > 0 ? dropout(x, lora_dropout) : x;
  return linear(linear(seen, *lora_a, {}) * lora_scale, b, {}, out_dtype);  // the factor where there are rank columns
}

void Linear::add_lora(const LoraConfig& c) {
  expect_weight("lora");
  check<ConfigError>(!lora_a, "lora", "'{}' has an adapter already", path());
  check<ConfigError>(c.rank >= 1, "lora", "rank is {}; it must be at least 1", c.rank);
  freeze();
  const DType type = dtype() == DType::f64 ? DType::f64 : DType::f32;
  lora_a.emplace(sub("lora_a").trained(type), Shape{c.rank, weight.shape()[1]}, init::kaiming_uniform());
  lora_b.emplace(sub("lora_b").trained(type), Shape{weight.shape()[0], c.rank}, init::zeros());
  lora_scale = c.scale();
  lora_dropout = c.dropout;
}

void Linear::merge_lora() {
  if (!lora_a) return;
  weight.update([&](Tensor& w) { w = adapted(w, lora_a->value(), lora_b->value(), lora_scale); });
  lora_a.reset();
  lora_b.reset();
}

void Linear::quantize_int8() {
  expect_weight("quantize_int8");
  check<ConfigError>(!lora_a, "quantize_int8", "'{}' has an adapter; merge it first", path());
  check<ConfigError>(dtype() != DType::f64, "quantize_int8", "'{}' is f64; int8 weights compute in f32 or bf16",
                     path());
  const MemoryOwner owner("int8 weights");
  int8 = core::quantize_int8(weight.value());
  weight.drop_value();
  if (bias) bias->set_requires_grad(false);
}

void Linear::expect_weight(std::string_view op) const {
  check<ConfigError>(!int8, op, "'{}' has int8 weights, for inference alone; open the model without int8", path());
}

int64_t add_lora(ModuleBase& model, const std::vector<std::string>& targets, const LoraConfig& config) {
  const std::vector<Linear*> layers = model.modules<Linear>();
  const auto fits = [](const Linear& layer, const std::string& target) {
    return layer.name() == target || layer.name().ends_with("." + target);
  };
  for (const std::string& target : targets) {
    if (std::any_of(layers.begin(), layers.end(), [&](const Linear* layer) { return fits(*layer, target); })) continue;
    std::string known;
    for (const Linear* layer : layers) known += (known.empty() ? "" : ", ") + layer->name();
    fail<ConfigError>("lora", "no Linear is called '{}'; the model has {}", target, known);
  }
  model.freeze();
  int64_t count = 0;
  for (Linear* layer : layers) {
    const auto mine = [&](const std::string& target) { return fits(*layer, target); };
    if (std::none_of(targets.begin(), targets.end(), mine)) continue;
    layer->add_lora(config);
    ++count;
  }
  return count;
}

bool is_lora(std::string_view name) { return name.ends_with(kLoraA) || name.ends_with(kLoraB); }

int64_t merge_lora(ModuleBase& model) {
  int64_t count = 0;
  for (Linear* layer : model.modules<Linear>()) {
    count += layer->lora_a.has_value();
    layer->merge_lora();
  }
  return count;
}

int64_t merge_lora(TensorMap& weights, double scale) {
  std::vector<std::string> layers;
  for (const auto& [name, value] : weights)
    if (name.ends_with(kLoraA)) layers.push_back(name.substr(0, name.size() - kLoraA.size()));
  for (const std::string& layer : layers) {
    const auto part = [&](const char* name) -> Tensor& {
      const auto found = weights.find(layer + name);
      check<IoError>(found != weights.end(), "lora", "'{}' has an adapter, but no '{}'", layer, name);
      return found->second;
    };
    Tensor& weight = part(".weight");
    weight = adapted(weight, part(".lora_a"), part(".lora_b"), scale);
    weights.erase(layer + ".lora_a");
    weights.erase(layer + ".lora_b");
  }
  return int64_t(layers.size());
}

void round_frozen(ModuleBase& model) {
  for (Linear* layer : model.modules<Linear>())
    if (!layer->weight.requires_grad()) layer->weight.update([](Tensor& w) { w = w.to(DType::bf16); });
}

int64_t quantize_int8(ModuleBase& model) {
  const std::vector<Linear*> layers = model.modules<Linear>();
  for (Linear* layer : layers) layer->quantize_int8();
  return int64_t(layers.size());
}

}  // namespace vitrail::nn
