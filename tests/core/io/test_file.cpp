#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

using namespace vitrail;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

/// Sets the step hook for a scope.
struct AtStep {
  explicit AtStep(std::function<void(std::string_view)> fn)
      : before(std::exchange(testing::on_write_step, std::move(fn))) {}
  ~AtStep() { testing::on_write_step = before; }
  std::function<void(std::string_view)> before;
};

constexpr std::string_view kSteps[] = {"write", "sync", "rename", "sync folder", "done"};

}  // namespace

TEST_CASE("durable_write replaces a file and leaves nothing beside it") {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "a.txt";
  durable_write(path, "one");
  durable_write(path, "two, longer");
  CHECK(read_file(path, 100) == "two, longer");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
}

TEST_CASE("durable_write: a failure at any step leaves the old or the new content and no temporary file") {
  for (const auto step : kSteps) {
    CAPTURE(std::string(step));
    const test::TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    durable_write(path, "old");
    {
      const AtStep hook([&](std::string_view at) {
        if (at == step) throw IoError("injected");
      });
      CHECK_THROWS_WITH_AS(durable_write(path, "new"), "injected", IoError);
    }
    const bool renamed = step == "sync folder" || step == "done";
    CHECK(read_file(path, 100) == (renamed ? "new" : "old"));
    CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
  }
}

TEST_CASE("durable_write: a process killed at any step leaves the old or the new content") {
  for (const auto step : kSteps) {
    CAPTURE(std::string(step));
    const test::TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    durable_write(path, "old");
    const pid_t child = ::fork();
    if (child == 0) {
      testing::on_write_step = [&](std::string_view at) {
        if (at == step) ::raise(SIGKILL);
      };
      durable_write(path, "new");
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    const bool renamed = step == "sync folder" || step == "done";
    CHECK(read_file(path, 100) == (renamed ? "new" : "old"));
    CHECK(remove_stale_temporaries(folder.path()) == (step == "sync" || step == "rename" ? 1 : 0));
    CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
  }
}

TEST_CASE("durable_write: errors name the file or folder and the reason") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(durable_write(folder.path() / "no/a.txt", "x"), doctest::Contains("no does not exist"),
                       WriteError);
  fs::create_directory(folder.path() / "d");
  CHECK_THROWS_WITH_AS(durable_write(folder.path() / "d", "x"), doctest::Contains("Is a directory"), IoError);
  CHECK_THROWS_WITH_AS(durable_write(folder.path() / std::string(300, 'n'), "x"), doctest::Contains("name too long"),
                       IoError);
  bool asked = false;
  CHECK_THROWS_WITH_AS(durable_write(
                           folder.path() / "a.txt", [&](const fs::path&) { asked = true; }, int64_t{1} << 60),
                       doctest::Contains("are needed"), IoError);
  CHECK_FALSE(asked);
}

TEST_CASE("durable_write: a full disk leaves the old content") {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "a.txt";
  durable_write(path, "old");
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      durable_write(path, std::string(10000, 'x'));
    } catch (const IoError& e) {
      ::_exit(std::string(e.what()).find("File too large") != std::string::npos ? 7 : 8);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(read_file(path, 100) == "old");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
}

TEST_CASE("remove_stale_temporaries spares living processes and other files") {
  const test::TemporaryFolder folder;
  for (const std::string& name : {".a.tmp-" + std::to_string(::getpid()), std::string(".a.tmp-x"),
                                  std::string("b.tmp-1"), std::string(".c.tmp-999999999")})
    std::ofstream(folder.path() / name) << "x";
  CHECK(remove_stale_temporaries(folder.path()) == 1);
  CHECK_FALSE(fs::exists(folder.path() / ".c.tmp-999999999"));
  CHECK(names_in(folder.path()).size() == 3);
  CHECK_THROWS_AS(remove_stale_temporaries(folder.path() / "no"), IoError);
}

TEST_CASE("a pipe, a socket, a device and a folder are refused at once") {
  const test::TemporaryFolder folder;
  const fs::path pipe = folder.path() / "pipe", socket = folder.path() / "socket", link = folder.path() / "link";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink(pipe, link);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const std::pair<fs::path, const char*> cases[] = {{pipe, "is not a file but a pipe"},
                                                    {link, "is not a file but a pipe"},
                                                    {socket, "is not a file but a socket"},
                                                    {"/dev/zero", "is not a file but a device"},
                                                    {folder.path(), "is not a file but a folder"}};
  for (const auto& c : cases) {
    CAPTURE(c.first.string());
    CHECK_THROWS_WITH_AS(read_file(c.first, 100), doctest::Contains(c.second), IoError);
    CHECK_THROWS_WITH_AS(MappedFile{c.first}, doctest::Contains(c.second), IoError);
    CHECK_THROWS_WITH_AS(expect_file("test", c.first), doctest::Contains(c.second), IoError);
  }
  expect_file("test", folder.path() / "missing");
  ::close(fd);
}

TEST_CASE("read_file and MappedFile") {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "a.txt";
  durable_write(path, std::string_view("a\0b", 3));
  CHECK(read_file(path, 3) == std::string("a\0b", 3));
  CHECK_THROWS_WITH_AS(read_file(path, 2), doctest::Contains("has 3 bytes; at most 2"), IoError);
  CHECK_THROWS_WITH_AS(read_file(folder.path(), 2), doctest::Contains("is not a file"), IoError);
  MappedFile a(path);
  REQUIRE(a.bytes().size() == 3);
  const MappedFile b = std::move(a);
  CHECK(a.bytes().empty());  // NOLINT(bugprone-use-after-move): a file moved from is empty
  CHECK(b.bytes()[2] == std::byte('b'));
  durable_write(path, "");
  CHECK(MappedFile(path).bytes().empty());
  CHECK(b.bytes()[0] == std::byte('a'));
  durable_write(path, "ab");
  MappedFile mine(path);
  mine.private_bytes()[0] = std::byte('x');
  mine.prefetch(1, 1);
  CHECK(mine.bytes()[0] == std::byte('x'));
  CHECK(read_file(path, 2) == "ab");
  CHECK_THROWS_WITH_AS(MappedFile(folder.path() / "no"), doctest::Contains("No such file"), IoError);
}
