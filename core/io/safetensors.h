// safetensors: the file format in which weights are published. A length, a JSON header, and the tensors' bytes.
// Files come from anywhere, so the whole header is checked before a byte of it is believed.
#pragma once

#include "vitrail/core/io/file.h"
#include "vitrail/core/tensor_map.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::safetensors {

using Metadata = std::map<std::string, std::string>;

/// A tensor as the header describes it. The dtype is the format's name: "F32", "BF16", "F8_E4M3", ...
struct Entry {
  std::string dtype;
  Shape shape;
  int64_t begin = 0, end = 0;  // bytes of the file
};

struct Header {
  std::map<std::string, Entry, std::less<>> tensors;
  Metadata metadata;
};

/// Reads and checks the header of a file's bytes. file_name is for messages.
/// Throws: IoError opening with the name of the broken rule: HeaderTooSmall, HeaderTooLarge, InvalidHeaderLength,
/// InvalidHeader, InvalidHeaderDeserialization, DuplicateName, NameTooLong, RankTooLarge, InvalidOffset,
/// ValidationOverflow, MisalignedSlice, TensorInvalidInfo, MetadataIncompleteBuffer.
Header parse_header(std::span<const std::byte> file, const std::string& file_name);

/// Published weights: one file, or the shards that a "*.safetensors.index.json" lists. Tensors are read when asked for.
/// Thread: reading is safe from several threads.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path);

  const std::string& path() const { return path_; }  ///< The file, as it was given.
  std::vector<std::string> names() const;            // sorted
  /// Neither reads the data. shape() throws IoError for a missing name.
  bool contains(std::string_view name) const { return tensors_.contains(name); }
  const Shape& shape(std::string_view name) const { return find(name).entry.shape; }
  /// The format's name of the type: "F16". Throws IoError for a missing name.
  const std::string& dtype(std::string_view name) const { return find(name).entry.dtype; }
  /// The text pairs of the first file.
  const Metadata& metadata() const { return metadata_; }
  /// F32, BF16, F64, I64 and U8 as they are, BOOL as u8, F16 as f32, other integers as i64. What can stay as it is
  /// stays in the file, which is mapped: it is read when it is used, and what is written to it is not seen by others.
  /// Throws: IoError for another type, a missing name, or an unsigned number above 2^63 - 1.
  Tensor read(std::string_view name) const;
  /// Every tensor, by name.
  TensorMap read_all() const;

 private:
  struct Located {
    size_t file = 0;
    Entry entry;
  };
  void add_file(const std::filesystem::path& path);
  void add_shards(const std::filesystem::path& index);
  const Located& find(std::string_view name) const;

  std::string path_;
  std::vector<std::shared_ptr<MappedFile>> files_;
  std::vector<std::string> file_names_;  // of files_, without folders
  std::map<std::string, Located, std::less<>> tensors_;
  Metadata metadata_;
};

/// How save() writes f32 tensors: as F32, or rounded to F16, which changes nothing in weights that were read from F16.
enum class Floats { f32, f16 };

/// Writes the tensors durably, in the order of the reference writer: wide types first, then by name.
/// Several loaders refuse files without the metadata that is the default here.
/// Throws IoError naming a tensor with a number that does not fit F16.
void save(const std::filesystem::path& path, const TensorMap& tensors, const Metadata& metadata = {{"format", "pt"}},
          Floats floats = Floats::f32);

}  // namespace vitrail::safetensors
