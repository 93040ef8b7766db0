#include "vitrail/recipes/methods/clip.h"

#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/methods/clip_data.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_weights.h"

#include <cmath>

namespace vitrail::recipes {
namespace {

constexpr Named<ClipConfig::Loss> kLosses[] = {{"contrastive", ClipConfig::Loss::contrastive},
                                               {"sigmoid", ClipConfig::Loss::sigmoid}};
constexpr Named<ClipConfig::Compat> kClipCompats[] = {{"none", ClipConfig::Compat::none},
                                                      {"open_clip", ClipConfig::Compat::open_clip}};

}  // namespace

ClipConfig::ClipConfig() {
  data.crop_scale = {0.9, 1};
  data.hflip = 0;
  data.eval_crop = 1;
  data.mean = {0.48145466, 0.4578275, 0.40821073};
  data.std = {0.26862954, 0.26130258, 0.27577711};
  optim.lr = 5e-4;
  optim.weight_decay = 0.2;
  optim.betas = {0.9, 0.98};
  optim.eps = 1e-6;
  lora.train.clear();  // the projections and the temperature are trained already, and small steps keep them
  train.epochs = 32;
  train.batch_size = 256;
}

/// Unlike other datasets, pairs have kinds of captions and no subset.
void ClipConfig::describe_data(Fields& f) {
  data.describe_generator(f);
  f("root", data.root, "where the pairs are: a table of captions with its images, tar shards, HDF5", is_path());
  f("train_split", data.train_split, "the part to train on");
  f("val_split", data.val_split, "the part to evaluate on");
  f("val_root", data.val_root, "where the part to evaluate on is, if not in root; undivided data is taken whole",
    is_path());
  data.describe_division(f);
  f("captions", captions, "kinds of captions to train on, if the table has a column 'kind'; empty: all");
  data.describe_augmentation(f);
  data.describe_pixels(f);
  data.describe_reading(f);
}

void ClipConfig::describe_optim(Fields& f) {
  optim.describe(f);
  f("decay_pos_embed", decay_pos_embed, "decay positions too, as OpenAI and older runs of open_clip did");
}

void ClipConfig::Train::describe(Fields& f) {
  f("loss", loss, "contrastive: CLIP, softmax over the batch; sigmoid: SigLIP, each pair by itself", kLosses);
  describe_length(f, "pairs a step, which the loss compares with each other");
  f("micro_batch", micro_batch,
    "pairs computed at a time, to save memory; the gradient is that of the whole batch; null: all", at_least(1));
  describe_records(f);
}

void ClipConfig::Eval::describe(Fields& f) {
  f("every", every, "epochs between evaluations", at_least(1));
  f("captions", captions, "kinds of captions for retrieval; empty: all");
  f("baselines", baselines, "also score random weights, once per run");
}

void ClipConfig::ZeroShot::describe(Fields& f) {
  f("root", root, "labelled images to classify; empty: images of data.val_split whose caption is a class name",
    is_path());
  f("split", split, "part of root");
  f("names", names, "file with a class name on each line; empty: the classes of root, or no zero-shot evaluation",
    is_path());
  f("templates", templates, "file with a prompt on each line, {} for the name; empty: the name alone", is_path());
}

void ClipConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("init", init, "initial weights of both towers: safetensors (OpenAI's or open_clip's names), or a run", is_path());
  f("accept_keys", accept_keys, kAcceptKeysHelp);
  f("compat", compat, "open_clip: the gradient of the temperature counts once per micro-batch", kClipCompats);
  towers.describe(f);
  f("lora", lora);
  f.section("data", [&] { describe_data(f); });
  f.section("optim", [&] { describe_optim(f); });
  f("schedule", schedule);
  f("train", train);
  f("eval", eval);
  f("zero_shot", zero_shot);
}

ClipModelConfig ClipConfig::clip() const {
  ClipModelConfig c = towers;
  if (train.loss == Loss::sigmoid) {
    if (!c.model.logit_scale) c.model.logit_scale = std::log(10.0);
    if (!c.model.logit_bias) c.model.logit_bias = -10;
  }
  return c;
}

std::vector<std::string> ClipConfig::settle(Config& config) {
  std::vector<std::string> notes;
  settle_adapter(config, notes);
  return notes;
}

std::unique_ptr<nn::Backbone> ClipConfig::build_backbone(const nn::Scope& scope, int64_t) const {
  return build_image_tower(scope, towers, data.img_size);
}

void ClipConfig::open(const TensorMap& state, OpenModel& opened) const {
  const std::string source = opened.source.string();
  data::Vocabulary vocabulary = to_vocabulary(state.at("vocabulary"), source);
  const std::shared_ptr<nn::Clip> model =
      build_clip(nn::Scope().without_values(), clip(), data.img_size, vocabulary.size());
  nn::load_state(*model, merge_adapters(opened, *this, sub_map(state, "model")), source);
  set_clip(opened, clip_config(clip(), data.img_size, vocabulary.size()), model, [vocabulary] { return vocabulary; });
}

}  // namespace vitrail::recipes
