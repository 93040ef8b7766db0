#include "vitrail/data/text/hub_tokenizer.h"

#include "vitrail/core/error.h"
#include "vitrail/data/text/byte_alphabet.h"
#include "vitrail/data/text/tokenizer_json_parts.h"
#include "vitrail/data/text/tokenizer_settings.h"
#include "vitrail/data/text/unicode.h"

#include <algorithm>

namespace vitrail::data {
namespace {

/// One component of the file, such as its normalizer, with what messages need.
struct Component {
  const Json& json;
  std::string path;         // "normalizer"
  const std::string& file;  // for messages

  std::string type() const { return text_of(json, "type"); }

  const Json* find(std::string_view key) const {
    const Json* const value = json.find(key);
    return value && value->is_null() ? nullptr : value;
  }
  bool flag(std::string_view key, bool preset) const {
    const Json* const value = find(key);
    check<IoError>(!value || value->is_bool(), "tokenizer", "{}: '{}.{}' must be true or false", file, path, key);
    return value ? value->as_bool() : preset;
  }
  /// A text that is not empty.
  std::string text(std::string_view key) const {
    std::string value = text_of(json, key);
    check<IoError>(!value.empty(), "tokenizer", "{}: '{}.{}' must be a text", file, path, key);
    return value;
  }
  const Json::Array& list(std::string_view key) const {
    const Json* const value = find(key);
    check<IoError>(value && value->is_array(), "tokenizer", "{}: '{}.{}' must be a list", file, path, key);
    return value->as_array();
  }
  [[noreturn]] void refuse(std::string_view what) const {
    fail<ConfigError>("tokenizer", "{}: its {} is {}, which is not supported", file, path, what);
  }
  [[noreturn]] void refuse() const { refuse(type().empty() ? json.excerpt() : type()); }
};

/// Calls visit for the component, or for each one of a Sequence. list: the name of the list. Null is no component.
template <class Visit>
void for_each_component(const Component& component, std::string_view list, const Visit& visit) {
  if (component.json.is_null()) return;
  if (component.type() != "Sequence") return visit(component);
  for (const Json& part : component.list(list)) visit(Component{part, component.path, component.file});
}

/// A pattern is {"String": text} or {"Regex": expression}.
std::string pattern_of(const Component& component, std::string_view kind) {
  const Json* const pattern = component.find("pattern");
  return pattern ? text_of(*pattern, kind) : "";
}

Replace read_replace(const Component& component) {
  const std::string from = pattern_of(component, "String");
  if (from.empty()) component.refuse("a Replace of the expression " + pattern_of(component, "Regex"));
  return {from, text_of(component.json, "content")};
}

Normalizer read_normalizer(const Component& component) {
  const std::string type = component.type();
  if (type == "NFC") return Nfc{};
  if (type == "Prepend") return Prepend{component.text("prepend")};
  if (type == "Replace") return read_replace(component);
  component.refuse();
}

Metaspace read_metaspace(const Component& component) {
  using Scheme = Metaspace::Scheme;
  Metaspace metaspace{.replacement = component.text("replacement")};
  const std::string scheme = text_of(component.json, "prepend_scheme");
  if (scheme == "first") metaspace.scheme = Scheme::first;
  if (scheme == "never" || !component.flag("add_prefix_space", true)) metaspace.scheme = Scheme::never;
  if (!scheme.empty() && scheme != "first" && scheme != "never" && scheme != "always")
    component.refuse("Metaspace with the prepend_scheme " + scheme);
  metaspace.split = component.flag("split", true);
  return metaspace;
}

PreTokenizer read_split(const Component& component) {
  using Delimiter = SplitText::Delimiter;
  const std::string behavior = text_of(component.json, "behavior"), expression = pattern_of(component, "Regex");
  const bool invert = component.flag("invert", false);
  if (!expression.empty()) {  // the known expressions match every character
    const auto pattern = word_pattern(expression);
    if (!pattern) component.refuse("a Split at the expression " + expression);
    if (!(behavior == "Isolated" && !invert) && !(behavior == "Removed" && invert))
      component.refuse("a Split with the behavior " + behavior);
    return *pattern;
  }
  SplitText split{.text = pattern_of(component, "String")};
  if (behavior == "MergedWithPrevious")
    split.delimiter = Delimiter::with_previous;
  else if (behavior == "MergedWithNext")
    split.delimiter = Delimiter::with_next;
  else if (behavior != "Isolated")
    component.refuse("a Split with the behavior " + behavior);
  if (invert || split.text.empty()) component.refuse("a Split that is inverted or has no pattern");
  return split;
}

/// Reads the normalizers and pre-tokenizers.
void read_steps(const Component& normalizer, const Component& pre_tokenizer, TokenizerParts& parts) {
  for_each_component(normalizer, "normalizers",
                     [&](const Component& c) { parts.normalizers.push_back(read_normalizer(c)); });
  for_each_component(pre_tokenizer, "pretokenizers", [&](const Component& c) {
    const std::string type = c.type();
    auto& steps = parts.pre_tokenizers;
    if (parts.model.over_bytes) c.refuse(type + " behind ByteLevel");
    if (type == "Metaspace") {
      steps.emplace_back(read_metaspace(c));
    } else if (type == "Digits") {
      steps.emplace_back(Digits{c.flag("individual_digits", false)});
    } else if (type == "Split") {
      steps.push_back(read_split(c));
    } else if (type == "ByteLevel") {
      if (c.flag("add_prefix_space", true)) steps.emplace_back(PrefixSpace{});
      if (c.flag("use_regex", true)) steps.emplace_back(kGpt2Words);
      parts.model.over_bytes = true;
    } else {
      c.refuse();
    }
  });
}

void read_vocabulary(const Component& model, BytePairModel& out) {
  const Json* const vocabulary = model.find("vocab");
  check<IoError>(vocabulary && vocabulary->is_object(), "tokenizer", "{}: 'model.vocab' must be an object", model.file);
  for (const auto& [text, id] : vocabulary->as_object()) {
    check<IoError>(id.is_integer(), "tokenizer", "{}: '{}' has no id in 'model.vocab'", model.file, text);
    out.pieces.add(text, id.as_int64(), true, model.file);
  }
  const auto id_of = [&](const std::string& piece, size_t number) {
    const auto id = out.pieces.id_of(piece);
    check<IoError>(id.has_value(), "tokenizer", "{}: merge {} needs '{}', which 'model.vocab' does not have",
                   model.file, number, piece);
    return *id;
  };
  const Json::Array& merges = model.list("merges");
  out.merges = MergeTable(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = read_merge(merges[rank], model.file, rank + 1);
    out.merges.set(id_of(left, rank + 1), id_of(right, rank + 1), {int32_t(rank), id_of(left + right, rank + 1)});
  }
}

/// The token of each byte, by itself or as the fallback of unknown characters.
void read_bytes(const Component& model, BytePairModel& out) {
  const bool fallback = model.flag("byte_fallback", false);
  if (out.over_bytes && fallback) model.refuse("a BPE over bytes with byte_fallback");
  out.bytes.fill(BytePairModel::kNone);
  for (int byte = 0; byte < 256 && (out.over_bytes || fallback); ++byte) {
    std::string piece = byte_piece(static_cast<unsigned char>(byte));
    if (out.over_bytes) {
      piece.clear();
      append_utf8(piece, visible_char(static_cast<unsigned char>(byte)));
    }
    const auto id = out.pieces.id_of(piece);
    check<IoError>(id || out.over_bytes, "tokenizer", "{}: has byte_fallback, but 'model.vocab' lacks '{}'", model.file,
                   piece);
    out.bytes[size_t(byte)] = id.value_or(BytePairModel::kNone);
  }
}

void read_model(const Component& model, BytePairModel& out) {
  const std::string type = model.find("type") ? model.type() : "BPE";  // old files do not say it
  if (type != "BPE") model.refuse(type);
  for (const char* const key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const std::string affix = text_of(model.json, key); !affix.empty())
      model.refuse("a BPE with the " + std::string(key) + " '" + affix + "'");
  const Json* const dropout = model.find("dropout");
  if (dropout && !(dropout->is_number() && dropout->as_double() == 0)) model.refuse("a BPE with dropout");
  read_vocabulary(model, out);
  read_bytes(model, out);
  out.fuse_unknown = model.flag("fuse_unk", false);
  out.whole_first = model.flag("ignore_merges", false);
  if (const Json* const unknown = model.find("unk_token")) {
    const auto id = unknown->is_string() ? out.pieces.id_of(unknown->as_string()) : std::nullopt;
    check<IoError>(id.has_value(), "tokenizer", "{}: 'model.unk_token' is {}, which 'model.vocab' does not have",
                   model.file, unknown->excerpt());
    out.unknown = *id;
  }
}

void read_added_tokens(const Component& root, TokenizerParts& parts) {
  if (!root.find("added_tokens")) return;
  for (const Json& json : root.list("added_tokens")) {
    const Json* const id = json.find("id");
    check<IoError>(id && id->is_integer(), "tokenizer", "{}: an added token has no id", root.file);
    AddedToken token = read_added_token(json, id->as_int64(), root.file);
    parts.model.pieces.add(token.content, token.id, false, root.file);
    if (!token.normalized) {
      parts.raw_tokens.push_back(std::move(token));
      continue;
    }
    token.content = normalized(parts.normalizers, token.content, Place::start_of_text);
    parts.normalized_tokens.push_back(std::move(token));
  }
}

/// Whether a Strip takes away one space at the beginning.
bool strips_one_space(const Component& strip) {
  const Json *const start = strip.find("start"), *const stop = strip.find("stop");
  return text_of(strip.json, "content") == " " && start && start->is_integer() && start->as_int64() == 1 && stop &&
         stop->is_integer() && stop->as_int64() == 0;
}

/// A Sequence of Replace, ByteFallback, Fuse and Strip, in this order; or ByteLevel.
void read_decoder(const Component& decoder, const TokenizerParts& parts, PieceDecoder& out) {
  if (decoder.json.is_null()) decoder.refuse("missing");
  bool fused = false;
  for_each_component(decoder, "decoders", [&](const Component& c) {
    const std::string type = c.type();
    if (type == "ByteLevel" && decoder.type() == type)
      out.visible_bytes = true;
    else if (type == "Replace" && !out.byte_pieces && !fused)
      out.replacements.push_back(read_replace(c));
    else if (type == "ByteFallback" && !fused)
      out.byte_pieces = true;
    else if (type == "Fuse")
      fused = true;
    else if (type == "Strip" && fused && strips_one_space(c))
      out.drops_space = true;
    else
      c.refuse();
  });
  if (out.visible_bytes != parts.model.over_bytes) decoder.refuse("of another kind than its pre_tokenizer");
}

/// The token in front of a text, by the post_processor.
std::optional<int64_t> read_bos(const Component& processor, const Pieces& pieces) {
  std::optional<int64_t> bos;
  for_each_component(processor, "processors", [&](const Component& c) {
    if (c.type() == "ByteLevel") return;
    if (c.type() != "TemplateProcessing") c.refuse();
    bool behind = false;
    for (const Json& part : c.list("single")) {
      const Json* const special = part.find("SpecialToken");
      if (!special) {
        behind = true;
        continue;
      }
      const std::string token = text_of(*special, "id");
      if (behind || bos) c.refuse("a TemplateProcessing with '" + token + "' behind the text or as second token");
      bos = pieces.id_of(token);
      check<IoError>(bos.has_value(), "tokenizer", "{}: its post_processor needs '{}', which is no token", c.file,
                     token);
    }
  });
  return bos;
}

}  // namespace

TokenizerParts parse_hub_tokenizer(std::string_view json, const std::string& name) {
  const Json root = parse_tokenizer_file(json, name);
  const Json none;
  const auto part = [&](const char* key) {
    const Json* const value = root.find(key);
    return Component{value ? *value : none, key, name};
  };
  check<IoError>(root.find("model") && root.find("model")->is_object(), "tokenizer",
                 "{}: has no 'model', so it is no tokenizer.json", name);
  TokenizerParts parts;
  read_steps(part("normalizer"), part("pre_tokenizer"), parts);
  read_model(part("model"), parts.model);
  read_added_tokens({root, "file", name}, parts);
  read_decoder(part("decoder"), parts, parts.decoder);
  parts.bos = read_bos(part("post_processor"), parts.model.pieces);
  return parts;
}

}  // namespace vitrail::data
