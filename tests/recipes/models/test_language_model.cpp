#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/llama_names.h"
#include "vitrail/recipes/config/foreign_keys.h"
#include "vitrail/recipes/models/language_model.h"
#include "vitrail/recipes/models/llama_json.h"

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::any_says;
using test::check_refused;
using test::max_difference;
using test::TemporaryFolder;

namespace {

json llama_json() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", 11},
          {"hidden_size", 8},
          {"intermediate_size", 12},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"max_position_embeddings", 32},
          {"rms_norm_eps", 1e-5},
          {"bos_token_id", 1},
          {"eos_token_id", {2, 5}},
          {"tie_word_embeddings", false},
          {"torch_dtype", "float32"}};
}

nn::LlamaConfig small_decoder(bool qkv_bias = false) {
  return {.vocab_size = 11,
          .embed_dim = 8,
          .hidden_dim = 12,
          .depth = 2,
          .num_heads = 4,
          .num_kv_heads = 2,
          .qkv_bias = qkv_bias,
          .context_length = 32};
}

/// The weights under Hugging Face's names, in that type.
TensorMap hf_weights(const nn::Llama& model, DType dtype = DType::f32) {
  TensorMap weights;
  for (const auto& [name, t] : nn::state(model)) weights[nn::hf_llama_name(name)] = t.to(dtype);
  return weights;
}

struct Folder {
  TemporaryFolder folder;
  nn::Llama model{nn::Scope(4), small_decoder()};

  explicit Folder(const json& config = llama_json()) {
    safetensors::save(path() / "model.safetensors", hf_weights(model));
    test::write_text(path() / "config.json", config.dump());
  }
  const std::filesystem::path& path() const { return folder.path(); }
  /// Changes config.json, then opens the folder.
  LanguageModel with(const json& changes) const {
    test::patch_json(path() / "config.json", changes);
    return open_language_model(path());
  }
};

Tensor some_ids() { return tensor({int64_t(1), int64_t(7), int64_t(3), int64_t(10)}, {1, 4}); }

Tensor logits_of(const LanguageModel& model) {
  const ag::Autocast precision(model.dtype());
  return (*model.llama)(some_ids()).value();
}

DecoderConfig parsed(const json& config) {
  const JsonObject object = JsonObject::parse(config.dump(), "config.json");
  DecoderConfig decoder = parse_decoder(object);
  expect_all_read(object);
  return decoder;
}

}  // namespace

TEST_CASE("language model: a folder of Hugging Face") {
  Folder f;
  CHECK(is_language_model(f.path()));
  const LanguageModel opened = open_language_model(f.path());
  CHECK(max_difference(logits_of(opened), f.model(some_ids()).value()) == 0);
  CHECK(opened.config.bos == 1);
  CHECK(opened.config.eos == std::vector<int64_t>{2, 5});
  CHECK_FALSE(opened.config.pad.has_value());
  CHECK_FALSE(opened.llama->is_training());
  test::write_text(f.path() / "generation_config.json", json({{"eos_token_id", 7}, {"top_p", 0.5}}).dump());
  CHECK(open_language_model(f.path()).config.eos == std::vector<int64_t>{7});
}

TEST_CASE("language model: shards, spellings of names, and types") {
  Folder f;
  const Tensor expected = f.model(some_ids()).value();
  std::filesystem::remove(f.path() / "model.safetensors");
  TensorMap first, second;
  json index;
  for (const auto& [name, t] : hf_weights(f.model)) {
    const bool in_first = first.size() < 10;
    (in_first ? first : second)[name] = t;
    index["weight_map"][name] = in_first ? "a.safetensors" : "b.safetensors";
  }
  safetensors::save(f.path() / "a.safetensors", first);
  safetensors::save(f.path() / "b.safetensors", second);
  test::write_text(f.path() / "model.safetensors.index.json", index.dump());
  CHECK(max_difference(logits_of(open_language_model(f.path())), expected) == 0);

  const auto written = [&](const TensorMap& weights, safetensors::Floats floats = safetensors::Floats::f32) {
    safetensors::save(f.path() / "model.safetensors", weights, {{"format", "pt"}}, floats);
    return open_language_model(f.path());
  };
  for (const char* const spelling : {"", "language_model.model.", "model.language_model.", "model.text_model."}) {
    TensorMap weights;
    for (const auto& [name, t] : nn::state(f.model)) weights[spelling + name] = t;
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = zeros({1});
    CHECK(max_difference(logits_of(written(weights)), expected) == 0);
  }
  const LanguageModel half = written(hf_weights(f.model), safetensors::Floats::f16);
  CHECK(half.dtype() == DType::f32);
  CHECK(max_difference(logits_of(half), expected) < 1e-4);
  const LanguageModel low = written(hf_weights(f.model, DType::bf16));
  CHECK(low.dtype() == DType::bf16);
  CHECK(low.llama->norm.weight.value().dtype() == DType::f32);
  CHECK(test::relative_error(logits_of(low), expected) < 0.05);
  CHECK(open_language_model(f.path(), {.dtype = DType::f32}).dtype() == DType::f32);
  CHECK(open_language_model(f.path(), {.trained = true}).llama->norm.weight.requires_grad());
  check_refused([&] { open_language_model(f.path(), {.dtype = DType::bf16, .trained = true}); },
                "trained weights are f32, not bf16");
}

