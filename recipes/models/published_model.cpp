#include "vitrail/recipes/models/published_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/text.h"
#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/timm_json.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/weights_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfig = "config.json", *kOpenClipConfig = "open_clip_config.json",
                     *kPreprocessor = "preprocessor_config.json", *kProcessor = "processor_config.json";
constexpr const char* kWeights[] = {"model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors"};
constexpr int64_t kMostJson = int64_t{1} << 24;

/// Files of Python's pickle and of NumPy. Loading a pickle file can run any code.
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

/// The files that lie beside weights, read with the same keys accepted.
struct Beside {
  fs::path folder;
  const std::vector<std::string>& accept_keys;

  bool has(const char* name) const { return fs::exists(folder / name); }
  std::string path(const char* name) const { return (folder / name).string(); }
  JsonObject object(const char* name) const { return JsonObject::read(folder / name, accept_keys); }
  std::string text(const char* name) const { return read_file(folder / name, kMostJson); }
};

/// Whether weights of this name belong to the folder that they lie in.
bool is_of_folder(const fs::path& weights) {
  return std::find(std::begin(kWeights), std::end(kWeights), weights.filename()) != std::end(kWeights);
}

/// The only .safetensors file of a folder, whatever its name. Nothing if there is none.
std::optional<fs::path> only_weights_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  check<ConfigError>(names.size() < 2, "weights", "{}: has {} files of weights and no {}; give one of {}",
                     folder.string(), names.size(), kWeights[0], joined(names));
  return names.empty() ? std::nullopt : std::optional(folder / names.front());
}

/// Reads the configuration beside the weights. Nothing if there is none. Where there are two, the name of the weights
/// says which is theirs; open_clip reads weights of any name.
std::optional<HubConfig> config_beside(const fs::path& weights, const Beside& beside) {
  const bool named_so = weights.filename().string().starts_with("open_clip_");
  if (beside.has(kOpenClipConfig) && (named_so || !beside.has(kConfig)))
    return parse_open_clip_config(beside.text(kOpenClipConfig), beside.path(kOpenClipConfig), beside.accept_keys);
  if (!beside.has(kConfig)) return std::nullopt;
  return parse_config(beside.text(kConfig), beside.path(kConfig), beside.accept_keys);
}

/// Reads how images are prepared from the file of an image processor. timm's has the keys of its config.json.
Preprocessing parse_processor(const JsonObject& c, const nn::Layout& layout) {
  return c.has("pretrained_cfg") ? parse_timm_preprocessing(c.object("pretrained_cfg")) : parse_preprocessor(c, layout);
}

/// Reads how images are prepared from the files beside the weights. Nothing if none of them says it.
std::optional<Preprocessing> preprocessing_beside(const Beside& beside, PublishedModel& model) {
  std::optional<Preprocessing> found;
  const auto take = [&](const JsonObject& c) {
    found = parse_processor(c, *model.layout);
    for (std::string& note : c.notes()) model.notes.push_back(std::move(note));
  };
  if (beside.has(kPreprocessor)) take(beside.object(kPreprocessor));
  if (!beside.has(kProcessor)) return found;
  // Since version 5 transformers keeps all processors in one file, and prefers it.
  const JsonObject c = beside.object(kProcessor);
  if (!c.has("image_processor")) return found;
  const std::optional<Preprocessing> older = found;
  take(c.object("image_processor"));
  if (older && !(older == found))
    model.notes.push_back(
        fmt::format("{} and {} differ; the first one is followed, as by transformers", kProcessor, kPreprocessor));
  return found;
}

/// Takes the architecture from the configuration if it has one, else infers it from the weights.
std::shared_ptr<const Architecture> find_architecture(const PublishedModel& model,
                                                      const std::optional<HubConfig>& config,
                                                      const nn::Unwritten& unwritten) {
  const std::string source = model.source.string();
  const ModelFamily& family = model_family(model.layout->family);
  if (config && config->layout)
    check<IoError>(config->layout->family == family.family, "load",
                   "{}: the configuration beside it is of the family {}, the weights are of the family {}", source,
                   model_family(config->layout->family).name, family.name);
  if (!config || !config->architecture) return family.from_weights(model.weights, *model.layout, source, unwritten);
  return config->architecture->completed(model.weights, *model.layout, source, unwritten);
}

nn::Unwritten stated_by(const HubConfig& config) {
  return config.architecture ? config.unwritten.or_else(config.architecture->unwritten()) : config.unwritten;
}

/// Images are read as red, green and blue.
void check_channels(const PublishedModel& model) {
  constexpr int64_t kChannels = 3;
  const int64_t channels = model.architecture->vision().in_chans;
  check<IoError>(channels == kChannels, "load",
                 "{}: its patches have {} channels; models here read images of {}: red, green and blue",
                 model.source.string(), channels, kChannels);
}

