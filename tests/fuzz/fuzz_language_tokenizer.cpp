// Reads the bytes as a tokenizer and a text. The first byte chooses the format, the second one is the length of the
// text, which is at the end. The reader accepts the tokenizer or throws an Error. An accepted one encodes the text with
// ids of its own, and decodes them to UTF-8, at once or in a stream.
#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/text/hub_tokenizer.h"
#include "vitrail/data/text/sentencepiece.h"

#include <algorithm>
#include <cstdlib>
#include <span>

using namespace vitrail;

namespace {

data::TokenizerPipeline read(char format, std::string_view file) {
  const auto bytes = std::as_bytes(std::span(file));
  switch (format) {
    case 'l':
      return data::TokenizerPipeline(data::parse_llama2c_tokenizer(bytes, "fuzz"));
    case 's':
      return data::TokenizerPipeline(data::parse_sentencepiece(bytes, "fuzz"));
    default:
      return data::TokenizerPipeline(data::parse_hub_tokenizer(file, "fuzz"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t length = std::min<size_t>(data[1], content.size());
  const std::string_view text = content.substr(content.size() - length);
  try {
    const data::TokenizerPipeline tokenizer = read(char(data[0]), content.substr(0, content.size() - length));
    for (const std::string_view before : {"", "x", "</s>"}) {
      const std::vector<int64_t> ids = tokenizer.encode(text, before);
      data::StreamDecoder decoder(tokenizer);
      std::string streamed;
      for (const int64_t id : ids) {
        const std::string part = decoder.add(id);
        if (!is_utf8(part)) std::abort();
        streamed += part;
      }
      if (streamed + decoder.finish() != tokenizer.decode(ids)) std::abort();
    }
  } catch (const Error&) {
  }
  return 0;
}
