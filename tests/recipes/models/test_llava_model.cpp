#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/llava_model.h"

#include <functional>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::any_says;
using test::max_difference;
using test::TemporaryFolder;

namespace {

constexpr int64_t kImage = nn::kImagePlace;

enum class Kind { clip, siglip, idefics3 };

LlavaHubConfig small_hub(Kind kind) {
  LlavaHubConfig hub;
  nn::LlavaConfig& c = hub.llava;
  c.vision = {.img_size = 16, .patch_size = 4, .num_classes = 0, .embed_dim = 16, .depth = 2, .num_heads = 2};
  c.vision.pos_interp = ag::PosInterp::size;
  if (kind == Kind::clip) {
    c.vision.pre_norm = true;
    c.vision.gelu = ag::Gelu::quick;
    c.vision.ln_eps = 1e-5;
  } else {
    c.vision.class_token = false;
    c.vision.pool = nn::Pool::avg;
    c.vision.gelu = ag::Gelu::tanh;
    c.select = kind == Kind::siglip ? nn::FeatureSelect::full : nn::FeatureSelect::patch;
  }
  c.feature_layers = {-1};
  if (kind == Kind::idefics3) {
    hub.names = nn::LlavaNames::idefics3;
    c.feature_norm = true;
    c.pixel_shuffle = 2;
    c.projector = {.depth = 1, .bias = false};
  }
  c.text = {.vocab_size = 20,
            .embed_dim = 8,
            .hidden_dim = 12,
            .depth = 2,
            .num_heads = 4,
            .num_kv_heads = 2,
            .head_dim = 2,
            .qkv_bias = kind == Kind::siglip,
            .tied = kind == Kind::siglip,
            .context_length = 64};
  hub.decoder.model_type = kind == Kind::siglip ? "qwen2" : "llama";
  hub.decoder.llama = c.text;
  hub.decoder.bos = 1;
  hub.decoder.eos = {2, 5};
  hub.image_token = 19;
  hub.image_size = kind == Kind::siglip ? 18 : 16;  // a margin that is no patch
  Preprocessing& p = hub.preprocessing;
  p = {.resize = Preprocessing::Resize::exact, .size = hub.image_size, .filter = data::Filter::bicubic, .crop = 0};
  p.mean = p.std = data::kHalfMean;
  if (kind != Kind::idefics3) p.crop_offset = data::CropOffset::floor;
  if (kind == Kind::clip) p.resize = Preprocessing::Resize::shorter, p.crop = 16;
  return hub;
}

/// A folder with a model of random weights, and its logits.
struct LlavaFolder {
  TemporaryFolder folder;
  LlavaModel model;

  explicit LlavaFolder(Kind kind) {
    model.config = small_hub(kind);
    model.llava = std::make_shared<nn::Llava>(nn::Scope(4), model.config.llava);
    Rng rng(2, "biases");
    for (nn::Parameter* p : model.llava->parameters())
      if (p->shape().rank() == 1) p->update([&](Tensor& w) { w = core::add(w, rng.normal(w.shape(), 0, 0.2)); });
    write_llava(model, path());
  }
  const std::filesystem::path& path() const { return folder.path(); }
  std::filesystem::path weights() const { return path() / "model.safetensors"; }
  /// Changes config.json, then opens the folder.
  LlavaModel with(const json& changes) const {
    test::patch_json(path() / "config.json", changes);
    return open_llava(path());
  }
  /// Gives other names to the weights; an empty name leaves one out.
  void rename(const std::function<std::string(std::string)>& name) const {
    TensorMap renamed;
    for (const auto& [old, t] : safetensors::Reader(weights()).read_all())
      if (const std::string now = name(old); !now.empty()) renamed[now] = t.clone();
    safetensors::save(weights(), renamed);
  }
};

Tensor llava_logits(const LlavaModel& model) {
  const ag::Autocast precision(model.dtype());
  const std::vector<nn::LabelledText> texts = {{{1, kImage, 7, 8}, {}}, {{1, 3}, {}}};
  const int64_t side = model.config.image_size;
  return (*model.llava)(model.llava->splice(texts), Rng(3, "pixels").normal({1, 3, side, side}, 0, 1)).value();
}

double difference(const LlavaModel& a, const LlavaModel& b) { return max_difference(llava_logits(a), llava_logits(b)); }

/// Checks that the action throws an error of ours whose message has these texts.
void check_says(const std::function<void()>& action, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) test::check_refused(action, text);
}

