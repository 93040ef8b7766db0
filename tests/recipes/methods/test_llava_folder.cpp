// Runs of llava as folders of other programs, and adapters of PEFT for decoders.
#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/small_llava.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/methods/llava_chat.h"
#include "vitrail/recipes/methods/llava_folder.h"
#include "vitrail/recipes/models/peft_adapter.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using test::any_says;
using test::max_difference;
using test::SmallLlava;
using test::SquareQuestions;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kWords = 300;

enum class Tower { clip, siglip, idefics3 };

LlavaModel hub_model(Tower tower) {
  LlavaModel hub;
  nn::LlavaConfig& c = hub.config.llava;
  c.vision = {.img_size = 16, .patch_size = 4, .num_classes = 0, .embed_dim = 16, .depth = 2, .num_heads = 2};
  c.vision.pos_interp = ag::PosInterp::size;
  if (tower == Tower::clip) {
    c.vision.pre_norm = true;
    c.vision.gelu = ag::Gelu::quick;
    c.vision.ln_eps = 1e-5;
  } else {
    c.vision.class_token = false;
    c.vision.pool = nn::Pool::avg;
    c.vision.gelu = ag::Gelu::tanh;
    c.select = tower == Tower::siglip ? nn::FeatureSelect::full : nn::FeatureSelect::patch;
  }
  c.feature_layers = {-1};
  if (tower == Tower::idefics3) {
    hub.config.names = nn::LlavaNames::idefics3;
    c.feature_norm = true;
    c.pixel_shuffle = 2;
    c.projector = {.depth = 1, .bias = false};
  }
  c.text = {.vocab_size = kWords, .embed_dim = 8, .hidden_dim = 12, .depth = 2, .num_heads = 4, .num_kv_heads = 2};
  c.text.qkv_bias = tower == Tower::siglip;
  c.text.context_length = 128;
  hub.config.decoder.model_type = tower == Tower::siglip ? "qwen2" : "llama";
  hub.config.decoder.llama = c.text;
  hub.config.decoder.eos = {2};
  hub.config.image_token = kWords - 1;
  hub.config.image_size = 16;
  hub.config.preprocessing = {.resize = Preprocessing::Resize::exact, .size = 16, .crop = 0};
  hub.config.preprocessing.mean = hub.config.preprocessing.std = data::kHalfMean;
  hub.llava = std::make_shared<nn::Llava>(nn::Scope(4), c);
  return hub;
}

/// A folder of Hugging Face with random weights, and a tokenizer.
fs::path write_hub(const SquareQuestions& data, Tower tower, const char* name = "hub") {
  fs::path folder = data.path() / name;
  write_llava(hub_model(tower), folder);
  fs::copy_file(data.tokenizer(), folder / "tokenizer.bin");
  return folder;
}

Tensor random(const Shape& shape, const std::string& name) { return Rng(9, name).normal(shape, 0, 0.5); }

/// weight + 3 / 2 b a.
Tensor changed(const Tensor& weight, const Tensor& a, const Tensor& b) {
  return core::add(weight, core::affine(core::matmul(b, a), 1.5));
}

void write_adapter_folder(const fs::path& folder, const TensorMap& tensors, const std::string& base) {
  fs::create_directories(folder);
  TensorMap named;
  for (const auto& [name, value] : tensors) named["base_model.model." + name] = value;
  safetensors::save(folder / "adapter_model.safetensors", named);
  test::write_text(folder / "adapter_config.json",
                   R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3, "base_model_name_or_path": ")" + base + "\"}");
}

/// A random adapter of rank 2 of a linear layer.
void add_factors(TensorMap& tensors, const std::string& module, int64_t in, int64_t out) {
  tensors[module + ".lora_A.weight"] = random({2, in}, module + "a");
  tensors[module + ".lora_B.weight"] = random({out, 2}, module + "b");
}

Tensor changed(const Tensor& weight, const TensorMap& tensors, const std::string& module) {
  return changed(weight, tensors.at(module + ".lora_A.weight"), tensors.at(module + ".lora_B.weight"));
}

Tensor logits_of(nn::Llava& llava) {
  llava.eval();
  const std::vector<nn::LabelledText> texts = {{{1, nn::kImagePlace, 7, 8}, {}}, {{1, 3}, {}}};
  return llava(llava.splice(texts), Rng(3, "pixels").normal({1, 3, 16, 16}, 0, 1)).value();
}

