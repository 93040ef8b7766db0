// LanguageTokenizer: turns text into the token ids of a language model, and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// The tokenizer of one language model.
/// Thread: every member may be called from several threads at once.
class LanguageTokenizer {
 public:
  virtual ~LanguageTokenizer() = default;

  /// The ids of a text. Added and special tokens in it ("<image>", "</s>") become their ids; nothing is put before or
  /// after the text. Takes any bytes; invalid UTF-8 is read as U+FFFD. Time is n log n in the length of the text.
  ///
  /// before: the text in front, of which the ids are known. A SentencePiece tokenizer puts a space in front of the
  /// first word of a text, and some do so after each special token: encode("a b", "") begins with "▁a", encode("a b",
  /// "x") with "a". Throws ConfigError for a text above 256 MiB.
  virtual std::vector<int64_t> encode(std::string_view text, std::string_view before = {}) const = 0;

  /// The text of ids, without special tokens; invalid UTF-8 becomes U+FFFD. The space that encode() puts in front is
  /// taken away. Throws ConfigError for an id that no token has.
  std::string decode(std::span<const int64_t> ids) const;

  /// The bytes of one token in a text; none for a special token. They need not be whole characters.
  /// Throws ConfigError for an id that no token has.
  virtual std::string bytes_of(int64_t id) const = 0;
  /// Whether encode() puts a space in front of a text, which decode() takes away.
  virtual bool adds_space() const { return false; }

  /// One more than the largest id. Some ids below may have no token.
  virtual int64_t size() const = 0;
  /// The token of an id, as the vocabulary writes it: "▁the", "Ġthe", "</s>". Throws ConfigError as bytes_of().
  virtual std::string piece(int64_t id) const = 0;
  /// The id of a token; nothing if there is none.
  virtual std::optional<int64_t> id_of(std::string_view piece) const = 0;

  /// The token that the model expects in front of a text; nothing if it expects none.
  virtual std::optional<int64_t> bos() const = 0;
  /// The tokens that end an answer. The first one ends a text in training.
  virtual std::vector<int64_t> eos() const = 0;
  /// The token that fills up a batch; nothing if none is named.
  virtual std::optional<int64_t> pad() const = 0;
};

/// Opens a tokenizer: a folder of a model, its tokenizer.json (Hugging Face), its tokenizer.model (SentencePiece), or
/// llama2.c's tokenizer.bin. Reads bos, eos, pad and more added tokens from tokenizer_config.json,
/// special_tokens_map.json, added_tokens.json, generation_config.json and config.json in the same folder.
/// Throws: IoError for a damaged file; ConfigError naming the component for a kind of tokenizer that is not supported.
std::shared_ptr<const LanguageTokenizer> open_language_tokenizer(const std::filesystem::path& path);

/// Turns ids into text one by one, for streaming. Gives whole UTF-8 characters only.
class StreamDecoder final {
 public:
  /// continues: the ids continue a text, so that their first space is part of it.
  explicit StreamDecoder(const LanguageTokenizer& tokenizer, bool continues = false);

  /// The characters that this id completes; often none. Throws ConfigError for an id that no token has.
  std::string add(int64_t id);
  /// What remains: a character that is not complete becomes U+FFFD. The next id begins a new text.
  std::string finish();

 private:
  const LanguageTokenizer& tokenizer_;
  bool drops_space_;     // until the first byte
  std::string pending_;  // the beginning of a character
};

}  // namespace vitrail::data