std::string replaced(const std::string& name, const std::string& beginning, const std::string& by) {
  return name.starts_with(beginning) ? by + name.substr(beginning.size()) : name;
}

}  // namespace

TEST_CASE("folders of models that see: what is written is read again") {
  for (const Kind kind : {Kind::clip, Kind::siglip, Kind::idefics3}) {
    CAPTURE(int(kind));
    const LlavaFolder f(kind);
    CHECK(is_llava(f.path()));
    const LlavaModel model = open_llava(f.path());
    CHECK(any_says(model.notes, "one tile of 16 x 16, resized once") == (kind == Kind::idefics3));
    CHECK(model.notes.size() == (kind == Kind::idefics3 ? 1 : 0));
    CHECK(difference(model, f.model) < 1e-6);
    CHECK(model.config.preprocessing == f.model.config.preprocessing);
    CHECK(model.config.image_size == f.model.config.image_size);
    CHECK(model.config.image_token == 19);
    CHECK(model.config.decoder.eos == std::vector<int64_t>{2, 5});
    CHECK(model.config.decoder.llama == model.config.llava.text);
    CHECK(model.dtype() == DType::f32);
    CHECK(model.llava->parameters()[0]->requires_grad() == false);
    CHECK(open_llava(f.path(), {.trained = true}).llava->parameters()[0]->requires_grad());

    const LlavaModel half = open_llava(f.path(), {.dtype = DType::bf16});
    CHECK(half.dtype() == DType::bf16);
    CHECK(test::relative_error(llava_logits(half), llava_logits(model)) < 0.05);
    const TemporaryFolder other;
    test::write_text(f.path() / "tokenizer.json", "{}");
    const LlavaModel again = open_llava(f.path(), {.dtype = DType::bf16});
    const auto files = write_llava(again, other.path());
    CHECK(std::find(files.begin(), files.end(), other.path() / "tokenizer.json") != files.end());
    CHECK(difference(open_llava(other.path()), again) < 5e-3);  // the tower is rounded too
    CHECK(test::read_json(other.path() / "config.json")["torch_dtype"] == "bfloat16");
  }
}

TEST_CASE("every spelling of the names that versions of transformers have written") {
  const std::vector<std::pair<std::string, std::string>> spellings[] = {
      {{"vision_tower.vision_model.", "vision_tower."}},
      {{"language_model.model.", "model.language_model."},
       {"language_model.lm_head.", "lm_head."},
       {"vision_tower.", "model.vision_tower."},
       {"multi_modal_projector.", "model.multi_modal_projector."}},
      {{"language_model.model.", "language_model.language_model.language_model."}},
      {{"language_model.model.", "model.language_model.model."}, {"language_model.lm_head.", "model.lm_head."}},
      {{"multi_modal_projector.linear_1.", "model.mm_projector.0."},
       {"multi_modal_projector.linear_2.", "model.mm_projector.2."},
       {"vision_tower.", "model.vision_tower.vision_tower."},
       {"language_model.model.", "model."},
       {"language_model.lm_head.", "lm_head."}}};
  for (const auto& rules : spellings) {
    CAPTURE(rules.front().second);
    const LlavaFolder f(Kind::clip);
    f.rename([&](const std::string& name) {
      for (const auto& [old, now] : rules)
        if (name.starts_with(old)) return replaced(name, old, now);
      return name;
    });
    CHECK(difference(open_llava(f.path()), f.model) < 1e-6);
  }
}

TEST_CASE("a missing key of a section has the default of its class") {
  const LlavaFolder f(Kind::clip);
  const LlavaModel model =
      f.with({{"text_config", {{"model_type", nullptr}, {"rope_theta", nullptr}, {"hidden_act", nullptr}}},
              {"vision_config", {{"model_type", nullptr}, {"hidden_act", nullptr}, {"layer_norm_eps", nullptr}}},
              {"multimodal_projector_bias", nullptr},
              {"projector_hidden_act", nullptr},
              {"image_seq_length", 576}});
  CHECK(difference(model, f.model) < 1e-6);
  const LlavaModel other = f.with({{"text_config", {{"rms_norm_eps", nullptr}}}});
  CHECK(other.config.llava.text.rms_eps == 1e-6);
  CHECK(f.with({{"tie_word_embeddings", nullptr}}).config.llava.text.tied == false);
  CHECK(f.with({{"vision_feature_layer", nullptr}}).llava->config.vision.depth == 1);  // -2 of two
}

