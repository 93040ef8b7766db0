// Image processors of Hugging Face, and the preparation of images that they describe.
#include "tests/support/messages.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <algorithm>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using test::message_of;
using test::says;

TEST_CASE("preprocessing: what preprocessor_config.json says, in its older and newer forms") {
  const nn::Layout &vit = nn::layout_named("hf_vit"), &clip = nn::layout_named("hf_clip"),
                   &deit = nn::layout_named("hf_deit"), &dinov2 = nn::layout_named("hf_dinov2");
  const auto parse = [](const char* text, const nn::Layout& layout) {
    return parse_preprocessor(text, "preprocessor_config.json", layout);
  };
  using Resize = Preprocessing::Resize;
  const Preprocessing old_clip =
      parse(R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 336, "crop_size": 336,
                                          "resample": 3, "do_center_crop": true})",
            clip);
  CHECK(old_clip.resize == Resize::shorter);
  CHECK(old_clip.size == 336);
  CHECK(old_clip.crop == 336);
  CHECK(old_clip.mean[0] == 0.48145466);
  const Preprocessing new_clip = parse(R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224},
                                          "crop_size": {"height": 224, "width": 224}, "rescale_factor": 0.00392156862745098})",
                                       clip);
  CHECK(new_clip == published_preprocessing(clip, 224));
  CHECK(new_clip.crop_offset == data::CropOffset::floor);
  CHECK(parse("{}", vit) == published_preprocessing(vit, 224));
  CHECK(parse(R"({"size": 256, "crop_size": 224})", deit).resize == Resize::exact);
  CHECK(parse("{}", deit).mean == data::kHalfMean);
  const Preprocessing short_side =
      parse(R"({"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256},
                                            "crop_size": {"height": 224, "width": 224}, "do_normalize": false})",
            dinov2);
  CHECK(short_side.size == 256);
  CHECK(short_side.std == data::Normalize::Channels{1, 1, 1});

  struct Row {
    const char *text, *message;
  };
  const Row rows[] = {
      {R"({"size": "large"})", "'size' is \"large\""},
      {R"({"size": {"height": 2, "width": 3}})", "'size' is 2 x 3; images must be square here"},
      {R"({"size": 1e12})", "'size' is 1000000000000"},
      {R"({"size": 99999999})", "'size' is 99999999; it must be a whole number from 1 to 16384"},
      {R"({"resample": 9})", "'resample' is 9"},
      {R"({"do_rescale": false})", "pixels must be divided by 255"},
      {R"({"rescale_factor": 0.5})", "pixels must be divided by 255"},
      {R"({"image_mean": [0.5]})", "'image_mean' is [0.5]; it must be three numbers"},
      {R"({"image_std": [0, 1, 1]})", "'image_std' is [0,1,1]; it must be three numbers above 0"},
      {R"({"size": {"shortest_edge": 8}})", "keep their proportions and are not cropped"},
      {R"({"do_resize": "yes"})", "'do_resize' is \"yes\""},
  };
  for (const Row& row : rows) {
    const std::string message = message_of([&] { parse(row.text, vit); });
    CAPTURE(message);
    CHECK(says(message, row.message));
  }
}

TEST_CASE("preprocessing: the two rules of the central crop differ where they should") {
  data::Image image(224, 299);
  for (int64_t y = 0; y < 224; ++y)
    for (int64_t x = 0; x < 299; ++x) image.at(y, x)[0] = uint8_t(x);
  Preprocessing p{.resize = Preprocessing::Resize::none, .size = 0, .crop = 224};
  Rng rng(0, "nothing is drawn");
  // (299 - 224) / 2 = 37.5
  CHECK(p.transform().augmented(image, rng).at(0, 0)[0] == 38);
  p.crop_offset = data::CropOffset::floor;
  CHECK(p.transform().augmented(image, rng).at(0, 0)[0] == 37);
  const data::Image small = data::CenterCrop(8, data::CropOffset::floor).apply(data::Image(5, 5), {});
  CHECK(small.size() == data::ImageSize{8, 8});
  p = {.resize = Preprocessing::Resize::exact, .size = 32, .filter = data::Filter::bilinear, .crop = 0};
  CHECK(p.transform().augmented(image, rng) == data::resize(image, {32, 32}, data::Filter::bilinear));
  p = {.resize = Preprocessing::Resize::shorter, .size = 64, .crop = 48};
  CHECK(p.transform().augmented(image, rng) ==
        data::center_crop(data::resize(image, {64, 85}, data::Filter::bicubic), 48));

  const Tensor batch = p.batch(std::vector{image, small});
  CHECK(batch.shape() == Shape{2, 3, 48, 48});
  Tensor second = Tensor::empty({3, 48, 48});
  p.transform()(small, rng, second.span<float>());
  CHECK(std::ranges::equal(batch.select(0, 1).span<float>(), second.span<float>()));
  p.resize = Preprocessing::Resize::none;
  p.crop = 0;
  CHECK_THROWS_AS(p.batch(std::vector{image}), ShapeError);  // 224 x 299, where 64 x 64 are expected
}