Tensor run_logits(const LlavaRun& run) {
  nn::Llava llava(nn::Scope().without_values(), run.config->llava());
  nn::load_state(llava, run.weights, "run");
  return logits_of(llava);
}

/// Trains a run in a folder.
fs::path train_run(const SquareQuestions& data, const std::string& name, std::vector<std::string> changes) {
  changes.insert(changes.begin(), {"optim.lr=0.02", "eval.every=9", "train.parts=[]"});
  SmallLlava llava(data, changes);
  fs::path folder = data.path() / name;
  REQUIRE(test::run(*llava.recipe, RunFolder::create(folder, "squares"), llava.config.yaml(false)).code == 0);
  return folder;
}

/// Changes that take the model, its sizes and its tokenizer from init.
std::vector<std::string> start_from(const fs::path& init, std::vector<std::string> more = {}) {
  std::vector<std::string> changes = {"init=" + init.string(), "decoder.tokenizer=''", "tower.arch=from_init",
                                      "decoder.embed_dim=~"};
  changes.insert(changes.end(), more.begin(), more.end());
  return changes;
}

TensorMap weights_in(const fs::path& adapter) {
  return safetensors::Reader(adapter / "adapter_model.safetensors").read_all();
}

/// A tokenizer.json of the characters of ASCII. It has no <image>.
std::string characters_tokenizer() {
  nlohmann::json vocab = {{"<s>", 0}, {"</s>", 1}, {"Ġ", 2}, {"Ċ", 3}};  // the last two: blank, line break
  for (char c = '!'; c <= '~'; ++c) vocab[std::string(1, c)] = vocab.size();
  const auto special = [](int64_t id, const char* content) {
    return nlohmann::json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                          {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const nlohmann::json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  return nlohmann::json{{"added_tokens", {special(0, "<s>"), special(1, "</s>")}},
                        {"pre_tokenizer", bytes},
                        {"decoder", {{"type", "ByteLevel"}}},
                        {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}}
      .dump();
}

/// A folder with that tokenizer.
fs::path write_characters(const SquareQuestions& data) {
  fs::path folder = data.path() / "characters";
  fs::create_directories(folder);
  test::write_text(folder / "tokenizer.json", characters_tokenizer());
  test::write_text(folder / "tokenizer_config.json",
                   R"({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                       "chat_template": "USER: {{ eos_token }} ASSISTANT:"})");
  return folder;
}

/// A new tower that is that of a CLIP, and what is read of it.
std::vector<std::string> new_clip_tower(std::vector<std::string> more = {}) {
  std::vector<std::string> changes = {"tower.pre_norm=true",   "tower.feature_norm=false",
                                      "tower.pixel_shuffle=1", "train.parts=[tower, projector, decoder]",
                                      "data.max_length=400",   "decoder.context_length=512"};
  changes.insert(changes.end(), more.begin(), more.end());
  return changes;
}

/// The first words of logits.
Tensor words_of(const Tensor& logits, int64_t words) { return logits.slice(-1, 0, words).contiguous(); }

}  // namespace

TEST_CASE("an adapter of PEFT for a model that sees changes decoder, tower and projector by plain arithmetic") {
  const SquareQuestions data;
  const fs::path hub = write_hub(data, Tower::clip), folder = data.path() / "adapter";
  const TensorMap base = nn::state(*open_llava(hub).llava);
  for (const std::string decoder : {"model.language_model.", "language_model.model."}) {
    CAPTURE(decoder);
    const std::string q = decoder + "layers.1.self_attn.q_proj", gate = decoder + "layers.0.mlp.gate_proj",
                      tower = "model.vision_tower.encoder.layers.0.self_attn.v_proj",
                      projector = "model.multi_modal_projector.linear_2.bias";
    TensorMap tensors = {{projector, random({8}, "bias")}};
    add_factors(tensors, q, 8, 8);
    add_factors(tensors, gate, 8, 12);
    add_factors(tensors, tower, 16, 16);
    write_adapter_folder(folder, tensors, "../hub");
    REQUIRE(is_llava(folder));
    REQUIRE(is_chat_model(folder));
    const LlavaModel opened = open_llava(folder);
    CHECK(any_says(opened.notes, "is added to the weights of 3 layers"));
    TensorMap expected = base;
    for (const auto& [ours, module] : {std::pair("language_model.layers.1.self_attn.q_proj.weight", q),
                                       std::pair("language_model.layers.0.mlp.gate_proj.weight", gate)})
      expected.at(ours) = changed(base.at(ours), tensors, module);
    Tensor& qkv = expected.at("vision_tower.blocks.0.attn.qkv.weight");  // [3 C, C]; values are the last third
    qkv = qkv.clone();
    qkv.slice(0, 32, 48).copy_(changed(qkv.slice(0, 32, 48).clone(), tensors, tower));
    expected.at("projector.linear_2.bias") = tensors.at(projector);
    for (const auto& weight : nn::state(*opened.llava))
      CHECK_MESSAGE(max_difference(weight.second, expected.at(weight.first)) < 1e-6, weight.first);

    const ChatModel chat = open_chat_model(folder, {.prompt = "v1"});
    CHECK(max_difference(logits_of(*chat.llava), logits_of(*opened.llava)) == 0);
    CHECK(chat.tokenizer->size() <= kWords);
  }
}

TEST_CASE("an adapter of PEFT for a decoder: generate, go on from it, give its base by hand") {
  const SquareQuestions data;
  const fs::path base = data.path() / "base", folder = data.path() / "adapter";
  LanguageModel model;
  model.config.llama = hub_model(Tower::siglip).config.llava.text;
  model.config.model_type = "qwen2";
  model.llama = std::make_shared<nn::Llama>(nn::Scope(5), model.config.llama);
  model.config.llama = model.llama->config;  // with the width of a head
  write_language_model(model, base);
  const std::string k = "model.layers.0.self_attn.k_proj", down = "model.layers.1.mlp.down_proj";
  TensorMap tensors = {{"model.norm.weight", random({8}, "norm")}};
  add_factors(tensors, k, 8, 4);
  add_factors(tensors, down, 12, 8);
  write_adapter_folder(folder, tensors, "somewhere/else");
  CHECK(!is_language_model(folder));
  CHECK(is_language_model(folder, base.string()));
  CHECK_THROWS_WITH_AS(open_language_model(folder), doctest::Contains("'somewhere/else' is no folder here"),
                       ConfigError);
  TensorMap expected = nn::state(*model.llama);
  expected.at("layers.0.self_attn.k_proj.weight") =
      changed(expected.at("layers.0.self_attn.k_proj.weight"), tensors, k);
  expected.at("layers.1.mlp.down_proj.weight") = changed(expected.at("layers.1.mlp.down_proj.weight"), tensors, down);
  expected.at("norm.weight") = tensors.at("model.norm.weight");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const LanguageModel opened = open_language_model(folder, {.dtype = dtype, .base = base.string()});
    CHECK(any_says(opened.notes, "rounded to bf16") == (dtype == DType::bf16));
    const double most = dtype == DType::f32 ? 1e-6 : 2e-2;
    for (const auto& weight : nn::state(*opened.llama))
      CHECK_MESSAGE(max_difference(weight.second.to(DType::f32), expected.at(weight.first)) < most, weight.first);
  }

  const auto refused = [&](const TensorMap& wrong, const std::string& message) {
    CAPTURE(message);
    write_adapter_folder(folder, wrong, base.string());
    CHECK_THROWS_WITH_AS(open_language_model(folder), doctest::Contains(message.c_str()), IoError);
  };
  TensorMap wrong = tensors;
  add_factors(wrong, "model.layers.7.mlp.up_proj", 8, 12);
  refused(wrong, "it changes 'model.layers.7.mlp.up_proj.weight', which the model does not have");
  wrong = tensors;
  add_factors(wrong, k, 8, 8);
  refused(wrong, "a 'layers.0.self_attn.k_proj' of 8 inputs and 8 outputs; the model's weight is [4, 8]");
  wrong = tensors;
  wrong.at("model.norm.weight") = ones({9});
  refused(wrong, "its 'norm.weight' is [9], the model's is [8]");
  wrong = tensors;
  wrong["model.embed_tokens.lora_embedding_A"] = ones({2, kWords});
  refused(wrong, "lora_embedding_A' is of a kind of LoRA that is not built");
}

