#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/rng.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <omp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>

using namespace vitrail;
using recipes::Checkpoint;

namespace {

Checkpoint make_checkpoint(double value, int64_t width = 8) {
  Checkpoint c;
  c.recipe = "recipe: vit\nseed: 0\n";
  c.tensors["model/blocks.0.weight"] = full({width, width}, value);
  c.tensors["model/blocks.0.bias"] = full({width}, value);
  c.tensors["optimizer/blocks.0.weight/m"] = full({width, width}, value, DType::bf16);
  c.tensors["loop/step"] = scalar(value, DType::i64);
  c.tensors["loop/best"] = scalar(-std::numeric_limits<double>::infinity(), DType::f64);
  return c;
}

/// Runs fn in a child process on one thread, because threads do not survive a fork.
template <class F>
pid_t fork_child(F&& fn) {
  std::cout.flush();
  const pid_t child = ::fork();
  if (child == 0) {
    omp_set_num_threads(1);
    fn();
    ::_exit(0);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

std::string content(const std::filesystem::path& path) { return read_file(path, 1 << 24); }

}  // namespace

TEST_CASE("checkpoint: round trip, and equal states are equal bytes") {
  const test::TemporaryFolder folder;
  const auto a = folder.path() / "a.h5", b = folder.path() / "b.h5";
  const Checkpoint saved = make_checkpoint(3);
  recipes::save_checkpoint(a, saved);
  const Checkpoint loaded = recipes::load_checkpoint(a);
  CHECK(loaded.recipe == saved.recipe);
  REQUIRE(loaded.tensors.size() == saved.tensors.size());
  for (const auto& item : saved.tensors) {
    const auto& name = item.first;
    const auto& t = item.second;
    CAPTURE(name);
    const Tensor& back = loaded.tensors.at(name);
    CHECK(back.dtype() == t.dtype());
    CHECK(back.shape() == t.shape());
    CHECK(back.to_vector() == t.to_vector());
  }
  recipes::save_checkpoint(b, loaded);
  CHECK(content(a) == content(b));
}

TEST_CASE("checkpoint: it keeps the names of classes, and older files have none") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "last.h5";
  Checkpoint named = make_checkpoint(1);
  named.classes = {"hat", "t-shirt, blue", "\xc3\xa9t\xc3\xa9\n"};
  recipes::save_checkpoint(path, named);
  const Checkpoint loaded = recipes::load_checkpoint(path);
  CHECK(loaded.classes == named.classes);
  CHECK(loaded.tensors.size() == named.tensors.size());
  CHECK(recipes::load_checkpoint(VITRAIL_SOURCE_DIR "/tests/runs/supervised/run/checkpoints/last.h5").classes.empty());
}

TEST_CASE("checkpoint: every damage is found before use") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "last.h5", bad = folder.path() / "bad.h5";
  recipes::save_checkpoint(path, make_checkpoint(1));
  const std::string good = content(path);
  Rng rng(7, 0);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = good;
    const auto at = size_t(rng.uniform() * double(good.size()));
    damaged[at] = char(damaged[at] ^ (1 << (i % 8)));
    std::ofstream(bad, std::ios::binary) << damaged;
    CAPTURE(at);
    CHECK_THROWS_AS(recipes::load_checkpoint(bad), IoError);
  }
  for (int i = 0; i < 100; ++i) {
    const size_t size = good.size() * size_t(i) / 100;
    std::ofstream(bad, std::ios::binary) << good.substr(0, size);
    CAPTURE(size);
    CHECK_THROWS_AS(recipes::load_checkpoint(bad), IoError);
  }
}

TEST_CASE("checkpoint: the newest that loads is taken, and the others' problems are told") {
  const test::TemporaryFolder folder;
  const auto last = folder.path() / "last.h5", best = folder.path() / "best.h5";
  CHECK_THROWS_WITH_AS(recipes::load_newest_checkpoint({last, best}), doctest::Contains("there is none"), IoError);
  recipes::save_checkpoint(best, make_checkpoint(1));
  CHECK(recipes::load_newest_checkpoint({last, best}).path == best);
  recipes::save_checkpoint(last, make_checkpoint(2));
  const auto newest = recipes::load_newest_checkpoint({last, best});
  CHECK(newest.path == last);
  CHECK(newest.problems.empty());
  std::filesystem::resize_file(last, std::filesystem::file_size(last) - 1);
  const auto older = recipes::load_newest_checkpoint({last, best});
  CHECK(older.checkpoint.tensors.at("loop/step").item() == 1);
  REQUIRE(older.problems.size() == 1);
  CHECK(older.problems[0].find("last.h5: is damaged: it has ") != std::string::npos);
  durable_write(best, "no checkpoint");
  CHECK_THROWS_WITH_AS(recipes::load_newest_checkpoint({last, best}), doctest::Contains("best.h5: is not a file of"),
                       IoError);
}

