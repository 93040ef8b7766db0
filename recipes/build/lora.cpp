#include "vitrail/recipes/build/lora.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/build/freeze.h"

namespace vitrail::recipes {
namespace {

constexpr Named<DType> kBaseTypes[] = {{"f32", DType::f32}, {"bf16", DType::bf16}};

}  // namespace

void LoraSection::describe(Fields& f) {
  f("rank", rank, "rank of the adapters that are trained in place of the model; 0: no adapters", at_least(0));
  f("alpha", alpha, "adapters count alpha / rank times", positive());
  f("dropout", dropout, "dropout of the adapters' inputs", between(0, 0.99));
  f("use_rslora", use_rslora, "adapters count alpha / sqrt(rank) times");
  f("targets", targets, "Linears that get an adapter, by the ends of their names", one_or_more());
  f("train", train,
    "parameters that are trained beside the adapters, written as in model.freeze; head*: the classifiers",
    one_or_more());
  f("base", base, "type of the frozen Linears; bf16: half the memory, and the same numbers with precision: bf16",
    kBaseTypes);
  f("init", init, "adapters to begin with: a folder of Hugging Face PEFT, for the model at init", is_path());
}

nn::LoraConfig LoraSection::config() const {
  return {.rank = rank, .alpha = alpha, .dropout = dropout, .use_rslora = use_rslora};
}

void LoraSection::check_use(const std::string& weights, DType precision) const {
  if (!on()) {
    check<ConfigError>(init.empty(), "lora.init", "'{}' has adapters, but lora.rank is 0", init);
    return;
  }
  check<ConfigError>(!weights.empty(), "lora.rank",
                     "{}: adapters change trained weights, and this run has none: give init=RUN, FOLDER or FILE", rank);
  check<ConfigError>(base != DType::bf16 || precision == DType::bf16, "lora.base",
                     "bf16 needs precision: bf16; else products need the weights in f32 too, and memory grows");
}

void LoraSection::adapt(nn::ModuleBase& model, const std::vector<std::string>& frozen) const {
  if (on()) {
    nn::add_lora(model, targets, config());
    unfreeze(model, train, "lora.train");
  }
  freeze(model, frozen);
  if (on() && base == DType::bf16) nn::round_frozen(model);
}

TensorMap LoraSection::merged(TensorMap weights) const {
  if (on()) nn::merge_lora(weights, config().scale());
  return weights;
}

}  // namespace vitrail::recipes
