// The hyper-parameters of a case: attributes of its group or dataset.
#pragma once

#include "vitrail/core/io/hdf5.h"

#include <sstream>
#include <string>
#include <vector>

namespace vitrail::reference {

class Attributes {
 public:
  Attributes(const hdf5::Reader& file, std::string path) : file_(file), path_(std::move(path)) {}

  bool has(const char* name) const { return file_.has_attribute(path_, name); }
  double operator()(const char* name) const { return file_.attribute<double>(path_, name); }
  double operator()(const char* name, double otherwise) const { return has(name) ? (*this)(name) : otherwise; }
  int64_t integer(const char* name, int64_t otherwise) const { return int64_t((*this)(name, double(otherwise))); }
  std::vector<double> numbers(const char* name) const { return file_.attribute<std::vector<double>>(path_, name); }
  /// Empty if the attribute does not exist.
  std::string text(const char* name) const { return has(name) ? file_.attribute<std::string>(path_, name) : ""; }
  /// The lines of a text attribute, e.g. a list of names.
  std::vector<std::string> lines(const char* name) const {
    std::istringstream in(text(name));
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);) result.push_back(line);
    return result;
  }

 private:
  const hdf5::Reader& file_;
  std::string path_;
};

}  // namespace vitrail::reference
