#include "tests/support/clip_golden.h"
#include "tests/support/close.h"
#include "tests/support/golden.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_folder.h"
#include "tools/reference/reference_case.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/models/dino_network.h"
#include "vitrail/nn/weights/architecture.h"
#include "vitrail/nn/weights/pattern.h"
#include "vitrail/nn/weights/transfer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

using namespace vitrail;
using ag::Var;

namespace {

// ---- other layouts, written from their documentation without the tables under test ----------------------------------

using Replacements = std::vector<std::pair<std::string, std::string>>;

/// Replaces the first occurrence of each left side in the name, in order.
std::string replaced(std::string name, const Replacements& replacements) {
  for (const auto& [from, to] : replacements)
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  return name;
}

/// Renames weights. A weight whose new name holds "<qkv>" is split into thirds of its rows, with the names in qkv.
TensorMap renamed(const TensorMap& weights, const Replacements& replacements,
                  const std::vector<std::string>& qkv = {}) {
  TensorMap result;
  for (const auto& [name, t] : weights) {
    const std::string other = replaced(name, replacements);
    if (other.find("<qkv>") == std::string::npos) {
      result[other] = t;
      continue;
    }
    const int64_t rows = t.size(0) / 3;
    for (int64_t i = 0; i < 3; ++i)
      result[replaced(other, {{"<qkv>", qkv[size_t(i)]}})] = t.slice(0, i * rows, (i + 1) * rows);
  }
  return result;
}

TensorMap prefixed(const TensorMap& weights, const std::string& prefix, const std::string& except = "-") {
  TensorMap result;
  for (const auto& [name, t] : weights) result[name.starts_with(except) ? name : prefix + name] = t;
  return result;
}

TensorMap without(TensorMap weights, const std::string& beginning) {
  std::erase_if(weights, [&](const auto& item) { return item.first.starts_with(beginning); });
  return weights;
}

const Replacements kHfVit = {{"cls_token", "embeddings.cls_token"},
                             {"dist_token", "embeddings.distillation_token"},
                             {"pos_embed", "embeddings.position_embeddings"},
                             {"patch_embed.proj", "embeddings.patch_embeddings.projection"},
                             {"blocks.", "encoder.layer."},
                             {"norm1", "layernorm_before"},
                             {"norm2", "layernorm_after"},
                             {"attn.qkv", "attention.attention.<qkv>"},
                             {"attn.proj", "attention.output.dense"},
                             {"mlp.fc1", "intermediate.dense"},
                             {"mlp.fc2", "output.dense"}};
const std::vector<std::string> kHfQkv = {"query", "key", "value"};

/// Renames the final norm alone: the replacements cannot tell its name from the norms inside the blocks.
TensorMap with_final_norm(const TensorMap& weights, const std::string& name) {
  TensorMap result;
  for (const auto& [key, t] : weights) result[key.starts_with("norm.") ? name + key.substr(4) : key] = t;
  return result;
}

TensorMap hf_vit(const TensorMap& timm) {
  TensorMap theirs = with_final_norm(renamed(timm, kHfVit, kHfQkv), "layernorm");
  theirs = prefixed(theirs, "vit.", "head.");
  return renamed(theirs, {{"head.", "classifier."}});
}

TensorMap hf_deit(const TensorMap& timm) {
  TensorMap theirs = with_final_norm(renamed(timm, kHfVit, kHfQkv), "layernorm");
  theirs = prefixed(theirs, "deit.", "head");
  return renamed(theirs, {{"head_dist.", "distillation_classifier."}, {"head.", "cls_classifier."}});
}

TensorMap hf_dinov2(const TensorMap& dinov2) {
  TensorMap theirs = renamed(dinov2,
                             {{"cls_token", "embeddings.cls_token"},
                              {"mask_token", "embeddings.mask_token"},
                              {"register_tokens", "embeddings.register_tokens"},
                              {"pos_embed", "embeddings.position_embeddings"},
                              {"patch_embed.proj", "embeddings.patch_embeddings.projection"},
                              {"blocks.", "encoder.layer."},
                              {"attn.qkv", "attention.attention.<qkv>"},
                              {"attn.proj", "attention.output.dense"},
                              {"ls1.gamma", "layer_scale1.lambda1"},
                              {"ls2.gamma", "layer_scale2.lambda1"},
                              {"mlp.w12", "mlp.weights_in"},
                              {"mlp.w3", "mlp.weights_out"}},
                             kHfQkv);
  return with_final_norm(theirs, "layernorm");
}

TensorMap torchvision(const TensorMap& timm) {
  TensorMap theirs = renamed(timm, {{"cls_token", "class_token"},
                                    {"pos_embed", "encoder.pos_embedding"},
                                    {"patch_embed.proj", "conv_proj"},
                                    {"blocks.", "encoder.layers.encoder_layer_"},
                                    {"norm1", "ln_1"},
                                    {"norm2", "ln_2"},
                                    {"attn.qkv.weight", "self_attention.in_proj_weight"},
                                    {"attn.qkv.bias", "self_attention.in_proj_bias"},
                                    {"attn.proj", "self_attention.out_proj"},
                                    {"mlp.fc1", "mlp.0"},
                                    {"mlp.fc2", "mlp.3"},
                                    {"head.", "heads.head."}});
  return with_final_norm(theirs, "encoder.ln");
}

TensorMap hf_clip(const TensorMap& openai) {
  TensorMap theirs;
  for (const auto& [name, t] : openai) {
    if (name == "visual.proj") {
      theirs["visual_projection.weight"] = t.transpose(0, 1).contiguous();
    } else if (name == "text_projection") {
      theirs["text_projection.weight"] = t.transpose(0, 1).contiguous();
    } else if (name == "positional_embedding") {
      theirs["text_model.embeddings.position_embedding.weight"] = t;
    } else if (name == "visual.positional_embedding") {
      theirs["vision_model.embeddings.position_embedding.weight"] = t;
    } else {
      theirs[replaced(name, {{"visual.class_embedding", "vision_model.embeddings.class_embedding"},
                             {"visual.conv1", "vision_model.embeddings.patch_embedding"},
                             {"visual.ln_pre", "vision_model.pre_layrnorm"},
                             {"visual.ln_post", "vision_model.post_layernorm"},
                             {"visual.transformer.resblocks", "vision_model.encoder.layers"},
                             {"transformer.resblocks", "text_model.encoder.layers"},
                             {"token_embedding", "text_model.embeddings.token_embedding"},
                             {"ln_final", "text_model.final_layer_norm"},
                             {"attn.in_proj_", "self_attn.<qkv>_proj."},
                             {"attn.out_proj", "self_attn.out_proj"},
                             {"ln_1", "layer_norm1"},
                             {"ln_2", "layer_norm2"},
                             {"mlp.c_fc", "mlp.fc1"},
                             {"mlp.c_proj", "mlp.fc2"}})] = t;
    }
  }
  theirs = renamed(theirs, {{"self_self_attn", "self_attn"}}, {"q", "k", "v"});
  theirs["text_model.embeddings.position_ids"] = arange(9).unsqueeze(0);
  theirs["vision_model.embeddings.position_ids"] = arange(17).unsqueeze(0);
  return theirs;
}

/// A CLIP whose text tower is a separate module.
TensorMap custom_text(const TensorMap& openai) {
  TensorMap theirs;
  for (const auto& [name, t] : openai)
    theirs[name.starts_with("visual.") || name == "logit_scale" ? name : "text." + name] = t;
  theirs["logit_scale"] = theirs["logit_scale"].reshape({1});
  return theirs;
}

// ---- through a file, as users do ------------------------------------------------------------------------------------

struct Loaded {
  const nn::Layout* layout;
  nn::Converted converted;
};

Loaded through_file(const TensorMap& theirs) {
  const test::TemporaryFolder folder;
  safetensors::save(folder.path() / "model.safetensors", theirs);
  const safetensors::Reader file(folder.path() / "model.safetensors");
  const nn::Layout& layout = nn::recognise(file.names(), "model.safetensors");
  return {&layout, nn::from_layout(layout, file.read_all())};
}

std::unique_ptr<nn::VisionTransformer> vit_of(const Loaded& loaded, nn::Unwritten unwritten) {
  const nn::VitConfig config = nn::vit_config(loaded.converted.weights, *loaded.layout, "file", unwritten);
  auto model = std::make_unique<nn::VisionTransformer>(nn::Scope().without_values(), config);
  nn::load_state(*model, loaded.converted.weights, *loaded.layout, "file");
  model->eval();
  return model;
}

/// Weights written in a layout are read back unchanged, bit for bit.
void check_round_trip(const nn::Layout& layout, const TensorMap& ours) {
  const std::string name(layout.name);
  CAPTURE(name);
  const Loaded back = through_file(nn::to_layout(layout, ours).weights);
  CHECK(back.layout->anchor == layout.anchor);
  const nn::Converted& read = nn::from_layout(layout, nn::to_layout(layout, ours).weights);
  REQUIRE(read.weights.size() == ours.size());
  for (const auto& item : ours) {
    CAPTURE(item.first);
    REQUIRE(read.weights.contains(item.first));
    CHECK(test::max_difference(read.weights.at(item.first), item.second) == 0);
    CHECK(test::max_difference(back.converted.weights.at(item.first), item.second) == 0);
  }
}

/// The file has the names and shapes of the other library's model.
void check_same_names(const TensorMap& written, const TensorMap& expected) {
  for (const auto& item : expected) {
    if (item.first.ends_with("position_ids")) continue;
    CAPTURE(item.first);
    REQUIRE(written.contains(item.first));
    CHECK(written.at(item.first).shape() == item.second.shape());
    CHECK(test::max_difference(written.at(item.first), item.second) == 0);
  }
  const auto buffers = std::count_if(expected.begin(), expected.end(),
                                     [](const auto& item) { return item.first.ends_with("position_ids"); });
  CHECK(written.size() + size_t(buffers) == expected.size());
}

struct Case {
  std::string name;
  TensorMap weights, inputs, outputs;
};

/// A case with weights and outputs of an official model. Returns nothing if its file is missing.
std::optional<Case> reference_case(const char* file_name, const std::string& path) {
  const auto found = test::reference_path(file_name);
  if (!found) return std::nullopt;
  const hdf5::Reader file(*found);
  return Case{path, reference::read_group(file, path + "/params", DType::f32),
              reference::read_group(file, path + "/inputs", DType::f32),
              reference::read_group(file, path + "/outputs", DType::f32)};
}

constexpr double kNear = 1e-5;
const nn::Unwritten kSmall{.num_heads = 4, .ln_eps = 1e-6};

}  // namespace

