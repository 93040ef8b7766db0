#include "tests/support/close.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/models/weights_file.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

nn::VitConfig one_block() {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 64};
  config.depth = config.num_heads = 1;
  return config;
}

TensorMap weights_of(uint64_t seed) { return nn::state(nn::VisionTransformer(nn::Scope(seed), one_block())); }

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A file with one tensor of 64 elements of any type, "norm.weight", whose element at that place differs from zero.
void save_norm(const std::filesystem::path& path, const std::string& dtype, size_t at, const std::string& element) {
  std::string data(64 * element.size(), '\0');
  data.replace(at * element.size(), element.size(), element);
  const std::string header = R"({"norm.weight":{"dtype":")" + dtype + R"(","shape":[8,8],"data_offsets":[0,)" +
                             std::to_string(data.size()) + "]}}";
  test::write_text(path, bytes_of(uint64_t(header.size())) + header + data);
}

std::string refusal(const std::filesystem::path& file) {
  return test::message_of([&] { read_in_layout(safetensors::Reader(file), nn::layout_named("timm"), {}); });
}

}  // namespace

TEST_CASE("weights that cannot be right are refused by file, name, place and value") {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "w.safetensors";
  struct Case {
    const char* dtype;
    std::string element;
    const char* reason;
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Case cases[] = {
      {"F32", bytes_of(std::nanf("")), "'norm.weight' [8, 8] has nan at [1, 3]"},
      {"F32", bytes_of(-kInfinity), "has -inf at [1, 3]"},
      {"BF16", bytes_of(uint16_t{0x7f80}), "has inf at [1, 3]"},
      {"BF16", bytes_of(uint16_t{0x7fc0}), "has nan at [1, 3]"},
      {"F16", bytes_of(uint16_t{0x7c00}), "has inf at [1, 3]"},
      {"F64", bytes_of(1e300), "has 1e+300 at [1, 3]; every weight must be a finite f32"},
      {"F64", bytes_of(std::nan("")), "has nan at [1, 3]"},
      {"I8", bytes_of(int8_t{1}), "'norm.weight' is of type I8"},
      {"I32", bytes_of(int32_t{1}), "is of type I32; weights are F32, F16, BF16 or F64"},
      {"I64", bytes_of(int64_t{1}), "is of type I64"},
      {"U8", bytes_of(uint8_t{1}), "is of type U8"},
      {"BOOL", bytes_of(uint8_t{1}), "is of type BOOL"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.dtype);
    CAPTURE(c.reason);
    save_norm(file, c.dtype, 11, c.element);
    const std::string message = refusal(file);
    CHECK(message.starts_with("[load] " + file.string() + ": "));
    CHECK(message.find(c.reason) != std::string::npos);
    CHECK_THROWS_AS(read_own_names(safetensors::Reader(file)), IoError);
  }
  for (const auto& [dtype, element] : {std::pair{"F32", bytes_of(3e38F)},
                                       {"F64", bytes_of(-3e38)},
                                       {"F16", bytes_of(uint16_t{0x7bff})},
                                       {"BF16", bytes_of(uint16_t{0x3f80})}}) {
    save_norm(file, dtype, 11, element);
    CHECK(refusal(file).empty());
  }
}

TEST_CASE("models with such weights are opened nowhere, as models or as the start of a run") {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "w.safetensors";
  TensorMap weights = weights_of(1);
  weights["blocks.0.attn.qkv.weight"] = weights["blocks.0.attn.qkv.weight"].clone();
  weights["blocks.0.attn.qkv.weight"].data<float>()[65] = std::nanf("");
  safetensors::save(file, weights);
  CHECK_THROWS_WITH_AS(open_model(file), doctest::Contains("'blocks.0.attn.qkv.weight' [192, 64] has nan at [1, 1]"),
                       IoError);
  CHECK_THROWS_WITH_AS(read_weights(file), doctest::Contains("has nan at [1, 1]"), IoError);
  weights["blocks.0.attn.qkv.weight"] = zeros({192, 64}, DType::i64);
  safetensors::save(file, weights);
  CHECK_THROWS_WITH_AS(open_model(file), doctest::Contains("is of type I64"), IoError);

  TensorMap resnet = nn::state(nn::ResNet(nn::Scope(1), {.layers = {1}, .width = 4, .num_classes = 2}));
  resnet["bn1.num_batches_tracked"] = zeros({}, DType::i64);
  safetensors::save(file, resnet);
  CHECK(read_weights(file).tensors.size() == resnet.size());
  resnet["bn1.running_var"] = zeros(resnet["bn1.running_var"].shape(), DType::i64);
  safetensors::save(file, resnet);
  CHECK_THROWS_WITH_AS(read_weights(file), doctest::Contains("'bn1.running_var' is of type I64"), IoError);
}

TEST_CASE("a whole checkpoint of DINO opens: its teacher, or its student on demand") {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "checkpoint.safetensors";
  TensorMap weights = {{"teacher.head.mlp.0.weight", ones({8, 64})},
                       {"teacher.head.mlp.0.bias", ones({8})},
                       {"teacher.head.last_layer.weight_g", ones({4, 1})},
                       {"teacher.head.last_layer.weight_v", ones({4, 8})}};
  for (const auto& [name, t] : weights_of(1)) weights["teacher.backbone." + name] = t;
  for (const auto& [name, t] : weights_of(2)) weights["student.module.backbone." + name] = t;
  safetensors::save(file, weights);
  const Tensor images = ones({1, 3, 8, 8});
  const auto feature_of = [&](uint64_t seed) {
    nn::VisionTransformer model(nn::Scope(seed), one_block());
    return pooled_features(model)(images);
  };
  const OpenModel teacher = open_model(file), student = open_model(file, {}, {.network = "student"});
  CHECK(test::max_difference(teacher.image_features(images), feature_of(1)) == 0);
  CHECK(test::max_difference(student.image_features(images), feature_of(2)) == 0);
  CHECK(teacher.notes.size() == 4);  // the head, the student, heads and eps, the preprocessing
  CHECK(read_weights(file).tensors.contains("blocks.0.mlp.fc1.bias"));

  // A folder may give its only file of weights any name.
  CHECK(open_model(folder.path(), {}, {.network = "teacher"}).source == file);
  safetensors::save(folder.path() / "other.safetensors", weights_of(1));
  CHECK_THROWS_WITH_AS(open_model(folder.path()),
                       doctest::Contains("give one of checkpoint.safetensors, other.safetensors"), ConfigError);
  CHECK_THROWS_WITH_AS(open_model(folder.path() / "other.safetensors", {}, {.network = "student"}),
                       doctest::Contains("no network 'student'"), ConfigError);

  // Weights that are left out may be anything.
  weights["student.module.backbone.norm.bias"] = tensor<float>({std::nanf("")}, {1});
  safetensors::save(file, weights);
  CHECK_NOTHROW(open_model(file));
}
