#include "vitrail/recipes/models/llama_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/hub_json.h"

#include <algorithm>
#include <array>

namespace vitrail::recipes {
namespace {

using RopeKind = core::RopeScaling::Kind;

constexpr int64_t kLongestContext = int64_t{1} << 24;

/// The defaults of a configuration class of transformers.
struct DecoderType {
  std::string_view name, title;
  int64_t hidden, kv_heads, context, vocab;  // kv_heads 0: as many as heads
  int64_t bos, eos;                          // -1: none
  int64_t sliding_window;                    // 0: none
  bool qkv_bias;
};
constexpr DecoderType kDecoderTypes[] = {
    {"llama", "LlamaForCausalLM", 11008, 0, 2048, 32000, 1, 2, 0, false},
    {"qwen2", "Qwen2ForCausalLM", 22016, 32, 32768, 151936, -1, -1, 0, true},
    {"mistral", "MistralForCausalLM", 14336, 8, 131072, 32000, 1, 2, 4096, false},
};

const DecoderType* find_decoder_type(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kDecoderTypes), std::end(kDecoderTypes),
                                         [&](const DecoderType& type) { return type.name == name; });
  return found == std::end(kDecoderTypes) ? nullptr : found;
}

/// The rotary positions. Since version 5 transformers keeps base and scaling in one object, "rope_parameters".
void parse_rope(const JsonObject& c, nn::LlamaConfig& config) {
  constexpr Named<RopeKind> kKinds[] = {
      {"default", RopeKind::none}, {"linear", RopeKind::linear}, {"llama3", RopeKind::llama3}};
  const double most = 1e12;
  const bool newer = c.has("rope_parameters");
  const JsonObject scaling = c.object(newer ? "rope_parameters" : "rope_scaling");
  config.rope_theta = c.number("rope_theta", 1e-6, most, config.rope_theta);
  if (newer) config.rope_theta = scaling.number("rope_theta", 1e-6, most, config.rope_theta);
  core::RopeScaling& rope = config.rope_scaling;
  rope.kind = scaling.choice(scaling.has("rope_type") ? "rope_type" : "type", kKinds, "default");
  scaling.pass_over({"type"});  // older files have both names
  if (rope.kind == RopeKind::none) return;
  rope.factor = scaling.number("factor", 1e-6, most);
  if (rope.kind != RopeKind::llama3) return;
  rope.low_freq_factor = scaling.number("low_freq_factor", 1e-6, most);
  rope.high_freq_factor = scaling.number("high_freq_factor", 1e-6, most);
  rope.original_context = scaling.integer("original_max_position_embeddings", 1, kLongestContext);
  check<IoError>(rope.high_freq_factor > rope.low_freq_factor, "json", "{}: '{}' is {}; it must be above '{}', {}",
                 scaling.file(), scaling.path("high_freq_factor"), rope.high_freq_factor,
                 scaling.path("low_freq_factor"), rope.low_freq_factor);
}

/// Attention to the last so many tokens alone is not built. A window as long as the context is none.
void refuse_windows(const JsonObject& c, const DecoderType& type, int64_t context) {
  c.pass_over({"max_window_layers"});
  int64_t window = 0;
  if (type.qkv_bias) {  // Qwen2 has a switch
    if (c.flag("use_sliding_window", false)) window = c.integer("sliding_window", 1, kLongestContext, 4096);
    c.pass_over({"sliding_window"});
  } else if (c.has("sliding_window") || !c.json().find("sliding_window")) {  // null: none
    window = c.integer("sliding_window", 0, kLongestContext, type.sliding_window);
  }
  check<IoError>(window == 0 || window >= context, "json",
                 "{}: '{}' is {}; sliding windows are not built. Texts of up to {} tokens need none: set it to null, "
                 "and 'max_position_embeddings' ({}) to {} or less",
                 c.file(), c.path("sliding_window"), window, window, context, window);
  if (const Json* const layers = c.find("layer_types"))
    for (const Json& layer : layers->is_array() ? layers->as_array() : Json::Array{*layers})
      check<IoError>(layer.is_string() && layer.as_string() == "full_attention", "json",
                     "{}: '{}' has {}; known is \"full_attention\"", c.file(), c.path("layer_types"), layer.excerpt());
}