TEST_CASE("layouts: patterns of names") {
  const auto match = nn::match_name("blocks.*.norm1.%", "blocks.12.norm1.bias");
  REQUIRE(match);
  CHECK(match->block == "12");
  CHECK(nn::fill_name("layer_*.ln_%", *match) == "layer_12.ln_bias");
  for (const char* other : {"blocks..norm1.bias", "blocks.1.norm1.bia", "blocks.1.norm1.biases", "blocks.1.norm2.bias",
                            "xblocks.1.norm1.bias", ""})
    CHECK_FALSE(nn::match_name("blocks.*.norm1.%", other));
  const auto key = nn::match_name("a.*.{query,key,value}.%", "a.3.key.weight");
  REQUIRE(key);
  CHECK(key->part == 1);
  CHECK(nn::parts_of("a.*.{query,key,value}.%") == 3);
  CHECK(nn::parts_of("a.*") == 0);
  CHECK_FALSE(nn::match_name("a.{q,k}", "a.v"));
  CHECK(nn::match_name("blocks.?.*.w", "blocks.3.31.w")->block == "31");
  CHECK(nn::name_in_layout(nn::layout_named("hf_vit"), "blocks.2.attn.qkv.bias") ==
        "encoder.layer.2.attention.attention.{query,key,value}.bias");
  CHECK_THROWS_WITH_AS(nn::layout_named("hf"), doctest::Contains("no layout 'hf'; there are hf_clip, "), ConfigError);
}

