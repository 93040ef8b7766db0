// The cases of tests/reference/augment.h5: GROUP/NNN is an expected image, its attributes the parameters.
#pragma once

#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/image/image.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::test {

class AugmentFile {
 public:
  explicit AugmentFile(const std::filesystem::path& path) : reader_(path) {}

  const hdf5::Reader& reader() const { return reader_; }
  /// Paths of a group's cases.
  std::vector<std::string> cases(const std::string& group) const;
  data::Image image(const std::string& path) const;
  /// The image a case starts from.
  data::Image input(const std::string& path) const;
  int64_t integer(const std::string& path, const char* name) const { return reader_.attribute<int64_t>(path, name); }

 private:
  hdf5::Reader reader_;
};

/// Nothing if the file is not there; the test's log then says so.
std::optional<AugmentFile> open_augment_file();

}  // namespace vitrail::test
