// The `lora:` section of a recipe: a frozen model, low-rank adapters on some of its Linears, and what else is trained.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/linear.h"
#include "vitrail/recipes/config/fields.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// The defaults adapt all four products of an attention. Hu et al. (section 7.1) get most for the same number of
/// weights by many products of a low rank, not by one of a high rank, and adapt attention alone. timm's qkv is one
/// Linear, so its queries, keys and values share lora_a: two thirds of the weights of three adapters. The
/// feed-forward layers (mlp.fc1, mlp.fc2) are worth adding if images differ much from those of the base.
struct LoraSection {
  int64_t rank = 0;  // 0: no adapters
  double alpha = 16;
  double dropout = 0;
  bool use_rslora = false;
  std::vector<std::string> targets{"attn.qkv", "attn.proj"};
  std::vector<std::string> train{"head*"};  // patterns, see freeze()
  DType base = DType::f32;
  std::string init;

  void describe(Fields& f);
  /// Whether there are adapters, and their settings.
  bool on() const { return rank > 0; }
  nn::LoraConfig config() const;

  /// Throws ConfigError if adapters have no weights to adapt, or for a base in bf16 that is not computed with in bf16.
  /// weights: the value of the recipe's init.
  void check_use(const std::string& weights, DType precision) const;
  /// Freezes the model but for its adapters, which it gets here, and what `train` names; then as frozen (model.freeze)
  /// says. Without adapters it does the latter alone. Throws ConfigError as nn::add_lora and freeze().
  void adapt(nn::ModuleBase& model, const std::vector<std::string>& frozen) const;
  /// Weights of a run, with its adapters added to them.
  TensorMap merged(TensorMap weights) const;
};

}  // namespace vitrail::recipes