TEST_CASE("the adapter of a llava run, written for PEFT, gives the run's model on its base, and goes on from there") {
  const SquareQuestions data;
  for (const Tower tower : {Tower::clip, Tower::siglip, Tower::idefics3}) {
    CAPTURE(int(tower));
    const std::string number = std::to_string(int(tower));
    const fs::path hub = write_hub(data, tower, ("hub" + number).c_str());
    const bool all = tower == Tower::siglip;  // trains more than adapters
    std::vector<std::string> more = {"lora.rank=2", "lora.alpha=5"};
    if (all) more.insert(more.end(), {"train.parts=[tower, projector, decoder]", "lora.train=[norm, lm_head]"});
    const LlavaRun run = open_llava_run(train_run(data, "run" + number, start_from(hub, more)));
    const Tensor expected = run_logits(run);
    CHECK(max_difference(expected, logits_of(*open_llava(hub).llava)) > 1e-3);
    for (const nn::NamesOf which : {nn::NamesOf::modules, nn::NamesOf::files}) {
      const fs::path out = data.path() / ("adapter" + number);
      fs::remove_all(out);
      const WrittenModel written = write_llava_adapter(run, out, which);
      CHECK(written.notes == std::vector<std::string>{"rank 2 on 14 layers of " + hub.string()});
      const LlavaModel back = open_llava(out);
      CHECK(max_difference(logits_of(*back.llava), expected) < 1e-5);

      // The names of transformers 5, which are those in memory; no end of a name that the tower shares.
      const std::string outer = tower == Tower::idefics3        ? "model.text_model."
                                : which == nn::NamesOf::modules ? "model.language_model."
                                                                : "language_model.model.";
      const TensorMap weights = weights_in(out);
      CHECK(weights.contains("base_model.model." + outer + "layers.1.self_attn.q_proj.lora_A.weight"));
      const Json config = Json::parse(test::read_text(out / "adapter_config.json"));
      const std::string targets = config.find("target_modules")->text();
      CHECK(targets.find("\"" + outer + "layers.0.self_attn.q_proj\"") != targets.npos);
      CHECK(targets.find("\"mlp.gate_proj\"") != targets.npos);
      CHECK(config.find("lora_alpha")->text() == "5");
      const std::string saved = config.find("modules_to_save")->text();
      CHECK((saved.find("norm\"") != saved.npos) == all);
      CHECK((saved.find("vision_tower\"") != saved.npos) == all);

      // To be trained further.
      SmallLlava next(data, start_from(hub, {"train.parts=[]", "lora.init=" + out.string()}));
      CHECK(next.settings.lora.rank == 2);
      CHECK(next.settings.lora.alpha == 5);
      const std::vector<std::string> notes = next.recipe->begin();
      CHECK(any_says(notes, "on 14 layers"));
      LlavaRun begun = run;
      begun.weights = next.settings.lora.merged(sub_map(next.recipe->state(), "model"));
      CHECK(max_difference(run_logits(begun), expected) < 1e-5);
    }
    CHECK_THROWS_WITH_AS(
        SmallLlava(data, start_from(hub, {"train.parts=[]", "lora.rank=1",
                                          "lora.init=" + (data.path() / ("adapter" + number)).string()}))
            .recipe->begin(),
        doctest::Contains("is 1;"), ConfigError);
  }
}