TEST_CASE("layouts: the tiny golden ViT in every layout of a ViT") {
  const auto path = test::reference_path("vision_golden.json");
  if (!path) return;
  const nlohmann::json golden = test::golden()["tiny_vit"];
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = 5, .embed_dim = 8};
  config.depth = config.num_heads = 2;
  nn::VisionTransformer filled(nn::Scope(0), config);
  test::fill_golden(filled, golden["tensor_order"]);
  const TensorMap timm = nn::state(filled);
  std::vector<double> pixels(3 * 8 * 8);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::sin(0.11 * double(i));
  const Tensor image = tensor(pixels, {1, 3, 8, 8}).to(DType::f32);
  const auto logits = golden["logits"].get<std::vector<double>>();

  const std::pair<const char*, TensorMap> files[] = {{"timm", timm},
                                                     {"timm", prefixed(timm, "module.")},
                                                     {"timm", prefixed(timm, "model.")},
                                                     {"torchvision", torchvision(timm)},
                                                     {"hf_vit", hf_vit(timm)}};
  for (const auto& file : files) {
    const std::string layout = file.first;
    CAPTURE(layout);
    const Loaded loaded = through_file(file.second);
    CHECK(loaded.layout->name == layout);
    CHECK(loaded.converted.notes.empty());
    const auto model = vit_of(loaded, {.num_heads = 2, .ln_eps = 1e-6});
    CHECK(test::max_difference(model->logits(image).value(), tensor(logits, {1, 5}).to(DType::f32)) < kNear);
    check_round_trip(*loaded.layout, timm);
  }
  check_same_names(nn::to_layout(nn::layout_named("hf_vit"), timm).weights, hf_vit(timm));
  check_same_names(nn::to_layout(nn::layout_named("torchvision"), timm).weights, torchvision(timm));

  // A bare DINO backbone, and one of a whole checkpoint
  const TensorMap bare = without(timm, "head.");
  const Loaded dino = through_file(bare);
  CHECK(dino.layout->name == "dino");
  const auto feature = golden["cls_feature"].get<std::vector<double>>();
  const auto model = vit_of(dino, {.num_heads = 2});
  CHECK(model->config.pos_interp == ag::PosInterp::scale_offset);
  CHECK(test::max_difference(model->features(image).value(), tensor(feature, {1, 8}).to(DType::f32)) < kNear);
  check_round_trip(*dino.layout, bare);
}

