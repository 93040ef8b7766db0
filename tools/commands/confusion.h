// The confusion matrix of an evaluation, as text and as files. counts: i64 [K, K], a row for each true class, a column
// for each class that images were taken for; names: K.
#pragma once

#include "vitrail/core/tensor.h"

#include <cstddef>
#include <string>
#include <vector>

namespace vitrail::tools {

/// Above so many classes no matrix is drawn.
inline constexpr size_t kMostDrawn = 4096;

/// "shirt -> t-shirt 16, hat -> cap 3": up to three pairs of classes, those confused most often first; may be empty.
std::string most_confused(const Tensor& counts, const std::vector<std::string>& names);

/// The files that --confusion NAME asks for: NAME itself if it ends in .csv or .png, else NAME.csv and NAME.png; no
/// image above kMostDrawn classes; none for an empty name.
std::vector<std::string> confusion_files(const std::string& name, size_t classes);

/// Writes a CSV file (a named row per true class, a named column per predicted class) or, by the file's ending, a PNG.
void write_confusion(const std::string& file, const Tensor& counts, const std::vector<std::string>& names);

}  // namespace vitrail::tools