/// Options of which one value is built.
void refuse_options(const JsonObject& c) {
  check<IoError>(!c.has("quantization_config"), "json",
                 "{}: '{}' says that the weights are quantised; weights in F32, BF16 or F16 are read", c.file(),
                 c.path("quantization_config"));
  c.only("hidden_act", "silu");
  c.only("attention_bias", false);
  c.only("mlp_bias", false);
  c.only("rope_interleaved", false);
  c.pass_over({"pretraining_tp", "is_llama_config", "use_mrope"});  // of other programs: the same numbers
}

/// One token, a list of them, or none.
std::vector<int64_t> token_list(const JsonObject& c, std::string_view key, int64_t otherwise) {
  const Json* const value = c.find(key);
  if (!value) return otherwise < 0 || c.json().find(key) ? std::vector<int64_t>() : std::vector<int64_t>{otherwise};
  if (!value->is_array()) return {c.integer(key, 0, kMostWords)};
  std::vector<int64_t> ids;
  for (const Json& id : value->as_array()) {
    check<IoError>(id.is_integer() && id.as_int64() >= 0 && id.as_int64() <= kMostWords, "json",
                   "{}: '{}' has {}; it must have whole numbers from 0 to {}", c.file(), c.path(key), id.excerpt(),
                   kMostWords);
    ids.push_back(id.as_int64());
  }
  return ids;
}

std::optional<int64_t> one_token(const JsonObject& c, std::string_view key, int64_t otherwise) {
  const std::vector<int64_t> ids = token_list(c, key, otherwise);
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

}  // namespace

bool is_decoder_type(std::string_view model_type) { return find_decoder_type(model_type) != nullptr; }

std::string decoder_types() {
  return joined(kDecoderTypes, [](const DecoderType& type) { return type.name; });
}

DecoderConfig parse_decoder(const JsonObject& c) {
  DecoderConfig d;
  d.model_type = c.text("model_type", "llama");
  const DecoderType* const type = find_decoder_type(d.model_type);
  check<IoError>(type != nullptr, "json", "{}: '{}' is \"{}\"; known are {}", c.file(), c.path("model_type"),
                 d.model_type, decoder_types());
  nn::LlamaConfig& m = d.llama;
  m.vocab_size = c.integer("vocab_size", 1, kMostWords, type->vocab);
  m.embed_dim = c.integer("hidden_size", 1, kMostWidth, 4096);
  m.hidden_dim = c.integer("intermediate_size", 1, kMostHidden, type->hidden);
  m.depth = c.integer("num_hidden_layers", 1, kMostBlocks, 32);
  m.num_heads = c.integer("num_attention_heads", 1, kMostHeads, 32);
  m.num_kv_heads = c.integer("num_key_value_heads", 1, kMostHeads, type->kv_heads == 0 ? m.num_heads : type->kv_heads);
  check<IoError>(m.num_heads % m.num_kv_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(),
                 c.path("num_attention_heads"), m.num_heads, c.path("num_key_value_heads"), m.num_kv_heads);
  check<IoError>(c.has("head_dim") || m.embed_dim % m.num_heads == 0, "json",
                 "{}: '{}' {} is not a multiple of '{}' {}", c.file(), c.path("hidden_size"), m.embed_dim,
                 c.path("num_attention_heads"), m.num_heads);
  m.head_dim = c.integer("head_dim", 2, kMostWidth, m.embed_dim / m.num_heads);
  check<IoError>(m.head_dim % 2 == 0, "json", "{}: heads have {} dimensions; rotary positions need an even number",
                 c.file(), m.head_dim);
  m.rms_eps = c.number("rms_norm_eps", 0, 1, 1e-6);
  m.qkv_bias = type->qkv_bias;
  m.tied = c.flag("tie_word_embeddings", false);
  m.context_length = c.integer("max_position_embeddings", 1, kLongestContext, type->context);
  parse_rope(c, m);
  refuse_windows(c, *type, m.context_length);
  refuse_options(c);
  d.bos = one_token(c, "bos_token_id", type->bos);
  d.eos = token_list(c, "eos_token_id", type->eos);
  d.pad = one_token(c, "pad_token_id", -1);
  return d;
}

