// Vocabulary: the symbols of a byte-pair encoding and the merges that make them, in CLIP's layout.
#pragma once

#include "vitrail/data/text/byte_pairs.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace vitrail {
class Json;
}

namespace vitrail::data {

/// Symbols are written in an alphabet of 256 visible characters, one for each byte, as GPT-2 does; "</w>" marks those
/// that end a word. Ids: 0-255 the bytes, 256-511 the same at the end of a word, then one for each merge in its order,
/// and last the start and end of text.
/// Source: SimpleTokenizer of openai/CLIP. Sennrich et al. 2016 (arXiv:1508.07909) for the encoding.
class Vocabulary {
 public:
  using Symbols = std::pair<std::string, std::string>;

  /// Throws IoError, naming source and the number of the merge, if a merge joins a symbol that no earlier merge makes.
  explicit Vocabulary(std::vector<Symbols> merges, const std::string& source = "vocabulary");

  /// Reads a list of merges (CLIP's bpe_simple_vocab_16e6.txt.gz or a merges.txt, gzipped or not), a tokenizer.json, or
  /// a folder with either. If the folder has merges.txt and vocab.json, the ids must agree with the merges.
  /// Throws IoError naming the file and the line; ConfigError for a tokenizer.json of another kind.
  static Vocabulary read(const std::filesystem::path& path);
  /// Reads the bytes of such a list. name is for messages.
  static Vocabulary parse(std::span<const std::byte> bytes, const std::string& name);
  /// Throws IoError unless ids, a JSON object of symbols and ids in the file path, are those that follow from the
  /// merges. merges: where the merges are, for messages. Other symbols are ignored.
  void check_ids(const Json& ids, const std::string& path, std::string_view merges) const;
  /// The list of merges that parse() reads.
  std::string merges_text() const;
  /// Writes merges.txt and vocab.json, which Hugging Face's tokenizers also read, to a folder. Makes the folder if
  /// needed.
  void save(const std::filesystem::path& folder) const;

  /// The number of symbols; the ids of start and end of text are the last two.
  int64_t size() const { return int64_t(symbols_.size()); }
  int64_t start_of_text() const { return size() - 2; }
  int64_t end_of_text() const { return size() - 1; }
  /// The pairs of symbols in order of rank.
  const std::vector<Symbols>& merges() const { return merges_; }
  /// The symbol of an id, in the visible alphabet. Throws std::out_of_range.
  const std::string& symbol(int64_t id) const { return symbols_.at(size_t(id)); }
  /// The id of a byte, inside a word or at its end.
  int32_t byte_id(unsigned char byte, bool ends_word) const { return byte_ids_[byte] + (ends_word ? 256 : 0); }
  /// The merges by the ids of both symbols.
  const MergeTable& merge_table() const { return merge_table_; }
  /// The bytes of a symbol; "</w>" becomes a space.
  std::string bytes_of(int64_t id) const;

 private:
  std::vector<Symbols> merges_;
  std::vector<std::string> symbols_;              // by id
  std::unordered_map<std::string, int32_t> ids_;  // of two equal symbols the later
  MergeTable merge_table_;
  int32_t byte_ids_[256];
};

}  // namespace vitrail::data
