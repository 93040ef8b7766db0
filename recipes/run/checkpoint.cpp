#include "vitrail/recipes/run/checkpoint.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/ops.h"

#include <cstring>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr int64_t kVersion = 1;
constexpr const char *kVersionName = "checkpoint_version", *kRecipeName = "recipe";
constexpr const char* kClasses = "classes";  // u8, each name with a zero after it; not in files of version 0.1.0
constexpr int64_t kBytesPerObject = 512;     // about what HDF5 adds for each tensor

/// The name of a tensor that is not finite though it must be; empty if there is none. Numbers of the loop are f64 and
/// may be infinite, like a best score before the first evaluation.
std::string find_non_finite(const TensorMap& tensors) {
  for (const auto& [name, t] : tensors)
    if ((t.dtype() == DType::f32 || t.dtype() == DType::bf16) && !core::all_finite(t)) return name;
  return "";
}

Tensor to_tensor(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + '\0';
  Tensor bytes = Tensor::empty({int64_t(text.size())}, DType::u8);
  std::memcpy(bytes.raw(), text.data(), text.size());
  return bytes;
}

std::vector<std::string> to_names(const Tensor& bytes) {
  std::vector<std::string> names;
  std::string name;
  for (const uint8_t byte : bytes.span<uint8_t>()) {
    if (byte != 0)
      name += char(byte);
    else
      names.push_back(std::exchange(name, {}));
  }
  return names;
}

void read_group(const hdf5::Reader& file, const std::string& group, TensorMap& tensors) {
  for (const std::string& name : file.names(group)) {
    const std::string path = group.empty() ? name : group + "/" + name;
    if (file.is_group(path))
      read_group(file, path, tensors);
    else
      tensors.emplace(path, file.read(path));
  }
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  const std::string bad = find_non_finite(checkpoint.tensors);
  check<NumericError>(bad.empty(), "checkpoint", "{}: not written, {} is not finite", path.string(), bad);
  auto bytes = int64_t(checkpoint.recipe.size());
  for (const std::string& name : checkpoint.classes) bytes += int64_t(name.size()) + 1;
  for (const auto& item : checkpoint.tensors) bytes += item.second.nbytes() + kBytesPerObject;
  const auto fill = [&](hdf5::Writer& file) {
    file.attribute("", kVersionName, kVersion);
    file.attribute("", kRecipeName, checkpoint.recipe);
    for (const auto& [name, tensor] : checkpoint.tensors) file.write(name, tensor);
    if (!checkpoint.classes.empty()) file.write(kClasses, to_tensor(checkpoint.classes));
  };
  hdf5::save(path, fill, bytes);
}

Checkpoint load_checkpoint(const std::filesystem::path& path) {
  const hdf5::Reader file = hdf5::open_sealed(path);
  check<IoError>(file.has_attribute("", kVersionName), "checkpoint", "{}: is no checkpoint", path.string());
  const auto version = file.attribute<int64_t>("", kVersionName);
  check<IoError>(version == kVersion, "checkpoint", "{}: is of version {}; this program reads {}", path.string(),
                 version, kVersion);
  Checkpoint checkpoint;
  checkpoint.recipe = file.attribute<std::string>("", kRecipeName);
  read_group(file, "", checkpoint.tensors);
  if (const auto names = checkpoint.tensors.extract(kClasses)) checkpoint.classes = to_names(names.mapped());
  const std::string bad = find_non_finite(checkpoint.tensors);
  check<IoError>(bad.empty(), "checkpoint", "{}: {} is not finite", path.string(), bad);
  return checkpoint;
}

Resumed load_newest_checkpoint(const std::vector<std::filesystem::path>& newest_first) {
  Resumed resumed;
  std::string all;
  for (const auto& path : newest_first) {
    if (!std::filesystem::exists(path)) continue;
    try {
      resumed.checkpoint = load_checkpoint(path);
      resumed.path = path;
      return resumed;
    } catch (const IoError& e) {
      resumed.problems.emplace_back(e.what());
      all += std::string(all.empty() ? "" : "; ") + e.what();
    }
  }
  fail<IoError>("checkpoint", "no checkpoint can be loaded: {}", all.empty() ? "there is none" : all);
}

}  // namespace vitrail::recipes
