// Tensors and attributes in HDF5 files. Objects have paths like "/model/blocks.0.attn.qkv.weight"; the leading slash
// may be left out and "" is the root. Only the sources in core/io/hdf5/ include HDF5's own header; one mutex serialises
// its calls.
#pragma once

#include "vitrail/core/tensor.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::hdf5 {

/// An HDF5 file open for reading. Every error is an IoError naming the file, the object and HDF5's message.
/// Thread: one Reader may be used by several threads; they take turns.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path);
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  /// contains() is true for datasets and groups, is_group() for groups alone. A missing path is no error.
  bool contains(std::string_view path) const;
  bool is_group(std::string_view path) const;
  /// The names in the group, sorted.
  std::vector<std::string> names(std::string_view group) const;
  /// The shape of a dataset. Throws IoError for a missing path.
  Shape shape(std::string_view path) const;
  /// Rows of the first axis that are stored together, and inflated together if compressed; 1 if there are no chunks.
  int64_t chunk_rows(std::string_view path) const;
  /// The type read() gives: f32, bf16, f64, i64 and u8 as stored, other floats as f32 (f64 if wider than 8 bytes),
  /// other integers as i64.
  DType dtype(std::string_view path) const;

  /// Throws: IoError also for a number that does not fit the type.
  Tensor read(std::string_view path) const;
  /// Rows begin ... end - 1 of the first axis.
  Tensor read_rows(std::string_view path, int64_t begin, int64_t end) const;

  /// Attributes of a group or dataset. Both throw IoError for a missing path.
  bool has_attribute(std::string_view path, std::string_view name) const;
  std::vector<std::string> attribute_names(std::string_view path) const;
  /// An attribute of a group or dataset. T is int64_t, double (integers too), std::string or a vector of these; a
  /// vector takes a single value too.
  template <class T>
  T attribute(std::string_view path, std::string_view name) const;

 private:
  struct File;
  std::unique_ptr<File> file_;
};

/// An HDF5 file being made, in the oldest format, without times: equal content gives equal bytes. Groups are created on
/// the way to what is written. Every error is an IoError.
class Writer {
 public:
  /// Opens a new file, replacing an old one; save() below is the durable way. The first user_block bytes (0, 512, 1024,
  /// 2048, ...) stay free for the caller.
  explicit Writer(const std::filesystem::path& path, int64_t user_block = 0);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// A dataset with the values of a tensor, or an empty group.
  void write(std::string_view path, const Tensor& value);
  void group(std::string_view path);
  /// A dataset to be filled by write_rows, for what does not fit in memory; rows never written are 0.
  void create(std::string_view path, const Shape& shape, DType dtype);
  /// Fills rows begin, begin + 1, ... of a created dataset.
  void write_rows(std::string_view path, int64_t begin, const Tensor& rows);

  /// An attribute of a group or dataset that exists. T is int64_t, double or std::string.
  template <class T>
  void attribute(std::string_view path, std::string_view name, const T& value);

  /// Hands everything to the system and closes the file. Throws an error that the destructor would hide.
  void close();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

/// Writes a file durably (see durable_write) and seals it: a 512-byte block before the HDF5 part, which other programs
/// skip, holds the size and a hash of everything.
void save(const std::filesystem::path& path, const std::function<void(Writer&)>& fill, int64_t expected_bytes = 0);

/// The file was made by save().
bool is_sealed(const std::filesystem::path& path);
/// Opens a file made by save() if its size and hash are right, so that HDF5 sees no other bytes than we wrote.
/// Throws: IoError saying how the file differs.
Reader open_sealed(const std::filesystem::path& path);

}  // namespace vitrail::hdf5
