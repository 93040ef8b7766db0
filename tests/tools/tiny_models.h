// Published models of a few kilobytes, and images for them, for tests of the programs.
#pragma once

#include "tests/support/text_file.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/text/vocabulary.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"

#include <filesystem>
#include <span>
#include <string>

namespace vitrail::test {

inline nn::VitConfig tiny_vit_config(int64_t outputs) {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = outputs, .embed_dim = 64};
  config.depth = config.num_heads = 1;
  return config;
}

inline recipes::PublishedModel tiny_vit(int64_t classes, uint64_t seed = 1) {
  recipes::PublishedModel model;
  model.source = "tiny";
  model.layout = &nn::layout_named("timm");
  model.architecture = recipes::vit_architecture(tiny_vit_config(classes));
  model.weights = nn::state(nn::VisionTransformer(nn::Scope(seed), tiny_vit_config(classes)));
  model.preprocessing = {.size = 8, .crop = 8};
  return model;
}

/// Its texts have room for 6 symbols. Its vocabulary has one merge.
inline recipes::PublishedModel tiny_clip() {
  nn::ClipConfig config;
  config.vision = tiny_vit_config(8);
  config.vision.pre_norm = true;
  config.vision.head_bias = false;
  config.text.embed_dim = 64;
  config.text.depth = config.text.num_heads = 1;
  config.text.vocab_size = 515;
  config.text.context_length = 8;
  config.text.out_dim = 8;
  recipes::PublishedModel model = tiny_vit(0);
  model.layout = &nn::layout_named("open_clip");
  model.architecture = recipes::clip_architecture(config);
  model.weights = nn::state(nn::Clip(nn::Scope(1), config));
  model.vocabulary = [] {
    const std::string merges = "#version: 0.2\na b\n";
    return data::Vocabulary::parse(std::as_bytes(std::span(merges)), "merges.txt");
  };
  return model;
}

/// An 8 x 8 image of one colour, which depends on the number.
inline void write_tiny_image(const std::filesystem::path& path, int number) {
  data::Image image(8, 8);
  for (size_t i = 0; i < image.pixels().size(); ++i) image.data()[i] = uint8_t(50 * number + 31 * int(i % 3));
  data::write_png(path, image);
}

}  // namespace vitrail::test
