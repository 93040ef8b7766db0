#include "vitrail/data/text/tokenizer_json.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/text/tokenizer_json_parts.h"
#include "vitrail/data/text/words.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace vitrail::data {
namespace {

/// Throws ConfigError unless the model is of CLIP's kind.
void expect_clip_kind(const Json& model, const std::string& name) {
  const std::string type = model.find("type") ? text_of(model, "type") : "BPE";  // old files do not say it
  check<ConfigError>(
      type == "BPE", "vocabulary",
      "{}: is a tokenizer of the type {}; CLIP's is read, which is BPE with \"</w>\" at the ends of words", name, type);
  const std::string suffix = text_of(model, "end_of_word_suffix");
  check<ConfigError>(suffix == "</w>", "vocabulary",
                     "{}: is a BPE with '{}' at the ends of words; CLIP's has \"</w>\", and no other kind is read",
                     name, suffix);
  for (const char* const key : {"dropout", "continuing_subword_prefix", "byte_fallback", "ignore_merges"}) {
    const Json* const value = model.find(key);
    const bool usual = !value || value->is_null() || (value->is_bool() && !value->as_bool()) ||
                       (value->is_string() && value->as_string().empty()) ||
                       (value->is_number() && value->as_double() == 0);
    check<ConfigError>(usual, "vocabulary", "{}: 'model.{}' is {}; CLIP's vocabulary has none", name, key,
                       usual ? "" : value->excerpt());
  }
}

/// Whether a normalizer, or one inside it, makes letters small.
bool makes_small(const Json& normalizer) {
  const std::string type = text_of(normalizer, "type");
  if (type == "Lowercase") return true;
  const Json* const lowercase = normalizer.find("lowercase");
  if (type == "BertNormalizer") return !lowercase || (lowercase->is_bool() && lowercase->as_bool());
  const Json* const list = normalizer.find("normalizers");
  return list && list->is_array() && std::any_of(list->as_array().begin(), list->as_array().end(), makes_small);
}

/// The ids of "model.vocab", with those of the start and end of text, which may be among the added tokens alone.
Json ids_of(const Json& root, const Json& vocabulary) {
  Json ids = vocabulary;
  const Json* const added = root.find("added_tokens");
  if (!ids.is_object() || !added || !added->is_array()) return ids;
  for (const Json& token : added->as_array()) {
    const std::string content = text_of(token, "content");
    const Json* const id = token.find("id");
    if (id && (content == kStartOfText || content == kEndOfText)) ids[content] = *id;
  }
  return ids;
}

}  // namespace

Vocabulary parse_tokenizer_json(std::string_view json, const std::string& name) {
  const Json root = parse_tokenizer_file(json, name);
  const Json* const model = root.find("model");
  check<IoError>(model && model->is_object(), "vocabulary", "{}: has no 'model', so it is no tokenizer.json", name);
  expect_clip_kind(*model, name);
  const Json* const normalizer = root.find("normalizer");
  check<ConfigError>(!normalizer || !normalizer->is_object() || makes_small(*normalizer), "vocabulary",
                     "{}: its normalizer keeps capital letters; CLIP's makes them small", name);
  const Json *const list = model->find("merges"), *const vocabulary = model->find("vocab");
  check<IoError>(list && list->is_array() && vocabulary, "vocabulary", "{}: needs 'model.vocab' and 'model.merges'",
                 name);
  std::vector<Vocabulary::Symbols> merges;
  merges.reserve(list->as_array().size());
  for (const Json& merge : list->as_array()) merges.push_back(read_merge(merge, name, merges.size() + 1));
  Vocabulary result(std::move(merges), name);
  result.check_ids(ids_of(root, *vocabulary), name, "the order of its merges");
  return result;
}

}  // namespace vitrail::data
