// Runs the programs as a user does.
#pragma once

#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace vitrail::test {

inline const std::string kRecipes = VITRAIL_SOURCE_DIR "/recipes/";
inline const std::string kDigits = kRecipes + "assets/digits8";

struct Output {
  int code = -1;
  std::string out, err;
};

/// Runs a program in the folder. The shell splits the arguments: run(folder, "vitrail", "summary vit_tiny").
inline Output run(const TemporaryFolder& folder, const std::string& program, const std::string& arguments) {
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  const std::string command = "cd " + folder.path().string() + " && " VITRAIL_PROGRAMS "/" + program + " " + arguments +
                              " >" + file("stdout.txt") + " 2>" + file("stderr.txt") + " </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(file("stdout.txt")), read_text(file("stderr.txt"))};
}

inline Output vitrail_program(const TemporaryFolder& folder, const std::string& arguments) {
  return run(folder, "vitrail", arguments);
}

/// Checks the exit code, and that stdout or stderr contains the text.
inline void check_says(const Output& output, int code, const std::string& text) {
  CAPTURE(output.out);
  CAPTURE(output.err);
  CHECK(output.code == code);
  CHECK((output.out + output.err).find(text) != std::string::npos);
}

}  // namespace vitrail::test
