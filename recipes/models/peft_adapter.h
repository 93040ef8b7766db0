// Adapters alone, in the folders of Hugging Face PEFT: adapter_config.json and adapter_model.safetensors. An adapter
// changes the weights of a base model, which lies elsewhere.
#pragma once

#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/build/lora.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {
class ModuleBase;
}

namespace vitrail::recipes {

class Config;
struct OpenModel;

/// An adapter under our names and in our shapes. Where PEFT adapts queries, keys and values one by one, the packed
/// layer gets them side by side: lora_a has the rows of all three, and each has its own columns of lora_b. If all three
/// have one lora_A, as those of a run here have, the packed layer has it too.
struct PeftAdapter {
  std::filesystem::path source;      // the folder
  std::string base;                  // the base model as the file names it; may be empty, or no folder here
  nn::LoraConfig config;             // with the largest rank of any layer, and an alpha that gives the file's scale
  std::vector<std::string> targets;  // ends of the names of the adapted layers: "attn.qkv"
  TensorMap weights;                 // "blocks.0.attn.qkv.lora_a" [rank, in], ".lora_b" [out, rank]

  /// Rows that the adapter brings whole: of a classifier, or of biases.
  struct Whole {
    std::string name;
    size_t part, parts;  // the rows are part `part` of `parts`
    Tensor value;
  };
  std::vector<Whole> whole;
  std::vector<std::string> classes;  // names of the classifier's outputs, if the file was written here
  std::vector<std::string> notes;
};

/// "attn.qkv" of "visual.blocks.3.attn.qkv": the text after the number of the block.
std::string end_of_name(const std::string& layer);
/// Whether path is a folder of PEFT, or the file of its weights.
bool is_adapter(const std::filesystem::path& path);
/// model: the base's weights under our names, which decide between layouts that share names; null: any layout.
/// accept_keys: keys of adapter_config.json to pass over.
/// Throws: IoError if the folder lacks a file, if a key asks for more than LoRA (naming it), or if names or shapes of
/// the weights fit no layout or not each other.
PeftAdapter read_adapter(const std::filesystem::path& folder, const TensorMap* model = nullptr,
                         const std::vector<std::string>& accept_keys = {});

/// The base model of an adapter: base if it is not empty, else what adapter_config.json names, from here or from the
/// adapter. Throws ConfigError if there is none, or if it is an adapter, too.
std::filesystem::path base_of_adapter(const std::filesystem::path& adapter, const std::string& base = "");
/// The same without errors: nothing if there is none here.
std::optional<std::filesystem::path> find_base(const std::filesystem::path& adapter, const std::string& base = "");

/// The base model with the adapter in this folder added to its weights. The base is options.base, or the folder that
/// adapter_config.json names: from here, or from the adapter. Throws ConfigError if there is no such folder; also as
/// read_adapter and open_model.
PublishedModel read_adapted_model(const std::filesystem::path& folder, const PublishedOptions& options);

/// Adds the adapter in a folder to the weights of its base, which are under our names and keep their types. For
/// decoders, alone or in a model that sees. Adds a line to notes.
/// Throws IoError as read_adapter, and for a whole weight of another shape than the model's.
void add_adapter(TensorMap& weights, const std::filesystem::path& folder, const std::vector<std::string>& accept_keys,
                 std::vector<std::string>& notes);

/// The key lora.init of a recipe: gives lora.rank, alpha, dropout, use_rslora and targets the values of the adapter
/// unless the user chose them. Adds a line to notes.
void settle_adapter(Config& config, std::vector<std::string>& notes);
/// Copies an adapter into those of a model. A larger rank of the model is filled with its own initial values, which
/// change nothing yet. Throws: ConfigError for a smaller rank, or a layer without an adapter; IoError as read_adapter.
void load_adapter(nn::ModuleBase& model, const std::filesystem::path& folder,
                  const std::vector<std::string>& accept_keys, std::vector<std::string>& notes);

/// An adapter as PEFT has it. Names are those of the modules in the base, without "base_model.model.".
struct PeftFolder {
  std::string base;            // base_model_name_or_path
  std::string task_type = {};  // "CAUSAL_LM"; empty: none
  LoraSection settings;        // of the run
  TensorMap weights = {};      // "model.layers.0.self_attn.q_proj.lora_A.weight"; whole weights under their own names
  std::set<std::string> saved = {};  // modules_to_save: those whose weights are in the file whole
  std::set<std::string> all = {};  // all linear layers, of which the ends in target_modules must name the adapted ones

  /// Takes the adapter of one linear layer.
  void adapt(const std::string& module, const Tensor& lora_a, const Tensor& lora_b);
  /// Writes adapter_config.json and adapter_model.safetensors. Throws WriteError if a file cannot be written.
  std::vector<std::filesystem::path> write(const std::filesystem::path& folder,
                                           const safetensors::Metadata& metadata = {{"format", "pt"}}) const;
};

/// Writes the adapters of a run with LoRA, and what lora.train names, under the layout's names of modules. layout: as
/// for write_model. names: transformers 4 has modules called as in files, transformers 5 others.
/// Throws ConfigError for a run without adapters, and as write_model; WriteError if a file cannot be written.
WrittenModel write_adapter(const OpenModel& model, std::string_view layout, const std::filesystem::path& out,
                           nn::NamesOf names);

}  // namespace vitrail::recipes