TEST_CASE("layouts: a whole checkpoint of DINO gives its teacher or its student, with or without the head") {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 64};
  config.depth = config.num_heads = 1;
  const TensorMap teacher = nn::state(nn::VisionTransformer(nn::Scope(1), config)),
                  student = nn::state(nn::VisionTransformer(nn::Scope(2), config));
  const TensorMap head = {{"head.mlp.0.weight", ones({8, 64})},
                          {"head.mlp.0.bias", ones({8})},
                          {"head.last_layer.weight_g", ones({4, 1})},
                          {"head.last_layer.weight_v", ones({4, 8})}};
  TensorMap file = prefixed(teacher, "teacher.backbone.");
  file.merge(prefixed(student, "student.module.backbone."));
  file.merge(prefixed(head, "teacher."));
  file.merge(prefixed(head, "student.module."));
  file["dino_loss.center"] = zeros({1, 4});
  std::vector<std::string> names;
  for (const auto& item : file) names.push_back(item.first);
  const nn::Layout& layout = nn::recognise(names, "file");
  CHECK(layout.name == "dino");
  const auto same = [](const TensorMap& a, const TensorMap& b) {
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
             return b.contains(item.first) && test::max_difference(item.second, b.at(item.first)) == 0;
           });
  };
  const nn::Converted bare = nn::from_layout(layout, file, {.training_head = false});
  CHECK(same(bare.weights, teacher));
  CHECK(bare.taken.size() == teacher.size());
  CHECK(bare.notes.size() == 3);  // the head, the student, the loss
  CHECK(same(nn::from_layout(layout, file, {.network = "student", .training_head = false}).weights, student));
  CHECK(same(nn::from_layout(layout, file, {.network = "teacher", .training_head = false}).weights, teacher));
  CHECK(nn::from_layout(layout, file).weights.size() == teacher.size() + head.size());
  CHECK_THROWS_WITH_AS(nn::from_layout(layout, prefixed(teacher, "teacher.backbone."), {.network = "student"}),
                       doctest::Contains("no network 'student'; their names begin with 'teacher.backbone.'"),
                       ConfigError);
}

TEST_CASE("layouts: the official models' weights give the official outputs") {
  struct Row {
    const char *path, *layout;
  };
  for (const Row& row : {Row{"timm_vit", "timm"},
                         {"timm_vit_layerscale", "timm"},
                         {"timm_vit_avgpool", "timm"},
                         {"timm_vit_qk_norm", "timm"},
                         {"timm_vit_pre_norm", "timm"},
                         {"timm_vit_reg4", "timm"},
                         {"timm_vit_reg4_no_embed_class", "timm"},
                         {"timm_vit_swiglu", "timm"},
                         {"timm_vit_swiglu_packed", "timm"},
                         {"torchvision_vit", "torchvision"}}) {
    const auto c = reference_case("vit_forward_backward.h5", row.path);
    if (!c) return;
    CAPTURE(c->name);
    const Loaded loaded = through_file(c->weights);
    CHECK(loaded.layout->name == row.layout);
    const auto model = vit_of(loaded, kSmall);
    CHECK(test::relative_error(model->logits(c->inputs.at("images")).value(), c->outputs.at("logits")) < kNear);
    check_round_trip(*loaded.layout, loaded.converted.weights);
  }
  const auto dino = reference_case("vit_forward_backward.h5", "dino_vit");
  for (const TensorMap& file : {hf_vit(dino->weights), torchvision(dino->weights)}) {
    const auto model = vit_of(through_file(file), kSmall);
    CHECK(test::relative_error(model->logits(dino->inputs.at("images")).value(), dino->outputs.at("logits")) < kNear);
  }
  TensorMap pooled = hf_vit(without(dino->weights, "head."));
  pooled["pooler.dense.weight"] = zeros({32, 32});
  const Loaded loaded = through_file(pooled);
  REQUIRE(loaded.converted.notes.size() == 1);
  CHECK(loaded.converted.notes[0].find("pooler.dense.weight") != std::string::npos);
  const Tensor features = vit_of(loaded, kSmall)->features(dino->inputs.at("images")).value();
  CHECK(test::relative_error(features, dino->outputs.at("cls_features")) < kNear);
  // Another size: the positions are resampled by DINO's rule
  const auto larger = reference_case("vit_forward_backward.h5", "dino_vit_interp_48x48");
  const auto model = vit_of(through_file(without(larger->weights, "head.")), kSmall);
  CHECK(test::relative_error(model->features(larger->inputs.at("images")).value(), larger->outputs.at("cls_features")) <
        kNear);
}

