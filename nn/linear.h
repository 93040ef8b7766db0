// Linear: y = x weight' + bias, LoRA, its low-rank adapter, and weights of 8 bits.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/module.h"

namespace vitrail::nn {

struct LinearConfig {
  bool bias = true;
  Init weight_init = init::trunc_normal(0.02);  // transformers; PyTorch's layers use init::kaiming_uniform()
  Init bias_init = init::zeros();
};

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 16;
  double dropout = 0;       // of the adapter's input, in training
  bool use_rslora = false;  // Kalajdzievski 2023 (arXiv:2312.03732)

  /// The factor of lora_b lora_a: alpha / rank, or with use_rslora alpha / sqrt(rank).
  double scale() const;
};

/// Shape: x [..., in] -> [..., out]. Throws ShapeError if the last axis of x is not in.
struct Linear final : Module<Linear, Layer> {
  Linear(const Scope& scope, int64_t in, int64_t out, const LinearConfig& config = {});

  Var forward(const Var& x) override { return forward(x, std::nullopt); }
  /// out_dtype: f32 where the result joins the residual stream or a loss under autocast.
  Var forward(const Var& x, std::optional<DType> out_dtype);
  /// Outputs begin .. end - 1 alone: x [..., in] -> [..., end - begin].
  Var outputs(const Var& x, int64_t begin, int64_t end);

  /// Freezes weight and bias and adds config.scale() lora_b lora_a to the weight, both trained. A packed layer such as
  /// qkv has one lora_a for queries, keys and values; each has its own rows of lora_b.
  /// Shape:  lora_a [rank, in], as PyTorch's linear layers at the start; lora_b [out, rank], zeros at the start.
  /// Throws: ConfigError if the layer has an adapter or rank is less than 1.
  /// Source: Hu et al. 2021 (arXiv:2106.09685), eq. 3; dropout as in Hugging Face PEFT.
  void add_lora(const LoraConfig& config);
  /// Adds the adapter's product to the weight and removes the adapter. weight and bias stay frozen. A bf16 weight
  /// becomes f32: bf16 would round small changes away.
  void merge_lora();

  /// Replaces the weight by one of 8 bits, for inference: see core::Int8Matrix. weight keeps its shape alone.
  /// Throws ConfigError if the layer has an adapter, computes in f64, or is quantized already.
  void quantize_int8();

  Param weight;
  std::optional<Param> bias;
  std::optional<Param> lora_a, lora_b;  // both or none
  double lora_scale = 0, lora_dropout = 0;
  std::optional<core::Int8Matrix> int8;  // in the place of weight

 private:
  void expect_weight(std::string_view op) const;
  /// The adapter's part of the outputs whose rows of lora_b are b.
  Var adapter(const Var& x, const Var& b, std::optional<DType> out_dtype = {});
};

/// Freezes a model and gives an adapter to each of its Linears whose name ends with one of the targets, such as
/// "attn.qkv". Returns how many. Throws ConfigError if a target fits no Linear, listing those that the model has.
int64_t add_lora(ModuleBase& model, const std::vector<std::string>& targets, const LoraConfig& config = {});
/// Whether this is the name of an adapter's weight: "blocks.0.attn.qkv.lora_a".
bool is_lora(std::string_view name);
/// Merges and removes all adapters. The model computes the same up to rounding. Returns how many there were.
int64_t merge_lora(ModuleBase& model);
/// The same for weights by name, as state() gives them. scale: LoraConfig::scale() of the adapters.
int64_t merge_lora(TensorMap& weights, double scale);
/// Rounds the frozen weights of Linears to bf16, which halves their memory and, beside Autocast(DType::bf16), changes
/// no number: products round them anyway. Such a weight cannot be trained.
void round_frozen(ModuleBase& model);
/// Gives 8-bit weights to all Linears. The model then needs half of bf16's memory, and can be neither trained nor
/// saved. Returns how many there are. Llama::quantize_int8() also serves its tied output.
int64_t quantize_int8(ModuleBase& model);

}  // namespace vitrail::nn