TEST_CASE("the adapter of a llava run on a decoder alone, and on another run") {
  const SquareQuestions data;
  LanguageModel model;
  model.config.llama = hub_model(Tower::clip).config.llava.text;
  model.llama = std::make_shared<nn::Llama>(nn::Scope(5), model.config.llama);
  model.config.llama = model.llama->config;  // with the width of a head
  const fs::path base = data.path() / "base";
  write_language_model(model, base);
  const fs::path on_decoder =
      train_run(data, "on_decoder", {"decoder.init=" + base.string(), "decoder.embed_dim=~", "lora.rank=2"});
  const LlavaRun run = open_llava_run(on_decoder);
  const fs::path out = data.path() / "adapter";
  const WrittenModel written = write_llava_adapter(run, out, nn::NamesOf::modules);
  CHECK(any_says(written.notes, "projector.linear_1.bias is trained and left out"));
  CHECK(weights_in(out).size() == size_t{2 * 14});
  CHECK(weights_in(out).contains("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"));
  CHECK(test::read_json(out / "adapter_config.json")["target_modules"].size() == 7);
  CHECK(test::read_json(out / "adapter_config.json")["task_type"] == "CAUSAL_LM");
  const LanguageModel back = open_language_model(out);
  const TensorMap merged = nn::state(*back.llama);
  for (const auto& weight : merged)
    CHECK_MESSAGE(max_difference(weight.second, run.weights.at("language_model." + weight.first)) < 1e-6, weight.first);

  // A run is a base, too. Its tower has no layout of Hugging Face, but its adapter has.
  const fs::path first = data.path() / "first", second_out = data.path() / "second_adapter";
  train_run(data, "first", {});
  const LlavaRun second = open_llava_run(train_run(data, "second", start_from(first, {"lora.rank=2"})));
  CHECK(any_says(write_llava_adapter(second, second_out, nn::NamesOf::modules).notes, "vitrail convert"));
  REQUIRE(is_chat_model(second_out));
  CHECK(max_difference(logits_of(*open_chat_model(second_out).llava), run_logits(second)) < 1e-5);
  CHECK_THROWS_WITH_AS(write_llava_adapter(open_llava_run(first), second_out, nn::NamesOf::modules),
                       doctest::Contains("is no run with LoRA"), ConfigError);
}

