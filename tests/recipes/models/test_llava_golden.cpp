#include "tests/support/clip_golden.h"
#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/reference.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/models/llava.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/models/language_model.h"

#include <cmath>
#include <cstdlib>

using namespace vitrail;
using ag::Var;
using nlohmann::json;

namespace {

/// The model of llava_tiny_golden.json.
nn::LlavaConfig golden_llava(const json& clip, const nn::LlamaConfig& text) {
  const auto size = [&](const char* name) { return clip["config"][name].get<int64_t>(); };
  nn::LlavaConfig c;
  c.vision = {.img_size = size("image_resolution"),
              .patch_size = size("vision_patch_size"),
              .num_classes = 0,
              .embed_dim = size("vision_width"),
              .depth = size("vision_layers"),
              .num_heads = size("vision_width") / 64,
              .gelu = ag::Gelu::quick,
              .ln_eps = 1e-5,
              .pre_norm = true};
  c.text = text;
  return c;
}

TensorMap golden_weights(const test::ClipGolden& clip, const TensorMap& decoder, int64_t width, int64_t dim) {
  TensorMap weights;
  const TensorMap ours = nn::from_layout(nn::layout_named("open_clip"), clip.weights).weights;
  for (const auto& [name, t] : without_prefix(ours, "visual."))
    if (!name.starts_with("head.")) weights["vision_tower." + name] = t;
  for (const auto& [name, t] : decoder) weights["language_model." + name] = t;
  weights["projector.linear_1.weight"] = test::hashed({dim, width}, 2001, 3 / std::sqrt(double(width)));
  weights["projector.linear_1.bias"] = test::hashed({dim}, 2002, 0.2);
  weights["projector.linear_2.weight"] = test::hashed({dim, dim}, 2003, 3 / std::sqrt(double(dim)));
  weights["projector.linear_2.bias"] = test::hashed({dim}, 2004, 0.2);
  return weights;
}

/// Our names of what the file calls wq, mm_projector.0.weight, ...: * is the number of a block.
const std::pair<const char*, const char*> kGoldenNames[] = {
    {"tok_embeddings", "language_model.embed_tokens.weight"},
    {"attention_norm", "language_model.layers.*.input_layernorm.weight"},
    {"wq", "language_model.layers.*.self_attn.q_proj.weight"},
    {"wk", "language_model.layers.*.self_attn.k_proj.weight"},
    {"wv", "language_model.layers.*.self_attn.v_proj.weight"},
    {"wo", "language_model.layers.*.self_attn.o_proj.weight"},
    {"ffn_norm", "language_model.layers.*.post_attention_layernorm.weight"},
    {"w1", "language_model.layers.*.mlp.gate_proj.weight"},
    {"w2", "language_model.layers.*.mlp.down_proj.weight"},
    {"w3", "language_model.layers.*.mlp.up_proj.weight"},
    {"norm", "language_model.norm.weight"},
    {"mm_projector.0.weight", "projector.linear_1.weight"},
    {"mm_projector.0.bias", "projector.linear_1.bias"},
    {"mm_projector.2.weight", "projector.linear_2.weight"},
    {"mm_projector.2.bias", "projector.linear_2.bias"}};

/// The gradients of one of the file's entries: of all blocks if it has a *.
std::vector<Tensor> gradients_of(const nn::Llava& model, const std::string& pattern) {
  const size_t star = pattern.find('*');
  if (star == pattern.npos) return {model.parameter(pattern).grad()};
  std::vector<Tensor> grads;
  for (int64_t i = 0; i < model.config.text.depth; ++i)
    grads.push_back(model.parameter(std::string(pattern).replace(star, 1, std::to_string(i))).grad());
  return grads;
}

void check_gradients(const nn::Llava& model, const json& expected, double near) {
  size_t seen = 0;
  for (const auto& [key, pattern] : kGoldenNames) {
    const std::string name = key;
    if (!expected.contains(name)) continue;
    ++seen;
    CAPTURE(name);
    const std::vector<Tensor> grads = gradients_of(model, pattern);
    double squares = 0;
    for (const Tensor& g : grads) squares += std::pow(core::norm(g), 2);
    const double norm = expected[name]["l2"];
    CHECK(std::sqrt(squares) == doctest::Approx(norm).epsilon(near));
    const std::vector<double> first = grads[0].contiguous().to_vector();
    for (size_t i = 0; i < 3; ++i) CHECK(std::abs(first[i] - double(expected[name]["first3"][i])) < near * (1 + norm));
  }
  CHECK(seen == expected.size());
}

void check_stage(nn::Llava& model, const json& stage, const json& texts, const Tensor& images, double near) {
  std::vector<nn::LabelledText> batch;
  for (const json& text : texts) batch.push_back({text["ids"], text["labels"]});
  for (const nn::PadSide side : {nn::PadSide::right, nn::PadSide::left}) {
    CAPTURE(int(side));
    const nn::Splice splice = model.splice(batch, 0, side);
    for (size_t b = 0; b < batch.size(); ++b) CHECK(splice.lengths[b] == stage["samples"][b]["length"].get<int64_t>());
    ag::Tape tape;
    const Var projected = model.project(model.features(images));
    CHECK(core::sum(projected.value()).item() == doctest::Approx(double(stage["projected_sum"])).epsilon(near));
    for (int64_t i = 0; i < 8; ++i)
      CHECK(projected.value().contiguous().to_vector()[size_t(i)] ==
            doctest::Approx(double(stage["projected_first"][size_t(i)])).epsilon(near * 10));
    const Var loss = model.loss(splice, projected);
    CHECK(std::abs(loss.item() - double(stage["loss"])) < near);
    tape.backward(loss);
    check_gradients(model, stage["grad"], near * 100);
    model.zero_grad();
  }
  int64_t image = 0;  // each text without padding
  for (size_t b = 0; b < batch.size(); ++b) {
    const nn::Splice one = model.splice(std::span(batch).subspan(b, 1));
    CHECK(one.supervised() == stage["samples"][b]["supervised"].get<int64_t>());
    Var its;
    if (one.images > 0) its = model.project(model.features(images.slice(0, image, image + 1)));
    image += one.images;
    CHECK(model.loss(one, its).item() * double(one.supervised()) ==
          doctest::Approx(double(stage["samples"][b]["sum_nll"])).epsilon(near));
  }
}

}  // namespace