TEST_CASE("layouts: a distilled DeiT as timm and as Hugging Face has it") {
  const auto c = reference_case("deit_step.h5", "distilled_hard");
  if (!c) return;
  for (const TensorMap& file : {c->weights, hf_deit(c->weights)}) {
    const Loaded loaded = through_file(file);
    CAPTURE(loaded.layout->title.size());
    const auto model = vit_of(loaded, kSmall);
    CHECK(model->config.distilled);
    CHECK(test::relative_error(model->logits(c->inputs.at("images")).value(), c->outputs.at("eval_logits")) < kNear);
    check_round_trip(*loaded.layout, c->weights);
  }
  check_same_names(nn::to_layout(nn::layout_named("hf_deit"), c->weights).weights, hf_deit(c->weights));
}

TEST_CASE("layouts: DINOv2 with registers and with SwiGLU, its own and Hugging Face's") {
  for (const char* path : {"dinov2_vit_reg4", "dinov2_vit_swiglu"}) {
    const auto c = reference_case("vit_forward_backward.h5", path);
    if (!c) return;
    CAPTURE(c->name);
    const bool registers = c->weights.contains("register_tokens");
    const TensorMap backbone = without(c->weights, "linear.");
    TensorMap chunked, teacher = prefixed(backbone, "teacher.backbone.");
    for (const auto& [name, t] : backbone) {
      const bool second = name.starts_with("blocks.1.");
      chunked[name.starts_with("blocks.") ? "blocks." + std::string(second ? "1" : "0") + name.substr(6) : name] = t;
    }
    teacher["teacher.dino_head.mlp.0.weight"] = teacher["teacher.ibot_head.mlp.0.weight"] = zeros({2, 2});
    const std::string prefix = registers ? "dinov2_with_registers." : "dinov2.";
    const TensorMap with_head = prefixed(hf_dinov2(backbone), prefix);
    struct Row {
      const char* layout;
      TensorMap file;
      size_t notes;
    };
    for (const Row& row : {Row{"dinov2", backbone, 0},
                           {"dinov2", chunked, 0},
                           {"dinov2", teacher, 2},
                           {"hf_dinov2", hf_dinov2(backbone), 0},
                           {"hf_dinov2", with_head, 0}}) {
      const Loaded loaded = through_file(row.file);
      CHECK(loaded.layout->name == row.layout);
      CHECK(loaded.converted.notes.size() == row.notes);
      const auto model = vit_of(loaded, kSmall);
      CHECK(model->config.num_registers == (registers ? 4 : 0));
      const Tensor features = model->features(c->inputs.at("images")).value();
      CHECK(test::relative_error(features, c->outputs.at("intermediate_1_cls")) < kNear);
      check_round_trip(*loaded.layout, loaded.converted.weights);
    }
    const TensorMap ours = through_file(backbone).converted.weights;
    check_same_names(nn::to_layout(nn::layout_named("dinov2"), ours).weights, backbone);
    check_same_names(nn::to_layout(nn::layout_named("hf_dinov2"), ours).weights, hf_dinov2(backbone));

    // timm has no mask token and, with registers, no position for the class token, but the same features.
    const nn::Converted timm = nn::to_layout(nn::layout_named("timm"), ours);
    CHECK(timm.notes.size() == (registers ? 2 : 1));
    CHECK_FALSE(timm.weights.contains("mask_token"));
    const auto model = vit_of({&nn::layout_named("timm"), {timm.weights, {}}}, kSmall);
    CHECK(model->config.pos_embed == (registers ? nn::PosEmbed::patches : nn::PosEmbed::cls_and_patches));
    const Tensor features = model->features(c->inputs.at("images")).value();
    CHECK(test::relative_error(features, c->outputs.at("intermediate_1_cls")) < kNear);
  }
}