TEST_CASE("blocks of the tower that are not read are left out, with a note") {
  const LlavaFolder f(Kind::clip);
  const LlavaModel model = f.with({{"vision_feature_layer", -2}});
  CHECK(model.llava->config.vision.depth == 1);
  CHECK(any_says(model.notes, "the last 1 of 2 blocks"));
}

TEST_CASE("tied embeddings: a copy of them as lm_head is not read") {
  const LlavaFolder f(Kind::siglip);
  TensorMap weights;
  for (const auto& [name, t] : safetensors::Reader(f.weights()).read_all()) weights[name] = t.clone();
  weights["language_model.lm_head.weight"] = zeros({20, 8});
  safetensors::save(f.weights(), weights);
  CHECK(difference(open_llava(f.path()), f.model) < 1e-6);
}

TEST_CASE("a folder of LLaVA's own program takes its tower from a folder of CLIP") {
  const LlavaFolder f(Kind::clip);
  const TemporaryFolder tower;
  const nn::Llava& llava = *f.model.llava;
  const TensorMap ours = without_prefix(nn::state(llava), "vision_tower.");
  safetensors::save(tower.path() / "model.safetensors",
                    nn::to_layout(nn::layout_named("hf_clip_vision"), ours).weights);
  test::write_text(tower.path() / "config.json", to_clip_vision_config_json(llava.config.vision, "float32"));
  test::write_text(tower.path() / "preprocessor_config.json", test::read_text(f.path() / "preprocessor_config.json"));

  f.rename([](const std::string& name) {
    if (name.starts_with("vision_tower.")) return std::string();
    std::string now = replaced(name, "multi_modal_projector.linear_1.", "model.mm_projector.0.");
    now = replaced(now, "multi_modal_projector.linear_2.", "model.mm_projector.2.");
    return replaced(replaced(now, "language_model.model.", "model."), "language_model.lm_head.", "lm_head.");
  });
  json config = test::read_json(f.path() / "config.json")["text_config"];
  config.update({{"model_type", "llava"},
                 {"mm_vision_tower", "openai/clip"},
                 {"mm_projector_type", "mlp2x_gelu"},
                 {"mm_vision_select_layer", -1},
                 {"mm_vision_select_feature", "patch"},
                 {"mm_use_im_start_end", false},
                 {"image_aspect_ratio", "pad"}});
  test::write_text(f.path() / "config.json", config.dump());
  std::filesystem::remove(f.path() / "preprocessor_config.json");
  check_says([&] { open_llava(f.path()); }, {"'mm_vision_tower' is \"openai/clip\"", "give a folder"});
  LlavaOptions options;
  options.tower = tower.path();
  const LlavaModel padded = open_llava(f.path(), options);
  CHECK(difference(padded, f.model) < 1e-6);
  CHECK(padded.config.preprocessing.pad);
  // What a folder of transformers says of it is read again.
  write_llava(padded, f.path() / "hf");
  CHECK(test::read_json(f.path() / "hf/preprocessor_config.json")["image_processor_type"] == "LlavaImageProcessor");
  CHECK(open_llava(f.path() / "hf").config.preprocessing == padded.config.preprocessing);
  CHECK(!open_llava(LlavaFolder(Kind::clip).path()).config.preprocessing.pad);
}