void read_generation_config(const std::filesystem::path& file, DecoderConfig& config) {
  const JsonObject c = JsonObject::read(file);
  if (c.has("bos_token_id")) config.bos = one_token(c, "bos_token_id", -1);
  if (c.has("eos_token_id")) config.eos = token_list(c, "eos_token_id", -1);
  if (c.has("pad_token_id")) config.pad = one_token(c, "pad_token_id", -1);
}

namespace {

Json token_or_null(const std::optional<int64_t>& id) { return id ? Json(*id) : Json(); }

Json tokens_or_null(const std::vector<int64_t>& ids) {
  if (ids.size() > 1) return Json(ids);
  return ids.empty() ? Json() : Json(ids.front());
}

/// "rope_scaling" as transformers 4 wrote it and 5 still reads it.
Json rope_json(const core::RopeScaling& rope) {
  if (rope.kind == RopeKind::none) return {};
  if (rope.kind == RopeKind::linear)
    return Json::object({{"rope_type", "linear"}, {"type", "linear"}, {"factor", rope.factor}});
  return Json::object({{"rope_type", "llama3"},
                       {"factor", rope.factor},
                       {"low_freq_factor", rope.low_freq_factor},
                       {"high_freq_factor", rope.high_freq_factor},
                       {"original_max_position_embeddings", rope.original_context}});
}

}  // namespace

Json to_decoder_json(const DecoderConfig& d, const std::string& dtype) {
  const DecoderType* const type = find_decoder_type(d.model_type);
  check<ConfigError>(type != nullptr, "layout", "decoders of type '{}' are not written; known are {}", d.model_type,
                     decoder_types());
  const nn::LlamaConfig& m = d.llama;
  check<ConfigError>(m.qkv_bias == type->qkv_bias, "layout", "models of {} have {} biases of queries, keys and values",
                     type->title, type->qkv_bias ? "always" : "no");
  Json json = Json::object({{"architectures", Json::array({type->title})},
                            {"model_type", d.model_type},
                            {"vocab_size", m.vocab_size},
                            {"hidden_size", m.embed_dim},
                            {"intermediate_size", m.hidden_dim},
                            {"num_hidden_layers", m.depth},
                            {"num_attention_heads", m.num_heads},
                            {"num_key_value_heads", m.num_kv_heads},
                            {"head_dim", m.head_dim},
                            {"hidden_act", "silu"},
                            {"rms_norm_eps", m.rms_eps},
                            {"rope_theta", m.rope_theta},
                            {"rope_scaling", rope_json(m.rope_scaling)},
                            {"max_position_embeddings", m.context_length},
                            {"tie_word_embeddings", m.tied},
                            {"bos_token_id", token_or_null(d.bos)},
                            {"eos_token_id", tokens_or_null(d.eos)},
                            {"pad_token_id", token_or_null(d.pad)},
                            {"torch_dtype", dtype}});
  if (d.model_type == "mistral") json["sliding_window"] = Json();
  return json;
}

Json to_generation_json(const DecoderConfig& d) {
  Json json = Json::object();
  if (d.bos) json["bos_token_id"] = *d.bos;
  if (!d.eos.empty()) json["eos_token_id"] = tokens_or_null(d.eos);
  if (d.pad) json["pad_token_id"] = *d.pad;
  return json;
}

}  // namespace vitrail::recipes
