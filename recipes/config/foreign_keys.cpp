#include "vitrail/recipes/config/foreign_keys.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/suggest.h"

#include <algorithm>
#include <iterator>

namespace vitrail::recipes {
namespace {

/// A key that makes no difference, whatever its value, or with this one alone.
struct Harmless {
  std::string_view key, only = "";  // as JSON
};
constexpr Harmless kHarmless[] = {
    // Who made the file, with which library, and how it is stored.
    {"_auto_class"},
    {"_commit_hash"},
    {"_name_or_path"},
    {"architectures"},
    {"attn_implementation"},
    {"_attn_implementation"},
    {"_attn_implementation_autoset"},
    {"dtype"},
    {"model_type"},  // of a part; the reader of the file asks for the outer one
    {"name_or_path"},
    {"processor_class"},
    {"tokenizer_class"},
    {"torch_dtype"},
    {"transformers_version"},
    {"transformers.js_config"},
    {"use_bfloat16"},
    // Names of classes, which are read where there is a classifier.
    {"id2label"},
    {"label2id"},
    {"label_descriptions"},
    {"num_labels"},
    // Training: initial values, dropout, the loss.
    {"attention_dropout"},
    {"attention_probs_dropout_prob"},
    {"classifier_dropout"},
    {"drop_path_rate"},
    {"dropout"},
    {"encoder_stride"},
    {"finetuning_task"},
    {"gradient_checkpointing"},
    {"hidden_dropout_prob"},
    {"initializer_factor"},
    {"initializer_range"},
    {"semantic_loss_ignore_index"},
    {"task_specific_params"},
    // The layer on the class token that no published image model uses.
    {"add_pooling_layer"},
    {"pooler_act"},
    {"pooler_output_size"},
    // What the other library returns, and how it computes it.
    {"chunk_size_feed_forward"},
    {"is_composition"},
    {"output_attentions"},
    {"output_hidden_states"},
    {"output_scores"},
    {"return_dict"},
    {"return_dict_in_generate"},
    {"tf_legacy_loss"},
    {"torchscript"},
    {"use_cache"},
    // Feature maps for detectors.
    {"apply_layernorm"},
    {"out_features"},
    {"out_indices"},
    {"reshape_hidden_states"},
    {"stage_names"},
    // Generating text, which older versions wrote into every configuration.
    {"bad_words_ids"},
    {"begin_suppress_tokens"},
    {"bos_token_id"},
    {"cross_attention_hidden_size"},
    {"decoder_start_token_id"},
    {"diversity_penalty"},
    {"do_sample"},
    {"early_stopping"},
    {"encoder_no_repeat_ngram_size"},
    {"exponential_decay_length_penalty"},
    {"forced_bos_token_id"},
    {"forced_eos_token_id"},
    {"length_penalty"},
    {"max_length"},
    {"min_length"},
    {"no_repeat_ngram_size"},
    {"num_beam_groups"},
    {"num_beams"},
    {"num_return_sequences"},
    {"pad_token_id"},
    {"prefix"},
    {"remove_invalid_values"},
    {"repetition_penalty"},
    {"sep_token_id"},
    {"suppress_tokens"},
    {"temperature"},
    {"tie_encoder_decoder"},
    {"tie_word_embeddings"},
    {"top_k"},
    {"top_p"},
    {"typical_p"},
    // Image processors.
    {"_processor_class"},
    {"_valid_processor_keys"},
    {"device"},
    {"disable_grouping"},
    {"do_convert_rgb"},
    {"image_seq_length"},
    {"return_tensors"},
    // timm's record of where weights come from, and its other sizes for testing.
    {"classifier"},
    {"custom_load"},
    {"description"},
    {"file"},
    {"first_conv"},
    {"fixed_input_size"},
    {"hf_hub_filename"},
    {"hf_hub_id"},
    {"license"},
    {"min_input_size"},
    {"notes"},
    {"origin_url"},
    {"paper_ids"},
    {"paper_name"},
    {"pool_size"},
    {"source"},
    {"state_dict"},
    {"tag"},
    {"tags"},
    {"test_crop_mode"},
    {"test_crop_pct"},
    {"test_input_size"},
    {"url"},
    // Of these, one value is what is built.
    {"add_cross_attention", "false"},
    {"data_format", "\"channels_first\""},
    {"do_pad", "false"},
    {"do_pooling", "true"},
    {"input_data_format", "\"channels_first\""},
    {"is_decoder", "false"},
    {"is_encoder_decoder", "false"},
    {"position_embedding_type", "\"absolute\""},
    {"problem_type", "\"single_label_classification\""},  // the others have no softmax
    {"pruned_heads", "{}"},
};

const Harmless* find_harmless(std::string_view key) {
  const auto* const found = std::find_if(std::begin(kHarmless), std::end(kHarmless),
                                         [&](const Harmless& harmless) { return harmless.key == key; });
  return found == std::end(kHarmless) ? nullptr : found;
}

[[noreturn]] void refuse_unknown(const JsonObject& config, const std::string& key, const Json& value) {
  const std::string path = config.path(key);
  fail<IoError>("json",
                "{}: '{}' is {}; this key is not known here and may change what the model computes{}; to pass over it: "
                "--accept-key {}, in a recipe accept_keys: [{}]",
                config.file(), path, value.excerpt(), did_you_mean(key, config.known_keys()), path, path);
}

}  // namespace

void expect_all_read(const JsonObject& config) {
  for (const auto& [key, value] : config.json().as_object()) {
    const JsonObject::Use use = config.use_of(key);
    if (value.is_null() || use == JsonObject::Use::accepted) continue;
    if (const Harmless* const harmless = find_harmless(key)) {
      if (!harmless->only.empty()) config.only(key, Json::parse(harmless->only));
      continue;
    }
    if (use == JsonObject::Use::none) refuse_unknown(config, key, value);
    if (use == JsonObject::Use::object) expect_all_read(config.object(key));
  }
}

}  // namespace vitrail::recipes
