// Runs a test with each decoder of JPEGs that this build has.
#pragma once

#include "vitrail/data/image/jpeg_turbo.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace vitrail::test {

/// The decoder in use, until the end of the scope.
class ChosenDecoder {
 public:
  explicit ChosenDecoder(data::JpegDecoder decoder) { data::testing::jpeg_decoder = decoder; }
  ~ChosenDecoder() { data::testing::jpeg_decoder = data::built_jpeg_decoder(); }
  ChosenDecoder(const ChosenDecoder&) = delete;
  ChosenDecoder& operator=(const ChosenDecoder&) = delete;
};

inline bool has_turbo() { return data::built_jpeg_decoder() == data::JpegDecoder::turbo; }

template <class Test>
void with_each_decoder(const Test& run) {
  std::vector<data::JpegDecoder> decoders{data::JpegDecoder::stb};
  if (has_turbo()) decoders.push_back(data::JpegDecoder::turbo);
  for (const data::JpegDecoder decoder : decoders) {
    const ChosenDecoder chosen(decoder);
    const std::string name(data::name_of(decoder));
    CAPTURE(name);
    run();
  }
}

}  // namespace vitrail::test
