// Files that are none, output that cannot be written, and messages that are plain.
#include "tests/tools/program.h"
#include "tests/tools/tiny_models.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace vitrail;
using test::check_says;
using test::Output;
using test::vitrail_program;

namespace {

/// Runs a command of the shell in the folder, at most a minute. Standard error goes to stderr.txt.
int shell(const test::TemporaryFolder& folder, const std::string& command) {
  const std::string whole =
      "cd " + folder.path().string() + " && timeout 60 bash -c '" + command + "' 2>stderr.txt </dev/null";
  const int status = std::system(whole.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const std::string kVitrail = VITRAIL_PROGRAMS "/vitrail";

}  // namespace

TEST_CASE("a pipe in the place of a file is refused at once") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit");
  test::write_tiny_image(folder.path() / "a.png", 1);
  REQUIRE(::mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
  for (const std::string part : {"weights", "config", "preprocessor", "index"}) {
    std::filesystem::copy(folder.path() / "vit", folder.path() / part);
    const std::string file = part == "weights"  ? "model.safetensors"
                             : part == "config" ? "config.json"
                             : part == "index"  ? "model.safetensors.index.json"
                                                : "preprocessor_config.json";
    std::filesystem::remove(folder.path() / part / (part == "index" ? "model.safetensors" : file));
    REQUIRE(::mkfifo((folder.path() / part / file).c_str(), 0600) == 0);
  }
  for (const std::string command :
       {"features -m vit pipe -o f.npy", "features -m weights a.png -o f.npy", "features -m config a.png -o f.npy",
        "features -m preprocessor a.png -o f.npy", "features -m index a.png -o f.npy",
        "features -m vit --list pipe -o f.npy", "zero-shot -m vit a.png --names pipe", "attention vit pipe",
        "preview pipe", "eval pipe", "search pipe a.png", "tokenizer pipe -o v"}) {
    CAPTURE(command);
    const int code = shell(folder, kVitrail + " " + command + " >stdout.txt");
    const std::string err = test::read_text(folder.path() / "stderr.txt");
    CAPTURE(err);
    CHECK(code == 3);
    CHECK(err.find("is not a file but a pipe") != std::string::npos);
  }
  CHECK(shell(folder, VITRAIL_PROGRAMS "/train pipe") != 124);  // 124: timeout ended it
  CHECK(test::read_text(folder.path() / "stderr.txt").find("is not a file but a pipe") != std::string::npos);
}

TEST_CASE("standard output that cannot be written ends with code 4") {
  const test::TemporaryFolder folder;
  for (const char* program : {"/vitrail", "/train", "/check_reference"}) {
    CAPTURE(program);
    CHECK(shell(folder, std::string(VITRAIL_PROGRAMS) + program + " --help >/dev/full") == 4);
    CHECK(test::read_text(folder.path() / "stderr.txt").find("[output] standard output could not be written") !=
          std::string::npos);
  }
  CHECK(shell(folder, VITRAIL_PROGRAMS "/train " + test::kRecipes + "vit_digits.yaml --print-config >/dev/full") == 4);
  CHECK(shell(folder, kVitrail + " summary vit_tiny >/dev/full") == 4);
  CHECK(shell(folder, kVitrail + " summary vit_tiny >&-") == 4);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::close(ends[0]);  // the reader has gone
  CHECK(shell(folder, kVitrail + " summary vit_tiny >&" + std::to_string(ends[1])) == 4);
  ::close(ends[1]);
  CHECK(shell(folder, kVitrail + " completion bash >/dev/full") == 4);
  CHECK(shell(folder, kVitrail + " summary nothing.yaml >/dev/full") == 2);  // its own error counts more
}

TEST_CASE("errors of the system and of libraries are told plainly") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit");
  std::filesystem::create_symlink("l2", folder.path() / "l1");
  std::filesystem::create_symlink("l1", folder.path() / "l2");
  const std::string longest(300, 'x');
  check_says(vitrail_program(folder, "features -m vit l1 -o f.npy"), 3, "l1: Too many levels of symbolic links");
  check_says(vitrail_program(folder, "features -m vit " + longest + " -o f.npy"), 3, "x: File name too long");
  check_says(vitrail_program(folder, "features -m " + longest + " vit/config.json -o f.npy"), 3,
             "x: File name too long");
  check_says(vitrail_program(folder, "summary l1"), 3, "l1: Too many levels of symbolic links");
  for (const std::string file : {"config.json", "preprocessor_config.json"}) {
    const std::string before = test::read_text(folder.path() / "vit" / file);
    test::write_text(folder.path() / "vit" / file, "{\"a\": ");
    const Output output = vitrail_program(folder, "summary vit");
    CHECK(output.code == 3);
    CHECK(output.err.find("vit/" + file + ": is not JSON: parse error at line 1, column 7") != std::string::npos);
    CHECK(output.err.find("exception") == std::string::npos);
    test::write_text(folder.path() / "vit" / file, before);
  }
}

TEST_CASE("tables keep their columns with names of any script") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(0), "hf", folder.path() / "vit");
  for (const char* name : {"plain.png", "caf\u00e9 \u2014.png", "e\u0301.png", "\u732b.png", "a\nb.png"})
    test::write_tiny_image(folder.path() / name, 1);
  const Output table = vitrail_program(
      folder, "similarity -m vit plain.png 'caf\u00e9 \u2014.png' 'e\u0301.png' '\u732b.png' 'a\nb.png'");
  const std::string cosines = "  1.000  1.000  1.000  1.000  1.000\n";
  CHECK(table.out ==
        "                  1      2      3      4      5\n"
        "1 plain.png " +
            cosines + "2 caf\u00e9 \u2014.png" + cosines + "3 e\u0301.png     " + cosines + "4 \u732b.png    " +
            cosines + "5 a?b.png   " + cosines);
}