/// Throws IoError for the first setting of the configuration that is not that of the weights.
void check_stated(const PublishedModel& model, const HubConfig& config) {
  for (const auto& [key, value, in_weights, tolerance] : config.stated) {
    const double found = in_weights(*model.architecture);
    check<IoError>(std::abs(found - value) <= tolerance, "load",
                   "{}: the configuration beside it has '{}' {}, the weights have {}; to go by the weights: "
                   "--accept-key {}",
                   model.source.string(), key, value, found, key.substr(0, key.find_first_of("[ ")));
  }
}

/// The heads that go with the name of an architecture, if the weights have its width.
void take_named_heads(PublishedModel& model, const HubConfig& config, nn::Unwritten& unwritten) {
  if (!config.named || unwritten.num_heads) return;
  const auto patches = model.weights.find("patch_embed.proj.weight");
  const int64_t width = patches == model.weights.end() || patches->second.rank() == 0 ? 0 : patches->second.size(0);
  if (width == config.named->width)
    unwritten.num_heads = config.named->num_heads;
  else
    model.notes.push_back(fmt::format("{} has a width of {}, the weights have {}: its heads are not theirs",
                                      config.named->name, config.named->width, width));
}

/// Notes F16 weights beside others: they are written as F32 again. A model in F16 alone is written as it was.
void set_floats(PublishedModel& model, const safetensors::Reader& file, const std::vector<std::string>& taken) {
  const auto halves = std::count_if(taken.begin(), taken.end(), [&](auto& name) { return file.dtype(name) == "F16"; });
  if (halves == int64_t(taken.size()) && halves > 0)
    model.floats = safetensors::Floats::f16;
  else if (halves > 0)
    model.notes.push_back(std::to_string(halves) +
                          " of its weights are F16 and become F32: the same numbers in twice "
                          "the bytes");
}

/// Says what nothing states and what was taken instead. OpenAI's and open_clip's weights have the same names but
/// different activations.
void note_guesses(PublishedModel& model, const nn::Unwritten& said) {
  const nn::VitConfig& v = model.architecture->vision();
  const nn::TextConfig* const text = model.architecture->text();
  std::vector<std::string> guesses;
  if (!said.num_heads) guesses.push_back(fmt::format("{} heads", v.num_heads));
  if (text && !said.text_num_heads) guesses.push_back(fmt::format("{} heads for texts", text->num_heads));
  if (!said.ln_eps) guesses.push_back(fmt::format("eps {} in norms", v.ln_eps));
  if (!said.gelu && v.ffn == nn::Ffn::mlp) guesses.push_back("activation " + gelu_title(v.gelu));
  if (guesses.empty()) return;
  std::string note =
      fmt::format("nothing says these settings; as is usual for {}: {}", model.layout->title, joined(guesses));
  if (text && !said.gelu) {
    const bool quick = v.gelu == ag::Gelu::quick;
    note += fmt::format("; the layout {} is for {}", quick ? "open_clip" : "openai_clip", quick ? "GELU" : "QuickGELU");
  }
  model.notes.push_back(std::move(note));
}

/// Finds how images are prepared, and says where it had to be assumed and where it does not fit the positions.
void find_preprocessing(PublishedModel& model, const std::optional<Preprocessing>& said) {
  const nn::VitConfig& v = model.architecture->vision();
  model.preprocessing = said ? *said : published_preprocessing(*model.layout, v.img_size);
  if (!said)
    model.notes.push_back("nothing says how images are prepared; as is usual for " + std::string(model.layout->title) +
                          ": " + model.preprocessing.text());
  const int64_t side = model.preprocessing.img_size();
  if (side != v.img_size)
    model.notes.push_back(
        fmt::format("images are prepared at {0} x {0}, but the model's positions are for {1} x {1}: "
                    "they are resampled by the rule '{2}'",
                    side, v.img_size, name_of(v.pos_interp)));
}

/// Finds the vocabulary beside the weights of a CLIP. no_texts: why it cannot be used, or empty. Throws IoError if it
/// is damaged or does not fit the text tower.
void find_vocabulary(PublishedModel& model, const Beside& beside, const std::string& no_texts) {
  const nn::TextConfig* const text = model.architecture->text();
  if (!text) return;
  if (!no_texts.empty()) {
    model.vocabulary = [no_texts]() -> data::Vocabulary { fail<ConfigError>("vocabulary", "{}", no_texts); };
    return;
  }
  const bool merges = beside.has("merges.txt");
  if (!merges && !beside.has("tokenizer.json")) return;
  std::optional<data::Vocabulary> vocabulary;
  try {
    vocabulary = data::Vocabulary::read(beside.folder);
  } catch (const ConfigError&) {  // of a kind that is not built; images can be used
    model.vocabulary = [error = std::current_exception()]() -> data::Vocabulary { std::rethrow_exception(error); };
    return;
  }
  const std::string file = merges ? "merges.txt" : "tokenizer.json";
  if (vocabulary->size() != text->vocab_size && !is_of_folder(model.source)) {
    model.notes.push_back(fmt::format("{} beside it has {} symbols, the table of the text tower {}: it is not read",
                                      file, vocabulary->size(), text->vocab_size));
    return;
  }
  check<IoError>(vocabulary->size() == text->vocab_size, "vocabulary",
                 "{}: the vocabulary beside it has {} symbols, the table of the text tower {}: they do not belong "
                 "together (images alone can be used without {})",
                 model.source.string(), vocabulary->size(), text->vocab_size, file);
  if (merges && !beside.has("vocab.json"))
    model.notes.emplace_back("no vocab.json says the ids of symbols: they follow from the order of merges.txt");
  model.vocabulary = [vocabulary = std::make_shared<const data::Vocabulary>(std::move(*vocabulary))] {
    return *vocabulary;
  };
}

