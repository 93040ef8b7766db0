// Image processors of Hugging Face, and the preparation of images that they describe.
#include "tests/support/messages.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/pad_square.h"
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

TEST_CASE("preprocessing: an image on a square of the mean colour, worked out by hand") {
  const nn::Layout& clip = nn::layout_named("hf_clip_vision");
  const auto parse = [&](const std::string& more) {
    return parse_preprocessor(
        R"({"image_processor_type": "LlavaImageProcessor", "image_mean": [0.5, 0.25, 0.999], "image_std": [1, 1, 1],
            "size": {"shortest_edge": 3}, "crop_size": {"height": 3, "width": 3})" +
            more + "}",
        "preprocessor_config.json", clip);
  };
  Preprocessing p = parse(R"(, "do_pad": true)");
  CHECK(p.pad);
  CHECK(!parse("").pad);
  CHECK(p.text().starts_with("on a square of the mean colour, shorter side to 3"));
  data::Image wide(2, 3);  // one row is missing; it comes below
  for (size_t i = 0; i < wide.pixels().size(); ++i) wide.data()[i] = uint8_t(10 * i);
  const Tensor x = p.batch({&wide, 1});
  const double mean[] = {0.5, 0.25, 0.999}, padded[] = {127, 63, 254};  // of 127.5, 63.75 and 254.7
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t row = 0; row < 3; ++row)
      for (int64_t column = 0; column < 3; ++column) {
        const double byte = row < 2 ? double(wide.at(row, column)[c]) : padded[c];
        CHECK(x[0][c][row][column].to_vector()[0] == doctest::Approx(byte / 255 - mean[c]).epsilon(1e-6));
      }
  // A high image has more room at the right.
  data::Image high(4, 1);
  const data::Image square = data::PadSquare({1, 2, 3}).apply(high, {});
  CHECK(square.size() == data::ImageSize{4, 4});
  CHECK(square.at(2, 0)[2] == 3);
  CHECK(square.at(2, 1)[2] == 0);
  CHECK(square.at(2, 3)[0] == 1);
  CHECK(data::PadSquare::mean_color({0.48145466, 0.4578275, 0.40821073}) == data::PadSquare::Color{122, 116, 104});
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