TEST_CASE("a run of llava becomes a folder for transformers, with its adapters merged") {
  const SquareQuestions data;
  for (const Tower tower : {Tower::clip, Tower::siglip, Tower::idefics3}) {
    CAPTURE(int(tower));
    const std::string number = std::to_string(int(tower));
    const fs::path hub = write_hub(data, tower, ("hub" + number).c_str()), out = data.path() / ("out" + number);
    const std::vector<std::string> more = tower == Tower::siglip
                                              ? std::vector<std::string>{"lora.rank=2"}
                                              : std::vector<std::string>{"train.parts=[tower, decoder]"};
    const fs::path folder = train_run(data, "run" + number, start_from(hub, more));
    const LlavaRun run = open_llava_run(folder);
    const WrittenModel written = write_llava_run(run, out);
    CHECK(any_says(written.notes, "has no <image>: it is added as token 286"));
    CHECK(any_says(written.notes, "does not read tokenizer.bin"));
    CHECK(any_says(written.notes, "the processor of Idefics3 puts tokens") == (tower == Tower::idefics3));
    const LlavaModel back = open_llava(out);
    const Tensor expected = run_logits(run);
    CHECK(max_difference(expected, logits_of(*open_llava(hub).llava)) > 1e-3);
    CHECK(max_difference(logits_of(*back.llava), expected) < 1e-5);
    CHECK(back.config.names == hub_model(tower).config.names);
    CHECK(back.config.decoder.model_type == hub_model(tower).config.decoder.model_type);
    CHECK(back.config.decoder.llama == run.config->llava().text);

    // It answers as the run does.
    const ChatModel ours = open_chat_model(folder), theirs = open_chat_model(out);
    CHECK(theirs.form->name == "llava_hf");
    const data::Image red = data::read_image(data.path() / "squares/red1.png");
    CHECK(max_difference(ours.preprocessing.batch({&red, 1}), theirs.preprocessing.batch({&red, 1})) == 0);
    const data::Conversation asked = {{{data::Role::user, "<image>\nwhich colour?"}}, {}};
    Chat one(ours, &red), two(theirs, &red);
    CHECK(one.reply(asked, {.max_tokens = 8}).text == two.reply(asked, {.max_tokens = 8}).text);
  }
}

TEST_CASE("a run with a new tower and its own tokenizer: the image gets a token and a row") {
  const SquareQuestions data;
  const fs::path characters = write_characters(data), out = data.path() / "out";
  for (const std::string tied : {"true", "false"}) {
    CAPTURE(tied);
    fs::remove_all(out);
    const fs::path folder = train_run(
        data, "run_" + tied, new_clip_tower({"decoder.tokenizer=" + characters.string(), "decoder.tied=" + tied}));
    const LlavaRun run = open_llava_run(folder);
    const int64_t words = run.config->llava().text.vocab_size;
    write_llava_run(run, out);
    CHECK(open_chat_model(out).form->name == "llava_hf");  // the tokenizer has the template v1, which is not the run's
    const LlavaModel back = open_llava(out);
    const Tensor logits = logits_of(*back.llava);
    REQUIRE(logits.size(-1) == words + 1);
    CHECK(back.config.image_token == words);
    CHECK(max_difference(words_of(logits, words), run_logits(run)) < 1e-5);
    CHECK(data::open_language_tokenizer(out)->id_of("<image>") == words);
    CHECK(test::read_json(out / "processor_config.json")["num_additional_image_tokens"] == 1);
    CHECK(test::read_json(out / "preprocessor_config.json")["image_processor_type"] == "CLIPImageProcessor");
  }
  // A template that is the run's stays.
  const fs::path v1 =
      train_run(data, "v1", new_clip_tower({"decoder.tokenizer=" + characters.string(), "data.template=v1"}));
  fs::remove_all(out);
  write_llava_run(open_llava_run(v1), out);
  CHECK(!fs::exists(out / "chat_template.jinja"));
  CHECK(open_chat_model(out).form->name == "v1");
}