/// If a whole CLIP is described and its image tower alone has weights, the configuration becomes that of the tower.
void take_tower_alone(HubConfig& config, const std::vector<std::string>& names, std::vector<std::string>& notes) {
  const nn::Layout* const found = nn::find_layout(names);
  if (config.layout != &nn::layout_named("hf_clip") || !found || found->name != "hf_clip_vision") return;
  config.layout = found;
  config.architecture = vit_architecture(config.architecture->vision());
  notes.emplace_back("the text tower has no weights: the image tower is opened alone");
}

/// Names that are not one for each output are of no use, and a note says so.
void check_class_names(PublishedModel& model) {
  const auto names = int64_t(model.classes.size()), outputs = model.architecture->num_classes();
  if (names == outputs) return;
  if (names > 0 && outputs > 0)
    model.notes.push_back(
        fmt::format("there are {} names of classes for {} outputs: they are not used", names, outputs));
  model.classes.clear();
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
  if (fs::exists(path / "checkpoints")) return std::nullopt;  // the folder of a training run
  if (auto file = only_weights_in(path)) return file;
  for (const auto& entry : fs::directory_iterator(path))
    if (is_foreign(entry.path())) refuse_foreign(entry.path());
  check<ConfigError>(!fs::exists(path / kConfig), "weights", "{}: has a config.json, but no model.safetensors",
                     path.string());
  return std::nullopt;
}

nn::Unwritten stated_beside(const fs::path& weights, const std::vector<std::string>& accept_keys,
                            std::vector<std::string>& notes) {
  if (!is_of_folder(weights)) return {};
  const std::optional<HubConfig> config = config_beside(weights, {weights.parent_path(), accept_keys});
  if (!config) return {};
  notes.insert(notes.end(), config->notes.begin(), config->notes.end());
  return stated_by(*config);
}

std::vector<std::string> published_classes(const fs::path& weights, const std::vector<std::string>& accept_keys) {
  try {
    const std::optional<HubConfig> config = config_beside(weights, {weights.parent_path(), accept_keys});
    if (config && !config->classes.empty()) return config->classes;
  } catch (const Error&) {  // of a model that is not ours: its weights may still serve
  }
  return classes_in(safetensors::Reader(weights).metadata(), weights.string());
}

PublishedModel read_published_model(const fs::path& path, const PublishedOptions& options) {
  const auto weights = published_weights(path);
  check<ConfigError>(weights.has_value(), "weights",
                     "{}: neither safetensors, nor a folder with config.json and model.safetensors", path.string());
  if (is_adapter(*weights)) return read_adapted_model(*weights, options);
  PublishedModel model;
  model.source = *weights;
  const Beside beside{model.source.parent_path(), options.accept_keys};
  const bool folder = fs::is_directory(path) || is_of_folder(model.source);
  std::optional<HubConfig> config;
  if (folder) config = config_beside(model.source, beside);
  const safetensors::Reader file(model.source);
  if (config) take_tower_alone(*config, file.names(), model.notes);
  model.layout = options.layout             ? options.layout
                 : config && config->layout ? config->layout
                                            : &nn::recognise(file.names(), model.source.string());
  nn::Converted converted = read_in_layout(file, *model.layout, {.network = options.network, .training_head = false});
  model.weights = std::move(converted.weights);
  for (std::string& note : converted.notes) model.notes.push_back(std::move(note));
  set_floats(model, file, converted.taken);

  nn::Unwritten said = options.unwritten;
  if (config) said = said.or_else(stated_by(*config));
  said = said.or_else(unwritten_in(file.metadata(), model.source.string()));
  if (config) take_named_heads(model, *config, said);
  model.architecture = find_architecture(model, config, said);
  if (config) check_stated(model, *config);
  check_channels(model);
  note_guesses(model, said);

  std::optional<Preprocessing> preprocessing;
  const bool by_open_clip = config && config->layout == &nn::layout_named("open_clip");  // it reads no other file
  if (folder && !by_open_clip) preprocessing = preprocessing_beside(beside, model);
  if (!preprocessing && config) preprocessing = config->preprocessing;
  find_preprocessing(model, preprocessing);
  if (config) {
    model.classes = config->classes;
    model.notes.insert(model.notes.end(), config->notes.begin(), config->notes.end());
  }
  if (model.classes.empty()) model.classes = classes_in(file.metadata(), model.source.string());
  check_class_names(model);
  find_vocabulary(model, beside, config ? config->no_texts : "");
  return model;
}

}  // namespace vitrail::recipes
