#include "tools/reference/attributes.h"
#include "tools/reference/error_measure.h"
#include "tools/reference/reference_case.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace vitrail::reference {

namespace {

using ag::Var;
using core::Grid;
using core::PosInterp;
using hdf5::Reader;

// ---- names ----------------------------------------------------------------------------------------------------------

/// Our name for a parameter of torchvision, DINOv2 or timm.
std::string our_name(std::string name) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"encoder.layers.encoder_layer_", "blocks."},
      {"encoder.pos_embedding", "pos_embed"},
      {"encoder.ln.", "norm."},
      {"class_token", "cls_token"},
      {"register_tokens", "reg_token"},
      {"conv_proj.", "patch_embed.proj."},
      {"heads.head.", "head."},
      {"linear.", "head."},
      {".self_attention.in_proj_", ".attn.qkv."},
      {".self_attention.out_proj.", ".attn.proj."},
      {".ln_1.", ".norm1."},
      {".ln_2.", ".norm2."},
      {".mlp.0.", ".mlp.fc1."},
      {".mlp.3.", ".mlp.fc2."},
      {".mlp.w12.", ".mlp.fc1."},
      {".mlp.w3.", ".mlp.fc2."},
      {".mlp.fc1_g.", ".mlp.fc1."},
      {".mlp.fc1_x.", ".mlp.fc1."},
  };
  for (const auto& [theirs, ours] : kNames) {
    const size_t at = name.find(theirs);
    const bool whole_word = theirs.front() == '.' || at == 0;
    if (at != std::string::npos && whole_word) name.replace(at, theirs.size(), ours);
  }
  return name;
}

bool is_gate(const std::string& name) { return name.find(".fc1_g.") != std::string::npos; }
bool is_value(const std::string& name) { return name.find(".fc1_x.") != std::string::npos; }

/// The file's parameters under our names. A SwiGLU kept as fc1_g and fc1_x becomes the rows of one fc1.
TensorMap to_ours(const TensorMap& theirs) {
  TensorMap ours;
  for (const auto& [name, t] : theirs) {  // fc1_g comes before fc1_x
    Tensor& mine = ours[our_name(name)];
    mine = is_value(name) ? core::concat({mine, t}, 0) : t;
  }
  return ours;
}

/// The value computed for one of our parameters, in the form of the file's `name`.
Tensor to_theirs(const Tensor& t, const std::string& name) {
  const int64_t rows = t.rank() > 0 ? t.size(0) : 0;
  if (is_gate(name)) return t.slice(0, 0, rows / 2);
  if (is_value(name)) return t.slice(0, rows / 2, rows);
  return t;
}

// ---- the model ------------------------------------------------------------------------------------------------------

nn::PosEmbed pos_embed_kind(int64_t rows, int64_t patches, int64_t registers) {
  if (rows == patches) return nn::PosEmbed::patches;
  return registers > 0 && rows > patches + 1 ? nn::PosEmbed::all_tokens : nn::PosEmbed::cls_and_patches;
}

/// Takes sizes from the attributes, and options from the names of the parameters.
nn::VitConfig config_of(const Attributes& a, const std::string& path, const TensorMap& params) {
  const auto has = [&](const char* name) { return params.contains(name); };
  nn::VitConfig c;
  c.img_size = a.integer("img_size", 224);
  c.patch_size = a.integer("patch_size", 16);
  c.in_chans = a.integer("in_chans", 3);
  c.num_classes = a.integer("num_classes", 0);
  c.embed_dim = a.integer("embed_dim", 0);
  c.depth = a.integer("depth", 0);
  c.num_heads = a.integer("num_heads", 0);
  c.ln_eps = a("layer_norm_eps");
  c.mlp_hidden = params.at("blocks.0.mlp.fc2.weight").size(1);
  c.ffn = params.at("blocks.0.mlp.fc1.weight").size(0) == 2 * c.mlp_hidden ? nn::Ffn::swiglu : nn::Ffn::mlp;
  c.qkv_bias = has("blocks.0.attn.qkv.bias");
  c.qk_norm = has("blocks.0.attn.q_norm.weight");
  c.layerscale_init = has("blocks.0.ls1.gamma") ? 1 : 0;
  c.class_token = has("cls_token");
  c.num_registers = has("reg_token") ? params.at("reg_token").size(1) : 0;
  c.mask_token = has("mask_token");
  c.pre_norm = has("norm_pre.weight");
  c.fc_norm = has("fc_norm.weight");
  c.pool = a.text("global_pool") == "avg" ? nn::Pool::avg : nn::Pool::token;
  const int64_t side = c.img_size / c.patch_size;
  c.pos_embed = pos_embed_kind(params.at("pos_embed").size(1), side * side, c.num_registers);
  c.pos_interp = path.starts_with("timm") ? PosInterp::size_antialias : PosInterp::scale_offset;
  return c;
}

