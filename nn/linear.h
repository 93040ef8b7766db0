// Linear: y = x weight' + bias, and LoRA, its low-rank adapter.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

struct LinearConfig {
  bool bias = true;
  Init weight_init = init::trunc_normal(0.02);  // transformers; PyTorch's layers use init::kaiming_uniform()
  Init bias_init = init::zeros();
};

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 16;  // the adapter is scaled by alpha / rank
};

/// Shape: x [..., in] -> [..., out]. Throws ShapeError if the last axis of x is not in.
struct Linear final : Module<Linear, Layer> {
  Linear(const Scope& scope, int64_t in, int64_t out, const LinearConfig& config = {});

  Var forward(const Var& x) override { return forward(x, std::nullopt); }
  /// out_dtype: f32 where the result joins the residual stream or a loss under autocast.
  Var forward(const Var& x, std::optional<DType> out_dtype);
  /// Outputs begin .. end - 1 alone: x [..., in] -> [..., end - begin].
  Var outputs(const Var& x, int64_t begin, int64_t end);

  /// Freezes weight and bias and adds alpha / rank lora_b lora_a to the weight, both trained.
  /// Shape:  lora_a [rank, in], as PyTorch's linear layers at the start; lora_b [out, rank], zeros at the start.
  /// Throws: ConfigError if the layer has an adapter or rank is less than 1.
  /// Source: Hu et al. 2021 (arXiv:2106.09685), eq. 3.
  void add_lora(const LoraConfig& config);
  /// Adds the adapter's product to the weight and removes the adapter. weight and bias stay frozen.
  void merge_lora();

  Param weight;
  std::optional<Param> bias;
  std::optional<Param> lora_a, lora_b;  // both or none
  double lora_scale = 0;
};

/// Freezes a model and gives an adapter to each of its Linears whose name ends with one of the targets, such as
/// "attn.qkv". Returns how many. Throws ConfigError if a target fits no Linear, listing those that the model has.
int64_t add_lora(ModuleBase& model, const std::vector<std::string>& targets, const LoraConfig& config = {});
/// Merges and removes all adapters. The model computes the same up to rounding. Returns how many there were.
int64_t merge_lora(ModuleBase& model);

}  // namespace vitrail::nn
