#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/recipes/run/exit_code.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <new>
#include <system_error>

using namespace vitrail;
using namespace vitrail::recipes;

TEST_CASE("exit codes tell whose fault it is") {
  CHECK(exit_code(ConfigError("x")) == 2);
  CHECK(exit_code(DataError("x")) == 3);
  CHECK(exit_code(OutOfMemory("x")) == 4);
  CHECK(exit_code(std::bad_alloc()) == 4);
  CHECK(exit_code(DiskFull("x")) == 4);
  CHECK(exit_code(IoError("x")) == 3);
  CHECK(exit_code(WriteError("x")) == 1);
  CHECK(exit_code(NumericError("x")) == 1);
  CHECK(exit_code(std::runtime_error("x")) == 1);
  CHECK(exit_code(std::filesystem::filesystem_error("x", std::error_code())) == 3);
  CHECK(run_program([](int argc, char**) { return argc; }, 7, nullptr) == 7);
  CHECK(run_program([](int, char**) -> int { throw ConfigError("expected by a test"); }, 0, nullptr) == 2);
}