// ---- expected outputs -----------------------------------------------------------------------------------------------

Tensor patches_of(const nn::VisionTransformer& model, const Tensor& tokens) {
  return tokens.slice(1, model.prefix_tokens(), tokens.size(1));
}

/// All kinds of outputs without gradient that a file may expect.
void add_inner_outputs(nn::VisionTransformer& model, const Tensor& images, const Tensor& masks, TensorMap& got) {
  const nn::VitConfig& c = model.config;
  got["prenorm"] = model.forward_blocks(images, masks).value();
  const std::vector<nn::Tokens> layers = model.intermediate_tokens(images, std::min<int64_t>(2, c.depth));
  for (size_t i = 0; i < layers.size(); ++i) {
    const Tensor patches = layers[i].patches.value();
    const Tensor all = core::concat({layers[i].prefix.value(), patches}, 1);
    const std::string index = std::to_string(i);
    got["intermediate_layers_" + index] = all;
    got["intermediate_" + index + "_cls"] = all.select(1, 0);  // the first patch of a model without a class token
    got["intermediate_" + index + "_patches"] = patches;
  }
  got["last_selfattention"] = model.last_self_attention(images);
  got["pos_embed"] = model.positions({images.size(2) / c.patch_size, images.size(3) / c.patch_size}).value();
}

Outcome run_vit(const Reader& file, const std::string& path, DType dtype) {
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const TensorMap params = to_ours(read_group(file, path + "/params", dtype));
  const Tensor masks = inputs.contains("masks") ? inputs.at("masks") : Tensor();
  nn::VisionTransformer model(nn::Scope(0, dtype), config_of(Attributes(file, path), path, params));
  nn::load_state(model, params, path);

  TensorMap got;
  add_inner_outputs(model, inputs.at("images"), masks, got);
  ag::Tape tape;
  const Var images = tape.input(inputs.at("images"));
  const Var tokens = model.forward_tokens(images, masks);
  // DINOv2's cases mask patches and add their mean square to the loss.
  const Var features = masks.defined() ? select(tokens, 1, 0) : model.features(images);
  const Var logits = model.classify(features);
  Var loss = ag::cross_entropy(logits, inputs.at("labels"));
  if (masks.defined()) {
    const Var patches = slice(tokens, 1, model.prefix_tokens(), tokens.size(1));
    loss = loss + 0.1 * mean(patches * patches);
  }
  tape.backward(loss);

  got["tokens"] = tokens.value();
  got["patches"] = patches_of(model, tokens.value());
  got["registers"] = tokens.value().slice(1, model.config.class_token ? 1 : 0, model.prefix_tokens());
  for (const char* name : {"pre_logits", "cls_features", "cls"}) got[name] = features.value();
  got["logits"] = logits.value();
  got["loss"] = loss.value();
  TensorMap grads;
  for (const std::string& name : file.names(path + "/params"))
    for (const ag::Parameter* p : model.parameters())
      if (p->name() == our_name(name) && p->grad().defined()) grads[name] = to_theirs(p->grad(), name);

  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  // A bias added to all keys cancels in the softmax, so its gradient is rounding noise.
  outcome.compare(grads, file, path + "/grads", dtype, kGradients, "k_norm.bias");
  if (file.contains(path + "/input_grads"))
    outcome.compare({{"images", tape.grad(images)}}, file, path + "/input_grads", dtype, kGradients);
  return outcome;
}

// ---- tables of positions --------------------------------------------------------------------------------------------

Grid square(int64_t rows) {
  const int64_t side = std::llround(std::sqrt(double(rows)));
  return {side, side};
}

/// Resizes inputs/pos_embed to the grid in the attributes of each output.
Outcome run_positions(const Reader& file, const std::string& path, DType dtype) {
  const Tensor table = read_group(file, path + "/inputs", dtype).at("pos_embed");  // [1, P + N, C]
  TensorMap got;
  for (const std::string& name : file.names(path + "/outputs")) {
    const std::string output = path + "/outputs/" + name;
    const Attributes a(file, output);
    const int64_t prefix = a.integer("num_prefix_tokens", 1);
    const Tensor patches = table.select(0, 0).slice(0, prefix, table.size(1));
    Grid to;
    if (a.has("new_size")) {
      const auto size = file.attribute<std::vector<int64_t>>(output, "new_size");
      to = {size.at(0), size.at(1)};
    } else {
      const int64_t patch = Attributes(file, path).integer("patch_size", 1);
      to = {a.integer("height", 0) / patch, a.integer("width", 0) / patch};
    }
    const PosInterp mode = a("offset", 0) != 0      ? PosInterp::scale_offset
                           : a("antialias", 0) != 0 ? PosInterp::size_antialias
                                                    : PosInterp::size;
    const Tensor resampled = core::resample_positions(patches, square(patches.size(0)), to, mode);
    got[name] = core::concat({table.select(0, 0).slice(0, 0, prefix), resampled}, 0).unsqueeze(0);
  }
  Outcome outcome;
  outcome.compare(got, file, path + "/outputs", dtype, kForward);
  return outcome;
}

