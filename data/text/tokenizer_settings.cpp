#include "vitrail/data/text/tokenizer_settings.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/text/tokenizer_json_parts.h"

#include <algorithm>
#include <charconv>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

/// A file of the folder; null if it is not there.
Json read_settings_file(const fs::path& path) {
  constexpr int64_t kMostSettingsBytes = int64_t{1} << 26;
  if (!fs::exists(path)) return {};
  Json json = parse_tokenizer_file(read_file(path, kMostSettingsBytes), path.string());
  check<IoError>(json.is_object(), "tokenizer", "{}: is no JSON object", path.string());
  return json;
}

/// A token as text or as {"content": text}; nothing if it is missing or null.
std::optional<std::string> token_text(const Json& settings, std::string_view key) {
  const Json* token = settings.find(key);
  if (token && token->is_object()) token = token->find("content");
  return token && token->is_string() ? std::optional(token->as_string()) : std::nullopt;
}

std::optional<bool> flag_of(const Json& settings, std::string_view key) {
  const Json* const value = settings.find(key);
  return value && value->is_bool() ? std::optional(value->as_bool()) : std::nullopt;
}

/// An id or a list of ids.
std::vector<int64_t> ids_of_key(const Json& settings, std::string_view key) {
  std::vector<int64_t> ids;
  const Json* const value = settings.find(key);
  if (value && value->is_integer()) ids.push_back(value->as_int64());
  if (value && value->is_array())
    for (const Json& id : value->as_array())
      if (id.is_integer()) ids.push_back(id.as_int64());
  return ids;
}

int64_t as_id(const std::string& text, const std::string& file) {
  int64_t id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  check<IoError>(error == std::errc() && end == text.data() + text.size(), "tokenizer",
                 "{}: 'added_tokens_decoder' has the key '{}'; it must be an id", file, text);
  return id;
}

}  // namespace

AddedToken read_added_token(const Json& token, int64_t id, const std::string& file) {
  AddedToken added;
  const Json* const content = token.find("content");
  check<IoError>(content && content->is_string(), "tokenizer", "{}: the added token {} has no 'content'", file, id);
  added.content = content->as_string();
  added.id = id;
  added.special = flag_of(token, "special").value_or(false);
  added.normalized = flag_of(token, "normalized").value_or(!added.special);
  added.lstrip = flag_of(token, "lstrip").value_or(false);
  added.rstrip = flag_of(token, "rstrip").value_or(false);
  added.single_word = flag_of(token, "single_word").value_or(false);
  return added;
}

TokenizerSettings TokenizerSettings::read(const fs::path& folder) {
  TokenizerSettings settings;
  const fs::path config_path = folder / "tokenizer_config.json", added_path = folder / "added_tokens.json";
  const Json config = read_settings_file(config_path), map = read_settings_file(folder / "special_tokens_map.json");
  const auto token = [&](std::string_view key) {
    const auto text = token_text(config, key);
    return text ? text : token_text(map, key);
  };
  settings.bos = token("bos_token");
  settings.eos = token("eos_token");
  settings.pad = token("pad_token");
  settings.adds_bos = flag_of(config, "add_bos_token");
  settings.legacy = flag_of(config, "legacy");

  const Json* const decoder = config.find("added_tokens_decoder");
  if (decoder && decoder->is_object())
    for (const auto& [key, value] : decoder->as_object())
      settings.added.push_back(read_added_token(value, as_id(key, config_path.string()), config_path.string()));
  const Json added = read_settings_file(added_path);
  if (added.is_object())
    for (const auto& [content, id] : added.as_object()) {
      check<IoError>(id.is_integer(), "tokenizer", "{}: '{}' has no id", added_path.string(), content);
      const bool known = std::any_of(settings.added.begin(), settings.added.end(),
                                     [&, text = &content](const AddedToken& t) { return t.content == *text; });
      if (!known) settings.added.push_back({.content = content, .id = id.as_int64()});
    }

  for (const char* const file : {"generation_config.json", "config.json"}) {
    const Json model = read_settings_file(folder / file);
    const Json* const text = model.find("text_config");
    for (const Json* const part : {&model, text ? text : &model}) {
      if (settings.end_ids.empty()) settings.end_ids = ids_of_key(*part, "eos_token_id");
      const std::vector<int64_t> pad = ids_of_key(*part, "pad_token_id");
      if (!settings.pad_id && !pad.empty()) settings.pad_id = pad.front();
    }
  }
  return settings;
}

void TokenizerSettings::apply(TokenizerParts& parts, const std::string& source) const {
  Pieces& pieces = parts.model.pieces;
  std::vector<AddedToken>& raw = parts.raw_tokens;
  for (const AddedToken& token : added) {
    const bool is_new = !pieces.id_of(token.content);
    pieces.add(token.content, token.id, false, source);
    if (is_new) {
      raw.push_back(token);
      raw.back().normalized = false;
    }
  }
  const auto id_of = [&](const std::optional<std::string>& token) -> std::optional<int64_t> {
    return token ? pieces.id_of(*token) : std::nullopt;
  };
  if (adds_bos == false) parts.bos.reset();
  if (adds_bos.value_or(parts.bos.has_value()) && id_of(bos)) parts.bos = id_of(bos);
  if (const auto id = id_of(eos)) parts.eos = {*id};
  for (const int64_t id : end_ids)
    if (std::find(parts.eos.begin(), parts.eos.end(), id) == parts.eos.end()) parts.eos.push_back(id);
  if (const auto id = id_of(pad)) parts.pad = *id;
  if (!parts.pad) parts.pad = pad_id;
}

}  // namespace vitrail::data