TEST_CASE("foreign configs: processors in their newer forms") {
  const nn::Layout &vit = nn::layout_named("hf_vit"), &clip = nn::layout_named("hf_clip");
  const auto parse = [](const char* text, const nn::Layout& layout) {
    return parse_preprocessor(text, "preprocessor_config.json", layout);
  };
  const Preprocessing plain =
      parse(R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})", vit);
  for (
      const char* same :
      {R"({"image_processor_type": "ViTImageProcessorFast", "size": [32, 32], "do_pad": false, "data_format": "channels_first"})",
       R"({"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "device": null, "_valid_processor_keys": ["images"]})",
       R"({"image_processor_type": "ViTImageProcessor", "size": 32, "default_to_square": true, "resample": "bilinear"})",
       R"({"image_processor_type": "ViTImageProcessor", "size": 32, "resample": "PIL.Image.BILINEAR"})"}) {
    CAPTURE(same);
    CHECK(parse(same, vit) == plain);
  }
  CHECK(parse(R"({"resample": "bicubic"})", vit).filter == data::Filter::bicubic);
  CHECK(
      parse(R"({"size": 32, "default_to_square": false, "do_center_crop": true, "crop_size": [32, 32]})", vit).resize ==
      Preprocessing::Resize::shorter);
  struct Row {
    const char *text, *message;
  };
  const Row rows[] = {
      {R"({"crop_pct": 0.875})", "'crop_pct' is 0.875; this key is not known here"},
      {R"({"do_pad": true})", "'do_pad' is true; known is false"},
      {R"({"size": {"shortest_edge": 32, "longest_edge": 64}, "crop_size": 32})",
       "'size.longest_edge' is 64; this key is not known"},
      {R"({"size": [32, 48]})", "'size' is [32,48]; images must be square here"},
      {R"({"resample": "cubic"})", "'resample' is \"cubic\"; known are nearest, lanczos, bilinear, bicubic"},
      {R"({"image_processor_type": "ConvNextImageProcessor"})",
       "'image_processor_type' is \"ConvNextImageProcessor\", which may prepare"},
      {R"({"image_processor_type": "ViTHybridImageProcessor"})", "known are those of CLIP, Bit, ViT, DeiT"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    test::check_refused([&] { parse(row.text, clip); }, row.message);
  }
}

TEST_CASE("preprocessing: a key that is missing has the value of the image processor's class") {
  const nn::Layout &vit = nn::layout_named("hf_vit"), &clip = nn::layout_named("hf_clip"),
                   &dinov2 = nn::layout_named("hf_dinov2");
  const auto parse = [](const char* text, const nn::Layout& layout) {
    return parse_preprocessor(text, "preprocessor_config.json", layout);
  };
  const Preprocessing usual_clip = published_preprocessing(clip, 224), usual_vit = published_preprocessing(vit, 224);
  CHECK(parse(R"({"image_processor_type": "CLIPImageProcessor"})", vit) == usual_clip);
  CHECK(parse(R"({"image_processor_type": "BitImageProcessor"})", dinov2) == usual_clip);
  CHECK(parse("{}", dinov2) == usual_clip);
  CHECK(parse(R"({"image_processor_type": "ViTImageProcessor"})", clip) == usual_vit);
  CHECK(parse(R"({"image_processor_type": "ViTImageProcessor", "crop_size": 24})", vit) == usual_vit);
  test::check_refused([&] { parse(R"({"do_center_crop": true})", vit); },
                      "'do_center_crop' is true, but there is no 'crop_size'");
}