TEST_CASE("layouts: DINOv2's classifiers read the class token and the mean of the patches") {
  const auto c = reference_case("vit_forward_backward.h5", "dinov2_vit_reg4");
  if (!c) return;
  TensorMap file = prefixed(hf_dinov2(without(c->weights, "linear.")), "dinov2_with_registers.");
  file["classifier.weight"] = Rng(1, "classifier").normal({3, 64}, 0, 1);
  file["classifier.bias"] = Rng(2, "classifier").normal({3}, 0, 1);
  const auto model = vit_of(through_file(file), kSmall);
  CHECK(model->feature_dim() == 64);
  const Tensor tokens = model->forward_tokens(c->inputs.at("images")).value();  // [4, 1 + 4 + 16, 32]
  const Tensor patches = core::mean(tokens.slice(1, 5, 21).contiguous(), {1});
  const Tensor both = core::concat({tokens.select(1, 0).contiguous(), patches}, 1);
  const Tensor expected = core::linear(both, file["classifier.weight"], file["classifier.bias"]);
  CHECK(test::relative_error(model->logits(c->inputs.at("images")).value(), expected) < kNear);
  check_round_trip(nn::layout_named("hf_dinov2"), nn::state(*model));

  // A head on the class token alone is written with columns of zeros.
  TensorMap ours = nn::state(*model);
  ours["head.weight"] = file["classifier.weight"].slice(1, 0, 32).contiguous();
  const nn::Converted written = nn::to_layout(nn::layout_named("hf_dinov2"), ours);
  CHECK(written.notes.size() == 1);
  const auto read = vit_of(through_file(written.weights), kSmall);
  const Tensor logits = core::linear(tokens.select(1, 0).contiguous(), ours["head.weight"], file["classifier.bias"]);
  CHECK(test::relative_error(read->logits(c->inputs.at("images")).value(), logits) < kNear);
}

TEST_CASE("layouts: a whole checkpoint of DINO gives its teacher, with its head") {
  const auto c = reference_case("dino_trajectory.h5", "norm_last_layer");
  if (!c) return;
  TensorMap file = prefixed(c->weights, "teacher.");
  for (const auto& [name, t] : c->weights) file["student.module." + name] = zeros(t.shape());
  file["dino_loss.center"] = zeros({1, 256});
  for (const bool parametrized : {false, true}) {
    if (parametrized)
      file = renamed(file, {{"last_layer.weight_g", "last_layer.parametrizations.weight.original0"},
                            {"last_layer.weight_v", "last_layer.parametrizations.weight.original1"}});
    const Loaded loaded = through_file(file);
    CHECK(loaded.layout->name == "dino");
    CHECK(loaded.converted.notes.size() == 2);
    const nn::VitConfig config = nn::vit_config(loaded.converted.weights, *loaded.layout, "file", kSmall);
    CHECK(config.num_classes == 0);
    nn::DinoNetwork network(
        nn::Scope().without_values(),
        [&](const nn::Scope& scope) { return std::make_unique<nn::VisionTransformer>(scope, config); },
        {.out_dim = 256, .hidden_dim = 64, .bottleneck_dim = 32});
    nn::load_state(network, prefixed(loaded.converted.weights, "backbone.", "head."), "file");
    const Tensor crops = c->inputs.at("global_crops").select(0, 0).contiguous().reshape({8, 3, 32, 32});
    const Tensor scores = network(std::vector<Tensor>{crops}).value();
    CHECK(test::relative_error(scores, c->outputs.at("teacher_output_0")) < kNear);
    check_round_trip(*loaded.layout, loaded.converted.weights);
    check_same_names(nn::to_layout(*loaded.layout, loaded.converted.weights).weights, c->weights);
  }
}