TEST_CASE("language model: what is written opens as the same model") {
  const Folder f;
  const TemporaryFolder out;
  test::write_text(f.path() / "tokenizer.json", "{}");
  const auto round = [&](const json& changes, const LanguageModelOptions& options = {}) {
    test::patch_json(f.path() / "config.json", changes);
    LanguageModel model = open_language_model(f.path(), options);
    const auto files = write_language_model(model, out.path());
    CHECK(files.size() == 4);
    const LanguageModel again = open_language_model(out.path());
    CHECK(again.config.llama == model.config.llama);
    CHECK(again.config.eos == model.config.eos);
    CHECK(again.dtype() == model.dtype());
    CHECK(max_difference(logits_of(again), logits_of(model)) == 0);
  };
  round(json::object());
  round(json::object(), {.dtype = DType::bf16});
  round({{"rope_theta", 5e5}, {"rope_scaling", {{"type", "linear"}, {"factor", 4}}}});
  round({{"rope_scaling",
          {{"type", nullptr},
           {"rope_type", "llama3"},
           {"factor", 8},
           {"low_freq_factor", 1},
           {"high_freq_factor", 4},
           {"original_max_position_embeddings", 16}}}});
  round({{"rope_scaling", nullptr}, {"eos_token_id", nullptr}, {"model_type", "mistral"}, {"sliding_window", 32}});
  CHECK(test::read_text(out.path() / "tokenizer.json") == "{}");
}

TEST_CASE("language model: weights that do not fit are named as the file names them") {
  Folder f;
  const auto refused = [&](const std::function<void(TensorMap&)>& change, const std::string& text) {
    TensorMap weights = hf_weights(f.model);
    change(weights);
    safetensors::save(f.path() / "model.safetensors", weights);
    check_refused([&] { open_language_model(f.path()); }, text);
  };
  refused([](TensorMap& w) { w.erase("model.norm.weight"); }, "missing: model.norm.weight");
  refused(
      [](TensorMap& w) {
        w["model.layers.2.mlp.up_proj.weight"] = zeros({12, 8});
      },
      "unexpected: model.layers.2.mlp.up_proj.weight");
  refused([](TensorMap& w) { w["model.norm.weight"] = zeros({9}); },
          "'model.norm.weight' is [9] in the file, [8] in the model");
  refused([](TensorMap& w) { w.erase("lm_head.weight"); },
          "a model whose embeddings also give the logits has 'tie_word_embeddings': true");
  refused([](TensorMap& w) { w["model.norm.weight"] = full({8}, NAN); }, "'model.norm.weight' [8] has nan at [0]");
  refused([](TensorMap& w) { w["norm.weight"] = zeros({8}); }, "both stand for 'model.norm.weight'");
  refused([](TensorMap& w) { w["model.norm.weight"] = zeros({8}, DType::i64); }, "quantised models are not read");

  safetensors::save(f.path() / "model.safetensors", hf_weights(f.model));
  const LanguageModel tied = f.with({{"tie_word_embeddings", true}});
  CHECK_FALSE(tied.llama->lm_head.has_value());
  CHECK(any_says(tied.notes, "'lm_head.weight' is not used"));

  check_refused([&] { f.with({{"vocab_size", 4000000}, {"num_hidden_layers", 256}}); }, "They do not belong together");

  std::filesystem::remove(f.path() / "model.safetensors");
  check_refused([&] { open_language_model(f.path()); }, "has a config.json, but no model.safetensors");
  std::filesystem::remove(f.path() / "config.json");
  check_refused([&] { open_language_model(f.path()); }, "has no config.json");
  CHECK_FALSE(is_language_model(f.path()));
  check_refused([&] { open_language_model(f.path() / "none"); }, "none: no such file or folder");
}

TEST_CASE("language model: missing keys of config.json have the defaults of the model type") {
  const DecoderConfig llama = parsed({{"model_type", "llama"}});
  CHECK(llama.llama == nn::LlamaConfig{.head_dim = 128, .rms_eps = 1e-6, .context_length = 2048});
  CHECK(llama.eos == std::vector<int64_t>{2});
  CHECK(parsed(json::object()).llama == llama.llama);

  const DecoderConfig qwen = parsed({{"model_type", "qwen2"}, {"bos_token_id", nullptr}});
  CHECK(qwen.llama == nn::LlamaConfig{.vocab_size = 151936,
                                      .hidden_dim = 22016,
                                      .head_dim = 128,
                                      .rms_eps = 1e-6,
                                      .qkv_bias = true,
                                      .context_length = 32768});
  CHECK(qwen.eos.empty());
  const DecoderConfig mistral = parsed({{"model_type", "mistral"}, {"sliding_window", nullptr}});
  CHECK(mistral.llama.num_kv_heads == 8);
  CHECK(mistral.llama.hidden_dim == 14336);
  // Keys of the heads: as many as queries in Llama, 32 in Qwen2.
  CHECK(parsed({{"model_type", "llama"}, {"num_attention_heads", 16}}).llama.num_kv_heads == 16);
  check_refused(
      [] {
        parsed({{"model_type", "qwen2"}, {"num_attention_heads", 16}});
      },
      "'num_attention_heads' 16 is not a multiple of 'num_key_value_heads' 32");
}

