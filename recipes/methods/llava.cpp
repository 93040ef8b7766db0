#include "vitrail/recipes/methods/llava.h"

#include "vitrail/core/error.h"
#include "vitrail/data/text/conversation.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/methods/llava_start.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_weights.h"

#include <algorithm>

namespace vitrail::recipes {
namespace {

constexpr Named<LlavaConfig::Stage> kStages[] = {{"pretrain", LlavaConfig::Stage::pretrain},
                                                 {"instruct", LlavaConfig::Stage::instruct}};
constexpr Named<data::Grouping> kGroupings[] = {
    {"none", data::Grouping::none}, {"length", data::Grouping::length}, {"image", data::Grouping::image}};
constexpr std::string_view kByStage = "by_stage";
constexpr const char* kPartNames[] = {"tower", "projector", "decoder"};

}  // namespace

LlavaConfig::LlavaConfig() : prompt(kByStage) {
  lora.targets = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
  lora.train.clear();
  data.crop = TrainCrop::none;
  data.hflip = 0;
  data.img_size = 336;
  data.mean = {0.48145466, 0.4578275, 0.40821073};
  data.std = {0.26862954, 0.26130258, 0.27577711};
  optim.lr = 2e-5;
  optim.weight_decay = 0;
  optim.clip_grad = 1;
  schedule.warmup_epochs = 0.03;
  train.epochs = 1;
  train.batch_size = 128;
}

void LlavaConfig::describe_data(Fields& f) {
  data.describe_generator(f);
  f("root", data.root,
    "where the conversations are: LLaVA's JSON, a table of questions, or images with captions as for clip", is_path());
  f("train_split", data.train_split, "the part to train on");
  f("val_split", data.val_split, "the part to evaluate on");
  f("val_root", data.val_root, "where the part to evaluate on is, if not in root", is_path());
  data.describe_division(f);
  std::vector<std::string> names = data::prompt_template_names();
  names.emplace_back(kByStage);
  f("template", prompt, "the words around questions and answers; by_stage: plain for pretrain, v1 for instruct",
    one_of(std::move(names)));
  f("max_length", max_length, "tokens of a conversation, its image among them; what comes later is cut off",
    at_least(1));
  f("group", group,
    "conversations of a batch: none: at random; length: of similar lengths; image: those about one image together, "
    "which is then looked at once",
    kGroupings);
  f("families", families,
    "for data that does not tell kinds of questions apart: words, of which the first that a question has names its "
    "kind; yes-no questions are a kind of their own");
  f("shuffle_images", shuffle_images,
    "a control: conversations are about other images than their own, in every part, so that looking does not help");
  f("cache_features", cache_features,
    "file for the features of all training images, computed once by a tower that is not trained; without augmentation",
    is_path());
  data.describe_augmentation(f);
  data.describe_square(f);
  data.describe_pixels(f);
  data.describe_reading(f);
}

void LlavaConfig::describe_optim(Fields& f) {
  optim.describe(f);
  f("projector_lr", projector_lr, "peak learning rate of the projector; null: optim.lr", positive());
}

void LlavaConfig::Train::describe(Fields& f) {
  describe_length(f, "conversations a step");
  f("parts", parts, "what is trained; empty: the projector in pretrain, projector and decoder in instruct",
    one_of({kPartNames[0], kPartNames[1], kPartNames[2]}));
  describe_shards(f);
  describe_records(f);
}

void LlavaConfig::Eval::describe(Fields& f) {
  f("every", every, "epochs between evaluations", at_least(1));
  f("answers", answers, "answer questions of one turn, and compare the answers: the accuracy. Not for long answers");
  f("blank", blank, "also answer them about an image of the mean colour: what the question alone gives away");
  f("max_tokens", max_tokens, "most tokens of an answer", at_least(1));
  f("batch_size", batch_size, "conversations at a time", at_least(1));
  f("candidates", candidates, "captions: sentences of which the likeliest is chosen, one of them right", at_least(2));
  f("ranked", ranked, "captions: images for which that is done; 0: none", at_least(0));
}

void LlavaConfig::describe(Fields& f) {
  RecipeConfig::describe(f);
  f("stage", stage, "pretrain: the projector on captions; instruct: projector and decoder on conversations", kStages);
  f("init", init,
    "initial weights of the whole model: a run of this method, such as its first stage, or a folder of "
    "Hugging Face",
    is_path());
  f("accept_keys", accept_keys, kAcceptKeysHelp);
  model.describe(f);
  f("lora", lora);
  f.section("data", [&] { describe_data(f); });
  f.section("optim", [&] { describe_optim(f); });
  f("schedule", schedule);
  f("train", train);
  f("eval", eval);
}

std::vector<std::string> LlavaConfig::settle(Config& config) {
  std::vector<std::string> notes = settle_llava(config, *this);
  settle_adapter(config, notes);
  return notes;
}

bool LlavaConfig::trains(LlavaPart part) const {
  const std::string part_name = kPartNames[size_t(part)];
  if (!train.parts.empty()) return std::find(train.parts.begin(), train.parts.end(), part_name) != train.parts.end();
  return part == LlavaPart::projector || (part == LlavaPart::decoder && stage == Stage::instruct);
}

std::string LlavaConfig::template_name() const {
  if (prompt != kByStage) return prompt;
  return stage == Stage::pretrain ? "plain" : "v1";
}

std::unique_ptr<nn::Backbone> LlavaConfig::build_backbone(const nn::Scope& scope, int64_t) const {
  const nn::LlavaConfig c = llava();
  const bool last = c.feature_layers == std::vector<int64_t>{-1};
  check<ConfigError>(c.tower == nn::VisionTower::vit && c.feature_norm && last, "llava",
                     "its tower has no features by itself: only a tower that is read after its final norm "
                     "(tower.feature_layer=-1 tower.feature_norm=true) has");
  return std::make_unique<nn::VisionTransformer>(scope, c.vision);
}

void LlavaConfig::open(const TensorMap& state, OpenModel& opened) const {
  const std::shared_ptr<nn::Backbone> tower = build_backbone(nn::Scope().without_values(), 0);
  nn::load_state(*tower, without_prefix(sub_map(state, "model"), "vision_tower."), opened.source.string());
  set_backbone(opened, tower);
}

}  // namespace vitrail::recipes
