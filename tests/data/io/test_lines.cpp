#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/io/lines.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

using namespace vitrail;

TEST_CASE("lines come from a file or from a pipe of the shell, never from a pipe with a name") {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "names.txt", pipe = folder.path() / "pipe";
  const std::string text = "a dog \r\n\ncat";
  const std::vector<std::string> lines{"a dog", "cat"};
  test::write_text(file, text);
  CHECK(data::read_lines(file) == lines);

  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  std::jthread writer([&] {
    CHECK(::write(ends[1], text.data(), text.size()) == int64_t(text.size()));
    ::close(ends[1]);
  });
  CHECK(data::read_lines("/dev/fd/" + std::to_string(ends[0])) == lines);
  ::close(ends[0]);

  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(data::read_lines(pipe), doctest::Contains("is not a file but a pipe"), IoError);
  CHECK_THROWS_WITH_AS(data::read_lines("/dev/zero"), doctest::Contains("is not a file but a device"), IoError);
}