TEST_CASE("language model: rotary positions as versions 4 and 5 of transformers state them") {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8},
                       {"low_freq_factor", 1},
                       {"high_freq_factor", 4},
                       {"original_max_position_embeddings", 8192}};
  const auto older = parsed({{"rope_theta", 5e5}, {"rope_scaling", llama3}}).llama;
  json parameters = llama3;
  parameters["rope_theta"] = 5e5;
  CHECK(parsed({{"rope_parameters", parameters}}).llama == older);
  CHECK(older.rope_theta == 5e5);
  CHECK(older.rope_scaling.kind == core::RopeScaling::Kind::llama3);
  CHECK(older.rope_scaling.factor == 8);
  CHECK(parsed({{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}).llama.rope_scaling.factor == 2);
  for (const char* const kind : {"dynamic", "yarn", "longrope"}) {
    const json scaling = {{"type", kind}, {"factor", 2}};
    check_refused(
        [&] {
          parsed({{"rope_scaling", scaling}});
        },
        std::string("'rope_scaling.type' is \"") + kind + "\"; known are default, linear, llama3");
  }
  check_refused([&] { parsed({{"rope_scaling", {{"type", "linear"}}}}); }, "needs 'rope_scaling.factor'");
  check_refused(
      [&] {
        parsed({{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}});
      },
      "'rope_parameters.partial_rotary_factor' is 0.5; this key is not known");
}

TEST_CASE("language model: refuses by name what is not built") {
  const auto refused = [](const json& config, const std::string& text) {
    check_refused([&] { parsed(config); }, text);
  };
  refused({{"model_type", "gemma"}}, "'model_type' is \"gemma\"; known are llama, qwen2, mistral");
  refused({{"model_type", "mistral"}}, "'sliding_window' is 4096; sliding windows are not built");
  refused({{"model_type", "qwen2"}, {"use_sliding_window", true}, {"sliding_window", 1024}},
          "'sliding_window' is 1024; sliding windows are not built");
  CHECK(parsed({{"model_type", "qwen2"}, {"sliding_window", 1024}}).llama.qkv_bias);
  refused({{"layer_types", {"full_attention", "sliding_attention"}}}, "'layer_types' has \"sliding_attention\"");
  refused({{"attention_bias", true}}, "'attention_bias' is true; known is false");
  refused({{"mlp_bias", true}}, "'mlp_bias' is true");
  refused({{"hidden_act", "gelu"}}, "'hidden_act' is \"gelu\"; known is \"silu\"");
  refused({{"quantization_config", json::object()}}, "'quantization_config' says that the weights are quantised");
  refused({{"hidden_sizes", 8}},
          "'hidden_sizes' is 8; this key is not known here and may change what the model "
          "computes; did you mean 'hidden_size'?");
  refused({{"hidden_size", 100000}}, "'hidden_size' is 100000; it must be a whole number from 1 to 16384");
  refused({{"hidden_size", 33}}, "'hidden_size' 33 is not a multiple of 'num_attention_heads' 32");
  refused({{"head_dim", 7}}, "heads have 7 dimensions");
  refused({{"eos_token_id", {1, "x"}}}, "'eos_token_id' has \"x\"");

  LanguageModel model;
  model.config.llama = small_decoder(true);
  model.llama = std::make_shared<nn::Llama>(nn::Scope(1), model.config.llama);
  const TemporaryFolder out;
  check_refused([&] { write_language_model(model, out.path()); },
                "models of LlamaForCausalLM have no biases of queries, keys and values");
}

TEST_CASE("llama_name: strips the words that files put before a decoder's names") {
  using nn::llama_name;
  CHECK(llama_name("model.layers.3.mlp.up_proj.weight") == "layers.3.mlp.up_proj.weight");
  CHECK(llama_name("language_model.model.norm.weight") == "norm.weight");
  CHECK(llama_name("model.language_model.model.embed_tokens.weight") == "embed_tokens.weight");
  CHECK(llama_name("language_model.lm_head.weight") == "lm_head.weight");
  CHECK_FALSE(llama_name("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"));
  CHECK_FALSE(llama_name("model.multi_modal_projector.linear_1.weight"));
  CHECK(nn::hf_llama_name("norm.weight") == "model.norm.weight");
  CHECK(nn::hf_llama_name("lm_head.weight") == "lm_head.weight");
}
