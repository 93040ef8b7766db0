// Classes by name: those of a dataset among those of a model, or of another part of the data.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// The classes of a dataset or of a model.
struct ClassList {
  std::string owner;               // for messages: a path, or "the part 'val' of photos/"
  std::vector<std::string> names;  // by number; empty: unknown
  int64_t count = 0;
  bool mapped = false;    // the names are from a class file: a number stands for the model's output of that number
  bool by_bytes = false;  // it has no names and was trained on classes in the order of bytes, as runs of 0.1.0 were
};

/// Where the classes of a dataset are among those of a model.
struct ClassMatch {
  std::vector<int64_t> to;  // for each class of the data, its number in the model
  std::string note;         // the assumption; empty if names decided
  bool same = false;        // both have the same number of classes in the same order
};

/// Finds the classes of `data` among those of `model`.
///   all names agree         the names decide; the data may have some of the model's classes
///   no name agrees          the order counts if both have the same number of classes, and a note says so. Names with
///                           numbers at their ends (0, 1, ..., 10; class_1, ..., class_10) have the order of these
///   the model has no names  the same; fewer labels 0, 1, 2, ... are the first of the model's classes
/// Throws DataError that lists both sides if some names agree and others do not, if no name agrees and the numbers of
/// classes differ, or if a name belongs to two classes of the model.
ClassMatch match_classes(std::string_view op, const ClassList& data, const ClassList& model);

/// The same images with other labels: class i becomes class to[i] of `names`.
std::unique_ptr<Dataset> relabelled(std::unique_ptr<Dataset> whole, std::vector<int64_t> to,
                                    std::vector<std::string> names);

/// The same images with the classes of a class file. It has a line for each class of the data: the name that it has in
/// the data, or that name, a tab, and another name. The lines give the order of the classes; lines with one name in
/// the second place make one class. If all second places are numbers, they are the labels.
/// Throws IoError as read_lines; DataError for a class that the file does not name or names twice.
std::unique_ptr<Dataset> with_class_file(std::unique_ptr<Dataset> whole, const std::string& file);

/// "a, b, c": the first names, and how many there are if not all are shown.
std::string shortened_list(const std::vector<std::string>& names);

}  // namespace vitrail::data
