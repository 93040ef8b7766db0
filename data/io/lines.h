// Text files with one item on each line: names of classes, templates of prompts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::data {

/// The lines that are not empty, without trailing spaces and carriage returns. The path may be a pipe that the shell
/// opened, as <(command) or /dev/stdin; a pipe with a name of its own could wait for ever and is refused.
/// Throws IoError if the file cannot be read or has more than 64 MiB.
std::vector<std::string> read_lines(const std::filesystem::path& path);

}  // namespace vitrail::data
