#include "vitrail/nn/linear.h"

#include <algorithm>

namespace vitrail::nn {

Linear::Linear(const Scope& scope, int64_t in, int64_t out, const LinearConfig& config)
    : Module(scope), weight(sub("weight"), {out, in}, config.weight_init) {
  if (config.bias) bias.emplace(sub("bias"), Shape{out}, config.bias_init);
}

Var Linear::forward(const Var& x, std::optional<DType> out_dtype) {
  Var y = linear(x, weight, bias ? Var(*bias) : Var(), out_dtype);
  if (!lora_a) return y;
  return y + linear(linear(x, *lora_a, {}), *lora_b, {}, out_dtype) * lora_scale;
}

Var Linear::outputs(const Var& x, int64_t begin, int64_t end) {
  Var y = linear(x, slice(weight, 0, begin, end), bias ? slice(*bias, 0, begin, end) : Var());
  if (!lora_a) return y;
  return y + linear(linear(x, *lora_a, {}), slice(*lora_b, 0, begin, end), {}) * lora_scale;
}

void Linear::add_lora(const LoraConfig& c) {
  check<ConfigError>(!lora_a, "lora", "'{}' has an adapter already", path());
  check<ConfigError>(c.rank >= 1, "lora", "rank is {}; it must be at least 1", c.rank);
  freeze();
  const DType type = dtype() == DType::f64 ? DType::f64 : DType::f32;
  lora_a.emplace(sub("lora_a").trained(type), Shape{c.rank, weight.shape()[1]}, init::kaiming_uniform());
  lora_b.emplace(sub("lora_b").trained(type), Shape{weight.shape()[0], c.rank}, init::zeros());
  lora_scale = c.alpha / double(c.rank);
}

void Linear::merge_lora() {
  if (!lora_a) return;
  const Tensor delta = core::affine(core::matmul(lora_b->value(), lora_a->value()), lora_scale);  // [out, in]
  weight.update([&](Tensor& w) { w.copy_(core::add(w.to(delta.dtype()), delta)); });
  lora_a.reset();
  lora_b.reset();
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

int64_t merge_lora(ModuleBase& model) {
  int64_t count = 0;
  for (Linear* layer : model.modules<Linear>()) {
    count += layer->lora_a.has_value();
    layer->merge_lora();
  }
  return count;
}

}  // namespace vitrail::nn