/// DINOv2's gated feed-forward alone, with loss = sum(y w).
Outcome run_swiglu(const Reader& file, const std::string& path, DType dtype) {
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  TensorMap params;
  const auto ours = [](const std::string& name) { return our_name(".mlp." + name).substr(5); };
  for (const auto& [name, t] : read_group(file, path + "/params", dtype)) params[ours(name)] = t;
  const Tensor& out = params.at("fc2.weight");  // [dim, hidden]
  nn::SwiGLU model(nn::Scope(0, dtype), out.size(0), out.size(1));
  nn::load_state(model, params, path);

  ag::Tape tape;
  const Var x = tape.input(inputs.at("x")), w = tape.input(inputs.at("w"));
  const Var y = model(x), loss = sum(y * w);
  tape.backward(loss);
  TensorMap grads;
  for (const std::string& name : file.names(path + "/params"))
    for (const ag::Parameter* p : model.parameters())
      if (p->name() == ours(name)) grads[name] = p->grad();
  Outcome outcome;
  outcome.compare({{"y", y.value()}, {"loss", loss.value()}}, file, path + "/outputs", dtype, kForward);
  outcome.compare(grads, file, path + "/grads", dtype, kGradients);
  outcome.compare({{"x", tape.grad(x)}, {"w", tape.grad(w)}}, file, path + "/input_grads", dtype, kGradients);
  return outcome;
}

// ---- drop path ------------------------------------------------------------------------------------------------------

/// The dropped samples are random. So each sample goes alone through a layer whose draw is the expected one.
Outcome run_drop_path(const Reader& file, const std::string& path, DType dtype) {
  const TensorMap inputs = read_group(file, path + "/inputs", dtype);
  const Tensor &x = inputs.at("x"), &dy = inputs.at("dy");
  const std::vector<double> kept = inputs.at("keep_mask").to_vector();
  nn::DropPath layer(nn::Scope(0, dtype), Attributes(file, path)("drop_prob"));
  layer.train();

  std::vector<Tensor> y, dx;
  for (int64_t i = 0; i < x.size(0); ++i) {
    uint64_t seed = 0;
    const auto keeps = [&] {
      const ag::RandomScope random(seed, 0);
      return layer(ones({1, 1}, dtype)).value().item() != 0;
    };
    while (keeps() != (kept.at(size_t(i)) != 0)) ++seed;
    const ag::RandomScope random(seed, 0);
    ag::Tape tape;
    const Var sample = tape.input(x.slice(0, i, i + 1));
    const Var out = layer(sample);
    tape.backward(sum(out * dy.slice(0, i, i + 1)));
    y.push_back(out.value());
    dx.push_back(tape.grad(sample));
  }
  Outcome outcome;
  outcome.compare({{"y", core::concat(y, 0)}}, file, path + "/outputs", dtype, kForward);
  outcome.compare({{"x", core::concat(dx, 0)}}, file, path + "/input_grads", dtype, kGradients);
  return outcome;
}

/// "rate<rate>_depth<depth>": the probability of each block.
Outcome run_drop_path_rates(const Reader& file, const std::string& path, DType) {
  constexpr std::string_view kRate = "rate";
  const Tensor expected = file.read(path);
  const std::string name = path.substr(path.rfind('/') + 1);
  double rate = 0;
  const auto parsed = std::from_chars(name.data() + kRate.size(), name.data() + name.size(), rate);
  check<IoError>(name.starts_with(kRate) && parsed.ec == std::errc(), "drop_path_rates", "{} names no rate", path);
  nn::VisionTransformer model(nn::Scope().without_values(),
                              {.embed_dim = 1, .depth = expected.size(0), .num_heads = 1, .drop_path_rate = rate});
  std::vector<double> got;
  for (const nn::TransformerBlock& block : model.blocks) got.push_back(block.drop_path.p);
  Outcome outcome;
  outcome.add(relative_error(tensor(got, expected.shape()), expected), kForward.f32);  // theirs are computed in f32
  return outcome;
}

}  // namespace

std::vector<CaseKind> vit_kinds() {
  return {{"dino_vit", run_vit},
          {"dinov2_vit_", run_vit},
          {"timm_vit", run_vit},
          {"torchvision_vit", run_vit},
          {"dinov2_swiglu_ffn", run_swiglu},
          {"drop_path", run_drop_path},
          {"drop_path_rates/", run_drop_path_rates},
          {"dinov2_interpolate_pos", run_positions},
          {"timm_resample_abs_pos_embed", run_positions}};
}

}  // namespace vitrail::reference
