#include "vitrail/recipes/models/published_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/run/recipe.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfig = "config.json", *kOpenClipConfig = "open_clip_config.json",
                     *kPreprocessor = "preprocessor_config.json";
constexpr const char* kWeights[] = {"model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors"};
constexpr int64_t kMostJson = int64_t{1} << 24;

/// Files that are programs for Python's unpickler, or archives of NumPy.
constexpr std::string_view kForeign[] = {".pth", ".pt", ".bin", ".ckpt", ".pkl", ".npz"};

bool is_foreign(const fs::path& path) {
  const std::string extension = path.extension().string();
  return std::find(std::begin(kForeign), std::end(kForeign), extension) != std::end(kForeign);
}

[[noreturn]] void refuse_foreign(const fs::path& file) {
  fail<ConfigError>("weights",
                    "{}: only safetensors are read; the ten lines of Python in docs/weights.md make one of it",
                    file.string());
}

/// What the files beside the weights say; nothing if there are none.
std::optional<HubConfig> config_beside(const fs::path& weights) {
  const fs::path folder = weights.parent_path();
  if (std::find(std::begin(kWeights), std::end(kWeights), weights.filename()) == std::end(kWeights))
    return std::nullopt;
  const auto parse = [&](const char* name, auto function) {
    return function(read_file(folder / name, kMostJson), (folder / name).string());
  };
  if (fs::exists(folder / kOpenClipConfig) && weights.filename() == kWeights[2])
    return parse(kOpenClipConfig, parse_open_clip_config);
  if (!fs::exists(folder / kConfig)) return std::nullopt;
  HubConfig config = parse(kConfig, parse_config);
  if (fs::exists(folder / kPreprocessor))
    config.preprocessing = parse_preprocessor(read_file(folder / kPreprocessor, kMostJson),
                                              (folder / kPreprocessor).string(), *config.layout);
  return config;
}

nn::Unwritten merged(nn::Unwritten preferred, const nn::Unwritten& otherwise) {
  const auto fill = [](auto& field, const auto& other) {
    if (!field) field = other;
  };
  fill(preferred.num_heads, otherwise.num_heads);
  fill(preferred.text_num_heads, otherwise.text_num_heads);
  fill(preferred.ln_eps, otherwise.ln_eps);
  fill(preferred.gelu, otherwise.gelu);
  return preferred;
}

/// What config.json leaves to the weights, and what must be the same in both before a model is built.
void complete(nn::VitConfig& said, const nn::VitConfig& shapes, const std::string& where) {
  const auto agree = [&](const char* what, int64_t a, int64_t b) {
    check<IoError>(a == b, "load", "{}: the configuration has {} {}, the weights have {}", where, what, a, b);
  };
  agree("a width of", said.embed_dim, shapes.embed_dim);
  agree("a feed-forward width of", said.mlp_hidden, shapes.mlp_hidden);
  agree("a patch size of", said.patch_size, shapes.patch_size);
  agree("input channels:", said.in_chans, shapes.in_chans);
  agree("an image size of", said.img_size, shapes.img_size);
  agree("registers:", said.num_registers, shapes.num_registers);
  said.num_classes = shapes.num_classes;
  said.head_bias = shapes.head_bias;
  said.pool = shapes.pool;
  said.mask_token = shapes.mask_token;
}

void complete(nn::ClipConfig& said, const nn::ClipConfig& shapes, const std::string& where) {
  const nn::VitConfig of_both = said.vision;
  complete(said.vision, shapes.vision, where);
  said.vision.num_classes = of_both.num_classes;
  const auto agree = [&](const char* what, int64_t a, int64_t b) {
    check<IoError>(a == b, "load", "{}: the configuration of the text has {} {}, the weights have {}", where, what, a,
                   b);
  };
  agree("a width of", said.text.embed_dim, shapes.text.embed_dim);
  agree("words:", said.text.vocab_size, shapes.text.vocab_size);
  agree("a context of", said.text.context_length, shapes.text.context_length);
  agree("an output width of", said.text.out_dim, shapes.text.out_dim);
}

/// What a configuration says that weights do not.
nn::Unwritten unwritten_in(const HubConfig& config) {
  nn::Unwritten unwritten = config.unwritten;
  if (!config.architecture) return unwritten;
  const auto* const clip = std::get_if<nn::ClipConfig>(&*config.architecture);
  unwritten.num_heads = clip ? clip->vision.num_heads : std::get<nn::VitConfig>(*config.architecture).num_heads;
  if (clip) unwritten.text_num_heads = clip->text.num_heads;
  return unwritten;
}

