#include "vitrail/recipes/eval/feature_file.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/recipes/eval/finite.h"

#include <fmt/format.h>

#include <cstring>
#include <iterator>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

/// A name on one line. As in the lists of sha256sum, a line that begins with a backslash has "\n", "\r" and "\\" for a
/// line break, a carriage return and a backslash in the name.
std::string line_of(const std::string& name) {
  if (name.find_first_of("\n\r") == std::string::npos && !name.starts_with('\\')) return name + "\n";
  std::string line = "\\";
  for (const char c : name) line += c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\\' ? "\\\\" : std::string(1, c);
  return line + "\n";
}

std::string lines_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += line_of(name);
  return text;
}

void write_hdf5(const fs::path& path, const NamedFeatures& f) {
  std::vector<int64_t> offset{0};
  std::string names;
  offset.reserve(f.names.size() + 1);
  for (const std::string& name : f.names) {
    names += name;
    offset.push_back(int64_t(names.size()));
  }
  Tensor bytes = Tensor::empty({int64_t(names.size())}, DType::u8);
  std::memcpy(bytes.raw(), names.data(), names.size());
  hdf5::save(path, [&](hdf5::Writer& writer) {
    writer.write("feature", f.features);
    writer.write("name", bytes);
    writer.write("name_offset", tensor(offset, {int64_t(offset.size())}));
    writer.attribute("", "model", f.model);
  });
}

/// Version 1.0 of the format: the header is padded so that the numbers begin at a multiple of 64 bytes.
std::string npy_of(const Tensor& features) {
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", features.size(0),
                                   features.size(1));
  constexpr size_t kBefore = 10;
  header.append(63 - (kBefore + header.size()) % 64, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += char(header.size() & 0xff);
  file += char(header.size() >> 8);
  file += header;
  const auto bytes = std::as_bytes(features.span<float>());
  file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return file;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string csv_of(const NamedFeatures& f) {
  const int64_t dim = f.features.size(1);
  const auto values = f.features.span<float>();
  std::string text = "name";
  for (int64_t d = 0; d < dim; ++d) text += fmt::format(",f{}", d);
  text += "\n";
  for (size_t i = 0; i < f.names.size(); ++i) {
    text += csv_field(f.names[i]);
    for (size_t d = 0; d < size_t(dim); ++d)
      fmt::format_to(std::back_inserter(text), ",{}", values[i * size_t(dim) + d]);
    text += "\n";
  }
  return text;
}

}  // namespace

void check_feature_file(const fs::path& path) {
  const std::string kind = path.extension().string();
  check<ConfigError>(kind == ".h5" || kind == ".hdf5" || kind == ".npy" || kind == ".csv", "features",
                     "{}: the name must end in .h5, .hdf5, .npy or .csv", path.string());
}

void write_features(const fs::path& path, const NamedFeatures& features) {
  check_feature_file(path);
  check<ConfigError>(int64_t(features.names.size()) == features.features.size(0), "features",
                     "{} names for {} features", features.names.size(), features.features.size(0));
  expect_finite(features.features, "features", [&](int64_t i) { return features.names[size_t(i)]; });
  const std::string kind = path.extension().string();
  if (kind == ".h5" || kind == ".hdf5") {
    write_hdf5(path, features);
  } else if (kind == ".npy") {
    durable_write(path, npy_of(features.features));
    durable_write(fs::path(path).replace_extension(".txt"), lines_of(features.names));
  } else {
    durable_write(path, csv_of(features));
  }
}

NamedFeatures read_features(const fs::path& path) {
  const hdf5::Reader file = hdf5::open_sealed(path);
  check<IoError>(file.contains("feature") && file.contains("name") && file.contains("name_offset"), "features",
                 "{} holds no features; vitrail features writes such files", path.string());
  NamedFeatures result{{}, file.read("feature"), file.attribute<std::string>("", "model")};
  const Tensor bytes = file.read("name"), offset = file.read("name_offset");
  const auto letters = bytes.span<uint8_t>();
  const auto begin = offset.span<int64_t>();
  check<IoError>(
      result.features.rank() == 2 && offset.numel() == result.features.size(0) + 1 && begin.back() == bytes.numel(),
      "features", "{}: names and features do not fit", path.string());
  result.names.reserve(begin.size() - 1);
  for (size_t i = 0; i + 1 < begin.size(); ++i)
    result.names.emplace_back(letters.begin() + begin[i], letters.begin() + begin[i + 1]);
  expect_finite(result.features, "features",
                [&](int64_t i) { return path.string() + ", row of " + result.names[size_t(i)]; });
  return result;
}

}  // namespace vitrail::recipes
