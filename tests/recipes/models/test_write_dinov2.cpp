#include "tests/support/close.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using test::says;

namespace {

struct Kind {
  int64_t patch, registers;
  bool swiglu, scaled;
};

/// What DinoVisionTransformer of facebookresearch/dinov2 calls its tensors, with their shapes, for width 12, a hidden
/// width of 24 and two blocks.
std::map<std::string, Shape> dinov2_names(const Kind& k, int64_t side) {
  const int64_t grid = side / k.patch, wide = k.swiglu ? 48 : 24;
  std::map<std::string, Shape> names = {{"cls_token", {1, 1, 12}},
                                        {"pos_embed", {1, 1 + grid * grid, 12}},
                                        {"mask_token", {1, 12}},
                                        {"patch_embed.proj.weight", {12, 3, k.patch, k.patch}},
                                        {"patch_embed.proj.bias", {12}},
                                        {"norm.weight", {12}},
                                        {"norm.bias", {12}}};
  if (k.registers > 0) names["register_tokens"] = {1, k.registers, 12};
  const std::string first = k.swiglu ? "mlp.w12" : "mlp.fc1", second = k.swiglu ? "mlp.w3" : "mlp.fc2";
  for (const int block : {0, 1}) {
    const auto add = [&](const std::string& name, const Shape& shape) {
      names[fmt::format("blocks.{}.{}", block, name)] = shape;
    };
    for (const char* norm : {"norm1", "norm2"})
      for (const char* leaf : {"weight", "bias"}) add(fmt::format("{}.{}", norm, leaf), {12});
    add("attn.qkv.weight", {36, 12});
    add("attn.qkv.bias", {36});
    add("attn.proj.weight", {12, 12});
    add("attn.proj.bias", {12});
    add(first + ".weight", {wide, 12});
    add(first + ".bias", {wide});
    add(second + ".weight", {12, 24});
    add(second + ".bias", {12});
    if (k.scaled)
      for (const char* scale : {"ls1.gamma", "ls2.gamma"}) add(scale, {12});
  }
  return names;
}

std::map<std::string, Shape> shapes_of(const TensorMap& weights) {
  std::map<std::string, Shape> shapes;
  for (const auto& [name, t] : weights) shapes[name] = t.shape();
  return shapes;
}

/// A ViT as DINOv2 trains it, with a mask token that is not zero.
PublishedModel small_dinov2(const Kind& k, int64_t side) {
  nn::VitConfig c{.img_size = side, .patch_size = k.patch, .num_classes = 0, .embed_dim = 12};
  c.depth = 2;
  c.num_heads = 3;
  c.mlp_hidden = 24;
  c.ffn = k.swiglu ? nn::Ffn::swiglu : nn::Ffn::mlp;
  c.num_registers = k.registers;
  c.layerscale_init = k.scaled ? 0.5 : 0;
  c.mask_token = true;
  c.pos_interp = core::PosInterp::scale_offset;
  PublishedModel model;
  model.source = "run";
  model.layout = &nn::layout_named("timm");
  model.architecture = vit_architecture(c);
  model.weights = nn::state(nn::VisionTransformer(nn::Scope(3), c));
  model.weights["mask_token"] = Rng(4, "mask").normal({1, 12}, 0, 1);
  model.preprocessing = {.size = side, .crop = side};
  return model;
}

}  // namespace

TEST_CASE("what DINOv2 trains is written under the names of its repository and of Hugging Face, and read again") {
  for (const Kind& k : {Kind{14, 0, false, true}, Kind{14, 4, true, true}, Kind{16, 4, false, true},
                        Kind{16, 0, true, true}, Kind{14, 2, false, false}, Kind{16, 0, false, false}}) {
    CAPTURE(k.patch);
    CAPTURE(k.registers);
    CAPTURE(k.swiglu);
    CAPTURE(k.scaled);
    const int64_t side = 3 * k.patch;
    const PublishedModel model = small_dinov2(k, side);
    const Tensor image = Rng(5, "image").normal({2, 3, side, side}, 0, 1);
    const Tensor expected = open_model(model).image_features(image);

    const test::TemporaryFolder folder;
    const auto file = folder.path() / "dinov2.safetensors";
    const WrittenModel written = write_model(model, "dinov2", file);
    const TensorMap theirs = safetensors::Reader(file).read_all();
    CHECK(shapes_of(theirs) == dinov2_names(k, side));
    CHECK(test::max_difference(theirs.at("mask_token"), model.weights.at("mask_token")) == 0);
    // The arguments that build the network which loads the file strictly.
    REQUIRE(written.notes.size() == 3);
    CHECK(says(written.notes[0],
               fmt::format("DinoVisionTransformer(img_size={}, patch_size={}, embed_dim=12, depth=2, num_heads=3, "
                           "mlp_ratio={}, qkv_bias=True, init_values={}, ffn_layer=\"{}\", num_register_tokens={}, "
                           "block_chunks=0)",
                           side, k.patch, k.swiglu ? "3" : "2", k.scaled ? "1.0" : "None", k.swiglu ? "swiglu" : "mlp",
                           k.registers)));
    CHECK(test::max_difference(open_model(read_published_model(file)).image_features(image), expected) == 0);

    // Hugging Face's Dinov2 always has a LayerScale: one of ones changes nothing.
    const auto out = folder.path() / "hf";
    write_model(model, "hf_dinov2", out);
    const auto config = nlohmann::json::parse(test::read_text(out / "config.json"));
    CHECK(config["architectures"][0] == (k.registers > 0 ? "Dinov2WithRegistersModel" : "Dinov2Model"));
    CHECK(config["patch_size"] == k.patch);
    CHECK(config["image_size"] == side);
    CHECK(config["use_swiglu_ffn"] == k.swiglu);
    CHECK(config["mlp_ratio"] == (k.swiglu ? 3 : 2));
    CHECK(nlohmann::json::parse(test::read_text(out / "preprocessor_config.json"))["crop_size"]["height"] == side);
    const TensorMap hf = safetensors::Reader(out / "model.safetensors").read_all();
    CHECK(hf.at("embeddings.mask_token").shape() == Shape{1, 12});
    CHECK(test::max_difference(hf.at("embeddings.mask_token"), model.weights.at("mask_token")) == 0);
    CHECK(hf.at("encoder.layer.1.layer_scale2.lambda1").shape() == Shape{12});
    CHECK(hf.contains("embeddings.register_tokens") == (k.registers > 0));
    CHECK(hf.contains("encoder.layer.0.mlp.weights_in.weight") == k.swiglu);
    const PublishedModel read = read_published_model(out);
    CHECK(test::max_difference(read.weights.at("pos_embed"), model.weights.at("pos_embed")) == 0);
    CHECK(test::max_difference(open_model(read).image_features(image), expected) == 0);
  }
}

TEST_CASE("a hidden width that no ratio of DINOv2 gives has no place in Hugging Face's config.json") {
  PublishedModel model = small_dinov2({14, 0, true, true}, 42);
  nn::VitConfig c = model.architecture->vision();
  c.mlp_hidden = 21;  // SwiGLU's widths are multiples of 8
  model.architecture = vit_architecture(c);
  model.weights = nn::state(nn::VisionTransformer(nn::Scope(3), c));
  const test::TemporaryFolder folder;
  CHECK(says(test::message_of([&] { write_model(model, "hf_dinov2", folder.path() / "hf"); }),
             "have no feed-forward of that width"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "hf"));
}
