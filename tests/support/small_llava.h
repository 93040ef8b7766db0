// Small data, a small tokenizer and a small recipe for tests of llava.
#pragma once

#include "tests/support/temporary_folder.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/llava.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::test {

/// Plain squares of six colours in three shades, with two questions each, of two families; the middle shade is for
/// evaluation. A question about none. Captions of the same squares in `captions/`. And a tokenizer of bytes.
struct SquareQuestions {
  SquareQuestions();
  const std::filesystem::path& path() const { return folder.path(); }
  std::filesystem::path tokenizer() const { return path() / "tokenizer.bin"; }

  TemporaryFolder folder;
};

/// A recipe of 16 x 16 images on such data, changed.
struct SmallLlava {
  explicit SmallLlava(const SquareQuestions& data, const std::vector<std::string>& changes = {});

  recipes::LlavaConfig settings;
  recipes::Config config;
  std::unique_ptr<recipes::Recipe> recipe;
};

/// Changes for its first stage: captions, the projector alone.
std::vector<std::string> first_stage(const SquareQuestions& data);

}  // namespace vitrail::test
