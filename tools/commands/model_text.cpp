#include "tools/commands/model_text.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>

namespace vitrail::tools {

std::string describe(const recipes::PublishedModel& model) {
  int64_t parameters = 0;
  for (const auto& [name, t] : model.weights) parameters += t.numel();
  const nn::VitConfig& v = model.vision();
  std::string text =
      fmt::format("{}: {} blocks of width {}, {} heads, images of {}, patches of {}", model.is_clip() ? "CLIP" : "ViT",
                  v.depth, v.embed_dim, v.num_heads, v.img_size, v.patch_size);
  if (v.num_registers > 0) text += fmt::format(", {} registers", v.num_registers);
  if (v.ffn == nn::Ffn::swiglu) text += ", SwiGLU";
  if (v.distilled) text += ", a distillation token";
  if (const auto* clip = std::get_if<nn::ClipConfig>(&model.architecture))
    text += fmt::format("; texts: {} blocks of width {}, {} heads, {} words; together {}", clip->text.depth,
                        clip->text.embed_dim, clip->text.num_heads, clip->text.vocab_size, clip->text.out_dim);
  else if (v.num_classes > 0)
    text += fmt::format(", {} classes", v.num_classes);
  return text + fmt::format("; {} parameters", parameters);
}

void print_written(const recipes::WrittenModel& written) {
  for (const std::filesystem::path& file : written.files)
    fmt::print("wrote {} ({} bytes)\n", file.string(), std::filesystem::file_size(file));
  for (const std::string& note : written.notes) fmt::print("note: {}\n", note);
}

}  // namespace vitrail::tools