TEST_CASE("both stages of a tiny LLaVA agree with the reference") {
  const auto path = test::reference_path("llava_tiny_golden.json");
  const auto clip = test::clip_golden();
  const char* const folder = std::getenv("VITRAIL_DATA");
  if (!path || !clip || !folder) {
    MESSAGE("not run: set VITRAIL_DATA to the folder that holds llama/stories260K.bin");
    return;
  }
  const json golden = test::read_json(*path);
  const recipes::Llama2c decoder = recipes::read_llama2c(std::filesystem::path(folder) / "llama/stories260K.bin");
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(dtype);
    const nn::LlavaConfig config = golden_llava(clip->file, decoder.config);
    nn::Llava model(nn::Scope(0, dtype), config);
    nn::load_state(model, golden_weights(*clip, decoder.weights, config.feature_dim(), config.text.embed_dim),
                   "the golden weights");
    const Tensor images = clip->images.to(dtype).slice(0, 0, 2);
    const double near = dtype == DType::f64 ? 1e-10 : 2e-5;

    model.vision_tower->freeze();
    model.language_model.freeze();
    check_stage(model, golden["stage1_plain"], golden["stage1_plain"]["samples_text"], images, near);
    model.language_model.freeze(false);
    check_stage(model, golden["stage2_v1"], golden["stage2_v1"]["conversations"], images, near);
  }
}