TEST_CASE("what a folder says and is not built is refused by name") {
  struct Row {
    Kind kind;
    json changes;
    std::string says;
  };
  const Row rows[] = {
      {Kind::clip, {{"projector_hidden_act", "relu"}}, "'projector_hidden_act' is \"relu\""},
      {Kind::clip, {{"vision_feature_select_strategy", "first"}}, "'vision_feature_select_strategy' is \"first\""},
      {Kind::clip, {{"vision_feature_layer", {1.5}}}, "'vision_feature_layer' has 1.5"},
      {Kind::clip, {{"vision_feature_layer", -7}}, "feature layer -7: a tower of 2 blocks"},
      {Kind::clip, {{"vision_config", {{"model_type", "pixtral"}}}}, "'vision_config.model_type' is \"pixtral\""},
      {Kind::clip, {{"text_config", {{"model_type", "gemma"}}}}, "'text_config.model_type' is \"gemma\""},
      {Kind::clip, {{"text_config", {{"sliding", 3}}}}, "'text_config.sliding'"},
      {Kind::clip, {{"mystery", 1}}, "'mystery'"},
      {Kind::clip,
       {{"text_config", {{"num_hidden_layers", 256}, {"intermediate_size", 60000}}}},
       "do not belong together"},
      {Kind::clip, {{"vision_config", {{"image_size", 16000}}}}, "has 16000000 features"},
      {Kind::siglip, {{"vision_feature_select_strategy", "default"}}, "no class token"},
      {Kind::idefics3, {{"scale_factor", 3}}, "'scale_factor' is 3; an image has 4 patches"},
      {Kind::idefics3, {{"text_config", {{"use_resampler", true}}}}, "'text_config.use_resampler' is true"},
      {Kind::idefics3, {{"vision_config", {{"patch_size", 32}}}}, "'vision_config.image_size' 16 is less than"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    const LlavaFolder f(row.kind);
    check_says([&] { f.with(row.changes); }, {row.says});
  }
}

TEST_CASE("a processor that makes other tokens than the model is refused with both numbers") {
  const LlavaFolder f(Kind::clip);
  const auto processor = [&](const json& content) {
    test::write_text(f.path() / "processor_config.json", content.dump());
    return open_llava(f.path());
  };
  CHECK_NOTHROW(processor({{"patch_size", 4}, {"num_additional_image_tokens", 1}}));
  CHECK_NOTHROW(processor({{"processor_class", "LlavaProcessor"}}));  // older files say nothing
  check_says(
      [&] {
        processor({{"patch_size", 4}, {"num_additional_image_tokens", 0}});
      },
      {"processor_config.json: makes 15 tokens of an image", "has 16 features"});
  check_says([&] { processor({{"patch_size", 8}}); }, {"makes 4 tokens", "patch_size 8"});
  check_says([&] { processor({{"vision_feature_select_strategy", "full"}}); }, {"makes 17 tokens"});
  const LlavaFolder g(Kind::idefics3);
  test::write_text(g.path() / "processor_config.json", R"({"image_seq_len": 64})");
  check_says([&] { open_llava(g.path()); }, {"makes 64 tokens", "has 4 features"});
}

TEST_CASE("weights that are missing or too many are listed by their names in the file") {
  const LlavaFolder f(Kind::clip);
  f.rename([](const std::string& name) {
    if (name == "multi_modal_projector.linear_2.bias") return std::string();
    return name == "language_model.model.norm.weight" ? std::string("language_model.model.other.weight") : name;
  });
  check_says([&] { open_llava(f.path()); },
             {"model.safetensors: does not fit its config.json", "multi_modal_projector.linear_2.bias",
              "language_model.model.norm.weight", "language_model.model.other.weight"});
}

TEST_CASE("options that no folder can state are not written") {
  const TemporaryFolder folder;
  const auto refused = [&](Kind kind, const std::function<void(nn::LlavaConfig&)>& change, const std::string& what) {
    LlavaModel model;
    model.config = small_hub(kind);
    change(model.config.llava);
    model.llava = std::make_shared<nn::Llava>(nn::Scope(1), model.config.llava);
    check_says([&] { write_llava(model, folder.path() / "none"); }, {what});
    CHECK(!std::filesystem::exists(folder.path() / "none"));
  };
  refused(
      Kind::clip, [](auto& c) { c.projector.depth = 1; }, "projector but that of two Linears");
  refused(
      Kind::clip, [](auto& c) { c.feature_norm = true; }, "features after the tower's final norm");
  refused(
      Kind::clip, [](auto& c) { c.prefix = true; }, "image tokens that see each other");
  refused(
      Kind::clip, [](auto& c) { c.tower = nn::VisionTower::patches, c.projector.depth = 0; }, "raw patches");
  refused(
      Kind::siglip, [](auto& c) { c.vision.layerscale_init = 1; }, "image towers but the usual ones");
  refused(
      Kind::idefics3, [](auto& c) { c.projector.bias = true; }, "one Linear without a bias");
}
