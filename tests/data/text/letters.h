// A tokenizer whose ids can be read, for tests of what is built on one.
#pragma once

#include "vitrail/data/text/language_tokenizer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::test {

/// Each byte is a token; special tokens have the ids from 1000 on, and the first of them ends a text. With a prefix,
/// "_" stands for a space and is put in front of a text and behind special tokens, as in old SentencePiece models.
class Letters final : public data::LanguageTokenizer {
 public:
  explicit Letters(std::vector<std::string> specials, bool prefix = false, std::optional<int64_t> bos = std::nullopt)
      : specials_(std::move(specials)), prefix_(prefix), bos_(bos) {}

  std::vector<int64_t> encode(std::string_view text, std::string_view before = {}) const override {
    std::vector<int64_t> ids;
    for (bool begins = before.empty() || ends_in_special(before); !text.empty();) {
      if (const std::optional<size_t> special = special_at(text)) {
        ids.push_back(1000 + int64_t(*special));
        text.remove_prefix(specials_[*special].size());
        begins = true;
        continue;
      }
      if (begins && prefix_) ids.push_back('_');
      begins = false;
      ids.push_back(prefix_ && text[0] == ' ' ? '_' : uint8_t(text[0]));
      text.remove_prefix(1);
    }
    return ids;
  }
  std::string bytes_of(int64_t id) const override { return id < 1000 ? std::string(1, char(id)) : std::string(); }
  bool adds_space() const override { return prefix_; }
  int64_t size() const override { return 1000 + int64_t(specials_.size()); }
  std::string piece(int64_t id) const override { return id < 1000 ? bytes_of(id) : specials_.at(size_t(id - 1000)); }
  std::optional<int64_t> id_of(std::string_view piece) const override {
    for (size_t i = 0; i < specials_.size(); ++i)
      if (specials_[i] == piece) return 1000 + int64_t(i);
    return std::nullopt;
  }
  std::optional<int64_t> bos() const override { return bos_; }
  std::vector<int64_t> eos() const override {
    return specials_.empty() ? std::vector<int64_t>() : std::vector<int64_t>{1000};
  }
  std::optional<int64_t> pad() const override { return std::nullopt; }

 private:
  std::optional<size_t> special_at(std::string_view text) const {
    for (size_t i = 0; i < specials_.size(); ++i)
      if (text.starts_with(specials_[i])) return i;
    return std::nullopt;
  }
  bool ends_in_special(std::string_view text) const {
    for (const std::string& special : specials_)
      if (text.ends_with(special)) return true;
    return false;
  }

  std::vector<std::string> specials_;
  bool prefix_;
  std::optional<int64_t> bos_;
};

}  // namespace vitrail::test