TEST_CASE("layouts: CLIP as OpenAI, open_clip and Hugging Face have it") {
  const auto golden = test::clip_golden();
  if (!golden) return;
  struct Row {
    const char* layout;
    TensorMap file;
  };
  const nlohmann::json& sizes = golden->file["config"];
  const int64_t vision_heads = sizes["vision_width"].get<int64_t>() / 64;
  const Tensor images = golden->images.to(DType::f32);
  TensorMap jit = golden->weights;
  for (const char* extra : {"input_resolution", "context_length", "vocab_size"}) jit[extra] = scalar(7, DType::i64);
  for (const Row& row : {Row{"openai_clip", golden->weights},
                         {"openai_clip", jit},
                         {"openai_clip", prefixed(golden->weights, "module.")},
                         {"open_clip", custom_text(golden->weights)},
                         {"hf_clip", hf_clip(golden->weights)}}) {
    const std::string layout = row.layout;
    CAPTURE(layout);
    const Loaded loaded = through_file(row.file);
    CHECK(loaded.layout->name == layout);
    CHECK(loaded.converted.notes.empty());
    for (const ag::Gelu gelu : {ag::Gelu::quick, ag::Gelu::erf}) {
      const nn::ClipConfig config = nn::clip_config(
          loaded.converted.weights, *loaded.layout, "file",
          {.num_heads = vision_heads, .text_num_heads = sizes["transformer_heads"].get<int64_t>(), .gelu = gelu});
      nn::Clip model(nn::Scope().without_values(), config);
      nn::load_state(model, loaded.converted.weights, *loaded.layout, "file");
      const nlohmann::json& expected = golden->file["results"][gelu == ag::Gelu::quick ? "quick_gelu" : "gelu"];
      const Var image = model.encode_image(images), text = model.encode_text(golden->ids);
      CHECK(test::relative_error(image.value(), test::matrix(expected["image_features"])) < kNear);
      CHECK(test::relative_error(text.value(), test::matrix(expected["text_features"])) < kNear);
      CHECK(test::relative_error(model.logits(image, text).value(), test::matrix(expected["logits_per_image"])) <
            kNear);
    }
    check_round_trip(*loaded.layout, loaded.converted.weights);
  }
  const TensorMap ours = through_file(golden->weights).converted.weights;
  check_same_names(nn::to_layout(nn::layout_named("open_clip"), ours).weights, golden->weights);
  check_same_names(nn::to_layout(nn::layout_named("openai_clip"), ours).weights, golden->weights);
  check_same_names(nn::to_layout(nn::layout_named("hf_clip"), ours).weights, hf_clip(golden->weights));
  CHECK(nn::layout_named("openai_clip").gelu == ag::Gelu::quick);
  CHECK(nn::layout_named("open_clip").gelu == ag::Gelu::erf);
}

TEST_CASE("layouts: what does not fit is listed under the file's own names and shapes") {
  const auto golden = test::clip_golden();
  if (!golden) return;
  const nn::ClipConfig config =
      nn::clip_config(through_file(golden->weights).converted.weights, nn::layout_named("openai_clip"), "file",
                      {.num_heads = 2, .text_num_heads = 4});
  nn::Clip model(nn::Scope(1), config);
  const TensorMap before = nn::state(model);
  const Tensor scale = before.at("logit_scale").clone();
  TensorMap file = hf_clip(golden->weights);
  file.erase("vision_model.encoder.layers.1.self_attn.v_proj.bias");
  file.erase("text_model.final_layer_norm.weight");
  file["text_projection.weight"] = file["text_projection.weight"].transpose(0, 1).contiguous();
  file["vision_model.encoder.layers.0.self_attn.k_proj.weight"] = zeros({5, 7});
  file["text_model.encoder.layers.0.mlp.fc3.bias"] = zeros({2});
  const Loaded loaded = through_file(file);
  std::string message;
  try {
    nn::load_state(model, loaded.converted.weights, *loaded.layout, "model.safetensors");
  } catch (const IoError& error) {
    message = error.what();
  }
  CAPTURE(message);
  const auto says = [&](const std::string& text) { return message.find(text) != std::string::npos; };
  CHECK(says("model.safetensors: does not fit the model"));
  CHECK(says("missing: text_model.final_layer_norm.weight, vision_model.encoder.layers.1.self_attn.v_proj.bias\n"));
  CHECK(says("unexpected: text_model.encoder.layers.0.mlp.fc3.bias\n"));
  CHECK(says("'vision_model.encoder.layers.0.self_attn.k_proj.weight' is [5, 7] in the file, [128, 128] in the model"));
  CHECK(says("'text_projection.weight' is ["));
  CHECK(test::max_difference(before.at("logit_scale"), scale) == 0);

  TensorMap twice = hf_vit({{"patch_embed.proj.weight", zeros({4, 3, 2, 2})}});
  twice["vit.encoder.layer.0.layernorm_before.weight"] = twice["encoder.layer.0.layernorm_before.weight"] = zeros({4});
  CHECK_THROWS_WITH_AS(through_file(twice), doctest::Contains("a second time"), IoError);
  CHECK_THROWS_WITH_AS(through_file({{"conv1.weight", zeros({2})}}),
                       doctest::Contains("model.safetensors: its weights have the names of no model known here"),
                       IoError);
  nn::VitConfig odd{.img_size = 8, .patch_size = 4, .num_classes = 2, .embed_dim = 8};
  odd.depth = odd.num_heads = 1;
  odd.qk_norm = true;
  CHECK_THROWS_WITH_AS(nn::to_layout(nn::layout_named("hf_vit"), nn::state(nn::VisionTransformer(nn::Scope(), odd))),
                       doctest::Contains("models of Hugging Face ViT have no place for blocks.0.attn.k_norm.bias"),
                       ConfigError);
}

