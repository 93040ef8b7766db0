#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/build/freeze.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <system_error>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

using Names = std::set<std::string>;

constexpr std::string_view kWeightEnd = ".weight", kLoraAEnd = ".lora_a", kPeftLoraA = ".lora_A.weight";

/// The name of the module of a weight or bias: "classifier" of "classifier.bias".
std::string module_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

/// "target_modules": ends of names, as PEFT compares them, or the whole name where the end would name others too.
Names target_modules(const Names& adapted, const Names& all) {
  Names targets;
  for (const std::string& module : adapted) {
    const std::string end = end_of_name(module);
    const bool others = std::any_of(all.begin(), all.end(), [&](const std::string& other) {
      return (other == end || other.ends_with("." + end)) && !adapted.contains(other);
    });
    targets.insert(others ? module : end);
  }
  return targets;
}

/// A whole number is written as one.
Json alpha_json(double value) { return value == std::floor(value) ? Json(int64_t(value)) : Json(value); }

std::string adapter_config_json(const PeftFolder& adapter, const Names& targets) {
  const LoraSection& lora = adapter.settings;
  const auto list = [](const Names& names) { return Json(std::vector<std::string>(names.begin(), names.end())); };
  return Json::object({{"peft_type", "LORA"},
                       {"base_model_name_or_path", adapter.base},
                       {"task_type", adapter.task_type.empty() ? Json(nullptr) : Json(adapter.task_type)},
                       {"inference_mode", true},
                       {"r", lora.rank},
                       {"lora_alpha", alpha_json(lora.alpha)},
                       {"lora_dropout", lora.dropout},
                       {"use_rslora", lora.use_rslora},
                       {"target_modules", list(targets)},
                       {"modules_to_save", adapter.saved.empty() ? Json(nullptr) : list(adapter.saved)},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"init_lora_weights", true},
                       {"use_dora", false}})
             .text(2) +
         "\n";
}

}  // namespace

void PeftFolder::adapt(const std::string& module, const Tensor& lora_a, const Tensor& lora_b) {
  weights[module + std::string(kPeftLoraA)] = lora_a;
  weights[module + ".lora_B.weight"] = lora_b.contiguous();
}

std::vector<fs::path> PeftFolder::write(const fs::path& folder, const safetensors::Metadata& metadata) const {
  TensorMap tensors;
  Names adapted;
  for (const auto& [name, value] : weights) {
    tensors["base_model.model." + name] = value;
    if (name.ends_with(kPeftLoraA)) adapted.insert(name.substr(0, name.size() - kPeftLoraA.size()));
  }
  std::error_code error;
  fs::create_directories(folder, error);
  check<WriteError>(!error, "adapter", "{}: cannot make the folder: {}", folder.string(), error.message());
  std::vector<fs::path> files = {folder / "adapter_model.safetensors", folder / "adapter_config.json"};
  safetensors::save(files[0], tensors, metadata);
  durable_write(files[1], adapter_config_json(*this, target_modules(adapted, all)));
  return files;
}

WrittenModel write_adapter(const OpenModel& model, std::string_view layout_name, const fs::path& out,
                           nn::NamesOf which) {
  check<ConfigError>(model.adapters.has_value(), "convert", "{} is no run with LoRA (lora.rank): it has no adapter",
                     model.source.string());
  const OpenAdapters& adapters = *model.adapters;
  const PublishedModel published = to_published(model);
  const nn::Layout& layout = layout_for(published, layout_name);
  const auto names_of = [&](const std::string& ours, nn::NamesOf of) {
    return nn::names_in_layout(layout, ours, published.weights, of);
  };
  PeftFolder peft{.base = adapters.base, .settings = adapters.settings};
  WrittenModel written;
  for (const auto& [name, a] : adapters.weights) {
    if (!name.ends_with(kLoraAEnd)) continue;
    const std::string layer = name.substr(0, name.size() - kLoraAEnd.size());
    const std::vector<std::string> names = names_of(layer + ".weight", which);
    const bool modules = std::all_of(names.begin(), names.end(), [](auto& n) { return n.ends_with(kWeightEnd); });
    check<ConfigError>(!names.empty() && modules, "layout", "models of {} have no linear layer for the adapter of '{}'",
                       layout.title, layer);
    const Tensor& b = adapters.weights.at(layer + ".lora_b");
    const int64_t rows = b.size(0) / int64_t(names.size());
    for (size_t i = 0; i < names.size(); ++i)
      peft.adapt(module_of(names[i]), a, b.slice(0, int64_t(i) * rows, int64_t(i + 1) * rows));
  }
  const nn::Converted converted = nn::to_layout(layout, published.weights);
  for (const auto& [ours, value] : published.weights) {
    const std::vector<std::string> names = names_of(ours, which);
    if (value.rank() == 2)
      for (const std::string& name : names)
        if (name.ends_with(kWeightEnd)) peft.all.insert(module_of(name));
    if (!any_matches(adapters.settings.train, ours)) continue;
    const std::vector<std::string> in_files = names_of(ours, nn::NamesOf::files);
    for (size_t i = 0; i < names.size(); ++i) {
      const bool in_module = names[i].ends_with(kWeightEnd) || names[i].ends_with(".bias");
      if (in_module) {
        peft.weights[names[i]] = converted.weights.at(in_files[i]).contiguous();
        peft.saved.insert(module_of(names[i]));
      }
      if (!in_module) written.notes.push_back(ours + " is trained and left out: PEFT saves whole modules only");
    }
  }
  written.files = peft.write(out, to_metadata(model.architecture->unwritten(), model.classes));
  written.notes.push_back(
      fmt::format("rank {} on {} layers of {}", adapters.settings.rank, adapters.weights.size() / 2, adapters.base));
  return written;
}

}  // namespace vitrail::recipes
