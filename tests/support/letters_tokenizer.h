// A small tokenizer of llama2.c, for tests of language models.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace vitrail::test {

/// The content of a tokenizer.bin whose tokens are three of its own, the 256 bytes, a space and the letters.
inline constexpr int64_t kLetterTokens = 3 + 256 + 27;
inline std::string letters_tokenizer() {
  std::string file("\7\0\0\0", 4);  // the longest token
  const auto add = [&](const std::string& token) {
    const float score = 0;
    const auto length = int32_t(token.size());
    file.append(reinterpret_cast<const char*>(&score), 4).append(reinterpret_cast<const char*>(&length), 4) += token;
  };
  for (const char* const own : {"<unk>", "\n<s>\n", "\n</s>\n"}) add(own);
  char name[8];
  for (int byte = 0; byte < 256; ++byte) {
    std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(byte));
    add(name);
  }
  add(" ");
  for (char letter = 'a'; letter <= 'z'; ++letter) add(std::string(1, letter));
  return file;
}

}  // namespace vitrail::test