TEST_CASE("layouts: shapes that no model has are named before one is built") {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = 2, .embed_dim = 8};
  config.depth = config.num_heads = 1;
  const TensorMap good = nn::state(nn::VisionTransformer(nn::Scope(), config));
  const nn::Layout& layout = nn::layout_named("hf_vit");
  const auto message = [&](const std::string& name, const std::optional<Tensor>& value) {
    TensorMap weights = good;
    weights.erase(name);
    if (value) weights[name] = *value;
    try {
      nn::vit_config(weights, layout, "f", {.num_heads = 1});
    } catch (const IoError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message("pos_embed", good.at("pos_embed")).empty());
  CHECK(message("pos_embed", zeros({1, 7, 8})).find("'embeddings.position_embeddings' is [1, 7, 8]") !=
        std::string::npos);
  CHECK(message("pos_embed", {}).find("needs 'embeddings.position_embeddings'") != std::string::npos);
  CHECK(message("patch_embed.proj.weight", zeros({8, 3, 4, 2})).find("must be square") != std::string::npos);
  CHECK(message("patch_embed.proj.weight", zeros({8, 3})).find("must have 4 axes") != std::string::npos);
  CHECK(message("patch_embed.proj.weight", zeros({1 << 30, 0, 4, 4})).find("none empty") != std::string::npos);
  CHECK(message("blocks.0.norm1.weight", {}).find("'encoder.layer.0.layernorm_before.weight'") != std::string::npos);
  CHECK_THROWS_WITH_AS(nn::vit_config(good, layout, "f"), doctest::Contains("how many heads a width of 8 has"),
                       IoError);
}

TEST_CASE("layouts: sizes of published models follow from their weights") {
  const auto back = [](const nn::VitConfig& config, const char* layout) {
    const nn::VisionTransformer model(nn::Scope().without_values(), config);
    return nn::vit_config(nn::state(model), nn::layout_named(layout), "f");
  };
  for (const std::string& name : nn::vit_variants()) {
    CAPTURE(name);
    const nn::VitConfig config = nn::vit_variant(name), read = back(config, "timm");
    CHECK(read.num_heads == config.num_heads);
    CHECK(read.depth == config.depth);
    CHECK(read.img_size == 224);
    CHECK(read.mlp_hidden == 4 * config.embed_dim);
  }
  nn::VitConfig giant{.img_size = 518, .patch_size = 14, .num_classes = 0, .embed_dim = 1536};
  giant.depth = 1;  // of 40
  giant.num_heads = 24;
  giant.ffn = nn::Ffn::swiglu;
  giant.layerscale_init = 1;
  giant.num_registers = 4;
  const nn::VitConfig read = back(giant, "dinov2");
  CHECK(read.num_heads == 24);
  CHECK(read.mlp_hidden == 4096);
  CHECK(read.ffn == nn::Ffn::swiglu);
  CHECK(read.img_size == 518);
  CHECK(read.pos_interp == ag::PosInterp::size_antialias);
}

TEST_CASE("layouts: pretrained weights of another layout start a model of another size") {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = 5, .embed_dim = 8};
  config.depth = config.num_heads = 1;
  nn::VisionTransformer from(nn::Scope(1), config);
  config.img_size = 16;
  config.num_classes = 3;
  nn::VisionTransformer to(nn::Scope(2), config);
  TensorMap file = hf_vit(nn::state(from));
  const Loaded loaded = through_file(file);
  const std::vector<std::string> notes = nn::load_pretrained(to, loaded.converted.weights, "file", loaded.layout);
  CHECK(notes.size() == 3);  // positions, head.weight, head.bias
  CHECK(test::max_difference(to.parameter("norm.weight").value(), from.parameter("norm.weight").value()) == 0);
  file.erase("vit.layernorm.bias");
  CHECK_THROWS_WITH_AS(nn::load_pretrained(to, through_file(file).converted.weights, "file", loaded.layout),
                       doctest::Contains("missing: layernorm.bias"), IoError);
}