/// The architecture as the configuration has it, or else as the weights do.
void find_architecture(PublishedModel& model, const std::optional<HubConfig>& config, const nn::Unwritten& unwritten) {
  const std::string source = model.source.string();
  const auto find = [&](auto of_weights) {
    auto shapes = of_weights(model.weights, *model.layout, source, unwritten);
    using Config = decltype(shapes);
    if (config && config->architecture) {
      check<IoError>(std::holds_alternative<Config>(*config->architecture), "load",
                     "{}: the configuration beside it is of another kind of model than its weights", source);
      auto said = std::get<Config>(*config->architecture);
      complete(said, shapes, source);
      model.architecture = said;
    } else {
      model.architecture = shapes;
    }
  };
  if (model.layout->family == nn::Family::clip)
    find([](const auto&... a) { return nn::clip_config(a...); });
  else
    find([](const auto&... a) { return nn::vit_config(a...); });
}

/// OpenAI's layout and open_clip's are the same; what activation a file without a configuration has is a guess.
void note_activation(PublishedModel& model, const nn::Unwritten& unwritten) {
  if (!model.is_clip() || unwritten.gelu) return;
  const bool quick = model.vision().gelu == ag::Gelu::quick;
  model.notes.push_back("the file does not say its activation: taken as " +
                        std::string(quick ? "QuickGELU, OpenAI's" : "GELU, open_clip's") + "; the layout " +
                        (quick ? "open_clip is for GELU" : "openai_clip is for QuickGELU"));
}

}  // namespace

std::optional<fs::path> published_weights(const fs::path& path) {
  check<ConfigError>(fs::exists(path), "weights", "{}: no such file or folder", path.string());
  const std::string name = path.filename().string();
  if (!fs::is_directory(path)) {
    if (is_foreign(path)) refuse_foreign(path);
    if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) return path;
    return std::nullopt;
  }
  for (const char* file : kWeights)
    if (fs::exists(path / file)) return path / file;
  if (fs::exists(path / "checkpoints")) return std::nullopt;  // a run
  for (const auto& entry : fs::directory_iterator(path))
    if (is_foreign(entry.path())) refuse_foreign(entry.path());
  check<ConfigError>(!fs::exists(path / kConfig), "weights", "{}: has a config.json, but no model.safetensors",
                     path.string());
  return std::nullopt;
}

PublishedModel read_published_model(const fs::path& path, const PublishedOptions& options) {
  const auto weights = published_weights(path);
  check<ConfigError>(weights.has_value(), "weights",
                     "{}: neither safetensors, nor a folder with config.json and model.safetensors", path.string());
  PublishedModel model;
  model.source = *weights;
  const std::optional<HubConfig> config = config_beside(model.source);
  const safetensors::Reader file(model.source);
  model.layout = options.layout ? options.layout
                 : config       ? config->layout
                                : &nn::recognise(file.names(), model.source.string());
  nn::Converted converted = nn::from_layout(*model.layout, file.read_all());
  model.weights = std::move(converted.weights);
  model.notes = std::move(converted.notes);
  nn::Unwritten unwritten = options.unwritten;
  if (config) unwritten = merged(unwritten, unwritten_in(*config));
  unwritten = merged(unwritten, unwritten_in(file.metadata(), model.source.string()));
  find_architecture(model, config, unwritten);
  if (!config) note_activation(model, unwritten);

  const bool said = config && config->preprocessing;
  model.preprocessing = said ? *config->preprocessing : published_preprocessing(*model.layout, model.vision().img_size);
  if (!said)
    model.notes.push_back("nothing says how images are prepared; as is usual for " + std::string(model.layout->title) +
                          ": " + model.preprocessing.text());
  if (config) model.classes = config->classes;
  if (int64_t(model.classes.size()) != model.vision().num_classes || model.is_clip()) model.classes.clear();
  const fs::path folder = model.source.parent_path();
  if (model.is_clip() && fs::exists(folder / "merges.txt"))
    model.vocabulary = [folder] { return data::Vocabulary::read(folder); };
  return model;
}

std::unique_ptr<nn::VisionTransformer> build_vit(const PublishedModel& model) {
  const auto* config = std::get_if<nn::VitConfig>(&model.architecture);
  check<ConfigError>(config, "weights", "{}: is a CLIP, not an image model alone", model.source.string());
  auto vit = std::make_unique<nn::VisionTransformer>(nn::Scope().without_values(), *config);
  nn::share_state(*vit, model.weights, *model.layout, model.source.string());
  vit->eval();
  return vit;
}

std::unique_ptr<nn::Clip> build_clip(const PublishedModel& model) {
  const auto* config = std::get_if<nn::ClipConfig>(&model.architecture);
  check<ConfigError>(config, "weights", "{}: is an image model, not a CLIP", model.source.string());
  auto clip = std::make_unique<nn::Clip>(nn::Scope().without_values(), *config);
  nn::share_state(*clip, model.weights, *model.layout, model.source.string());
  clip->eval();
  return clip;
}

std::unique_ptr<nn::VisionTransformer> build_vision(const PublishedModel& model) {
  if (!model.is_clip()) return build_vit(model);
  auto tower = std::make_unique<nn::VisionTransformer>(nn::Scope().without_values(), model.vision());
  nn::share_state(*tower, without_prefix(model.weights, "visual."), model.source.string());
  tower->eval();
  return tower;
}

}  // namespace vitrail::recipes