TEST_CASE("checkpoint: weights that are not finite are neither written nor loaded") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "last.h5";
  recipes::save_checkpoint(path, make_checkpoint(1));
  Checkpoint broken = make_checkpoint(2);
  broken.tensors["model/blocks.0.weight"].data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(recipes::save_checkpoint(path, broken), doctest::Contains("model/blocks.0.weight is not finite"),
                       NumericError);
  CHECK(recipes::load_checkpoint(path).tensors.at("loop/step").item() == 1);
  hdf5::save(path, [&](hdf5::Writer& file) {
    file.attribute("", "checkpoint_version", int64_t{1});
    file.attribute("", "recipe", std::string());
    for (const auto& [name, t] : broken.tensors) file.write(name, t);
  });
  CHECK_THROWS_WITH_AS(recipes::load_checkpoint(path), doctest::Contains("weight is not finite"), IoError);
  hdf5::save(path, [](hdf5::Writer& file) { file.attribute("", "checkpoint_version", int64_t{2}); });
  CHECK_THROWS_WITH_AS(recipes::load_checkpoint(path), doctest::Contains("is of version 2"), IoError);
  hdf5::save(path, [](hdf5::Writer&) {});
  CHECK_THROWS_WITH_AS(recipes::load_checkpoint(path), doctest::Contains("is no checkpoint"), IoError);
}

TEST_CASE("checkpoint: kill -9 while writing never loses it") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "last.h5";
  const std::array<Checkpoint, 2> states = {make_checkpoint(1, 300), make_checkpoint(2, 300)};
  recipes::save_checkpoint(path, states[0]);
  const auto writing = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().filename().string().find(".tmp-") != std::string::npos) return true;
    return false;
  };
  Rng rng(1, 0);
  int killed_in_a_write = 0;
  for (int trial = 0; trial < 30; ++trial) {
    const pid_t child = fork_child([&] {
      ::setenv("VITRAIL_TEST_SLOW_WRITE_MS", "2", 1);
      for (size_t i = 0;; ++i) recipes::save_checkpoint(path, states[i % 2]);
    });
    ::usleep(unsigned(rng.uniform() * 20'000));
    while (trial % 2 == 1 && !writing()) ::usleep(100);  // every second time surely inside a write
    ::kill(child, SIGKILL);
    REQUIRE(WIFSIGNALED(wait_for(child)));
    killed_in_a_write += remove_stale_temporaries(folder.path());
    const Checkpoint found = recipes::load_checkpoint(path);
    const double value = found.tensors.at("loop/step").item();
    CHECK((value == 1 || value == 2));
    CHECK(found.tensors.at("model/blocks.0.weight").to_vector() == std::vector<double>(300 * 300, value));
  }
  CHECK(killed_in_a_write > 0);
}

TEST_CASE("checkpoint: a full disk leaves the old one, and the process goes on") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "last.h5";
  recipes::save_checkpoint(path, make_checkpoint(1));
  const Checkpoint larger = make_checkpoint(2, 300), small = make_checkpoint(3);
  const pid_t child = fork_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200 << 10, 200 << 10};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int failures = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        recipes::save_checkpoint(path, larger);
      } catch (const IoError& e) {
        failures += std::string(e.what()).find("File too large") != std::string::npos;
      }
    }
    const bool intact = recipes::load_checkpoint(path).tensors.at("loop/step").item() == 1;
    recipes::save_checkpoint(path, small);
    ::_exit(failures == 3 && intact ? 7 : 8);
  });
  const int status = wait_for(child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(recipes::load_checkpoint(path).tensors.at("loop/step").item() == 3);
  CHECK(remove_stale_temporaries(folder.path()) == 0);
}
