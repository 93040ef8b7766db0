// Describes published models as text.
#pragma once

#include "vitrail/recipes/models/write_model.h"

#include <string>

namespace vitrail::tools {

/// "ViT: 12 blocks of width 768, 12 heads, images of 224, patches of 16, 86567656 parameters"
std::string describe(const recipes::PublishedModel& model);

/// Prints the files, one per line, with their sizes, and the notes on standard error.
void print_written(const recipes::WrittenModel& written);

}  // namespace vitrail::tools