TEST_CASE("runs of llava that no folder can state are refused by the part") {
  const SquareQuestions data;
  const auto refused = [&](const std::string& name, const std::vector<std::string>& changes,
                           const std::string& message) {
    CAPTURE(name);
    const LlavaRun run = open_llava_run(train_run(data, name, changes));
    const fs::path out = data.path() / "none";
    test::check_refused([&] { write_llava_run(run, out); }, message);
    test::check_refused([&] { write_llava_run(run, out); }, "Written are runs that read the tower of a CLIP or SigLIP");
    CHECK(!fs::exists(out));
  };
  refused("norm", {}, "have no features after the tower's final norm");
  refused("bias", new_clip_tower({"projector.depth=1"}), "have no projector but one Linear without a bias");
  refused("tower", {"tower.feature_norm=false", "tower.pixel_shuffle=1"},
          "image tower without a norm before its blocks");
  refused("fusion", {"tower.kind=patches", "tower.pixel_shuffle=1"}, "have no raw patches in place of an image tower");
  refused("deep", new_clip_tower({"projector.depth=3"}), "have no projector but that of two Linears");
}

TEST_CASE("llava sees a whole image that is not square: padded or stretched, in training, evaluation and chat") {
  const SquareQuestions data;
  data::Image wide(8, 16);  // 16 x 16 when padded, so that nothing is resampled
  for (size_t i = 0; i < wide.pixels().size(); ++i) wide.data()[i] = uint8_t(i);
  for (const std::string square : {"crop", "pad", "stretch"}) {
    CAPTURE(square);
    SmallLlava llava(data, {"data.square=" + square, "data.mean=[0.2, 0.4, 0.6]", "data.std=[1, 1, 1]"});
    const DataConfig& c = llava.settings.data;
    const Preprocessing evaluated = eval_preprocessing(c);
    CHECK(evaluated.img_size() == 16);
    const Tensor seen = evaluated.batch({&wide, 1});
    Tensor trained = zeros({3, 16, 16});
    Rng rng(1, "unused");
    train_transform(c)(wide, rng, trained.span<float>());
    CHECK(max_difference(seen[0].contiguous(), trained) == 0);
    const double first = seen[0][0][0][0].to_vector()[0], middle = seen[0][0][4][0].to_vector()[0];
    if (square == "pad") {
      CHECK(first == doctest::Approx(51 / 255. - 0.2));
      CHECK(middle == doctest::Approx(wide.at(0, 0)[0] / 255. - 0.2));
      CHECK(seen[0][1][11][15].to_vector()[0] == doctest::Approx(wide.at(7, 15)[1] / 255. - 0.4));
      CHECK(seen[0][1][12][15].to_vector()[0] == doctest::Approx(102 / 255. - 0.4));
    }
  }
  CHECK_THROWS_WITH_AS(train_transform(SmallLlava(data, {"data.square=pad", "data.crop=pad"}).settings.data),
                       doctest::Contains("they need data.crop=none"), ConfigError);

  // A run takes it from the folder that it begins with, and a folder from the run.
  const fs::path hub = data.path() / "hub", out = data.path() / "out";
  LlavaModel model = hub_model(Tower::clip);
  model.config.preprocessing = {.pad = true, .size = 16, .crop = 16, .crop_offset = data::CropOffset::floor};
  write_llava(model, hub);
  fs::copy_file(data.tokenizer(), hub / "tokenizer.bin");
  const fs::path folder = train_run(data, "run", start_from(hub));
  const LlavaRun run = open_llava_run(folder);
  CHECK(run.config->data.square == Square::pad);
  write_llava_run(run, out);
  CHECK(open_llava(out).config.preprocessing.pad);
  const Tensor ours = open_chat_model(folder).preprocessing.batch({&wide, 1});
  CHECK(max_difference(ours, open_chat_model(out, {.prompt = "v1"}).preprocessing.batch({&wide, 1})) == 0);
  CHECK(max_difference(ours, open_chat_model(hub, {.prompt = "v1"}).preprocessing.batch({&wide, 1})) == 0);
}
