#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/hdf5.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <thread>

using namespace vitrail;

namespace {

void fill(hdf5::Writer& file) {
  file.write("model/a.weight", arange(6, DType::f32).reshape({2, 3}));
  file.write("model/deep/b", scalar(2.5, DType::f64));
  file.write("ids", arange(4));
  file.attribute("", "text", std::string("recipe: dino\n"));
  file.attribute("model", "step", int64_t{1} << 40);
  file.attribute("model/deep/b", "lr", 0.1);
}

void flip_bit(const std::filesystem::path& path, int64_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(bit / 8);
  const int byte = file.get();
  file.seekp(bit / 8);
  file.put(char(byte ^ (1 << (bit % 8))));
}

}  // namespace

TEST_CASE("hdf5: groups, shapes, types and attributes of a reference file") {
  const auto path = test::reference_path("knn.h5");
  if (!path) return;
  const hdf5::Reader file(*path);
  CHECK(file.is_group("k10_T0.07"));
  CHECK(file.is_group(""));
  CHECK_FALSE(file.is_group("k10_T0.07/inputs/train_labels"));
  CHECK(file.contains("/k10_T0.07/inputs/train_labels"));
  CHECK_FALSE(file.contains("no/such/path"));
  CHECK(file.names("/").size() == 8);
  CHECK(file.names("k10_T0.07/inputs") ==
        std::vector<std::string>{"test_features", "test_labels", "train_features", "train_labels"});
  CHECK(file.shape("k10_T0.07/inputs/train_features") == Shape{500, 32});
  CHECK(file.dtype("k10_T0.07/inputs/train_features") == DType::f32);
  CHECK(file.dtype("k10_T0.07/inputs/train_labels") == DType::i64);
  CHECK(file.read("k10_T0.07/outputs/top1").item() == 74.0);
  const Tensor all = file.read("k10_T0.07/inputs/train_features");
  CHECK(test::max_difference(file.read_rows("k10_T0.07/inputs/train_features", 3, 7), all.slice(0, 3, 7)) == 0);
  CHECK(file.attribute<int64_t>("k10_T0.07", "k") == 10);
  CHECK(file.attribute<double>("k10_T0.07", "k") == 10);
  CHECK(file.attribute<double>("k10_T0.07", "T") == 0.07);
  CHECK(file.attribute_names("k10_T0.07").size() >= 3);
}

TEST_CASE("hdf5: a missing object is reported with what is there") {
  const auto path = test::reference_path("knn.h5");
  if (!path) return;
  const hdf5::Reader file(*path);
  CHECK_THROWS_WITH_AS(file.read("k10_T0.07/inputs/labels"),
                       doctest::Contains("/k10_T0.07/inputs/ holds test_features, test_labels"), IoError);
  CHECK_THROWS_WITH_AS(file.read("x/y/z"), doctest::Contains("/ holds k10_T0.07, "), IoError);
  CHECK_THROWS_WITH_AS(file.read("k10_T0.07"), doctest::Contains("is not a dataset"), IoError);
  CHECK_THROWS_WITH_AS(file.names("k10_T0.07/inputs/train_labels"), doctest::Contains("is not a group"), IoError);
  CHECK_THROWS_WITH_AS(file.read_rows("k10_T0.07/inputs/train_labels", 499, 501), doctest::Contains("rows 499 to 501"),
                       IoError);
  CHECK_THROWS_WITH_AS(file.attribute<int64_t>("k10_T0.07", "T"), doctest::Contains("is not an integer"), IoError);
  CHECK_THROWS_WITH_AS(hdf5::Reader("/no/such.h5"), doctest::Contains("there is no such file"), IoError);
}

TEST_CASE("hdf5: what is written is read back") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64, DType::i64, DType::u8}) {
    CAPTURE(dtype);
    const Tensor matrix = arange(24, DType::f32).reshape({4, 6}).to(dtype);
    const Tensor tensors[] = {matrix, matrix.transpose(0, 1), matrix.slice(1, 1, 6, 2), scalar(3, dtype),
                              Tensor::empty({0, 3}, dtype)};
    for (const Tensor& t : tensors) {
      {
        hdf5::Writer writer(path);
        writer.write("group/x", t);
        writer.close();
      }
      const hdf5::Reader file(path);
      const Tensor back = file.read("group/x");
      CHECK(back.dtype() == dtype);
      CHECK(test::max_difference(back, t) == 0);
    }
  }
}

TEST_CASE("hdf5: rows are written in pieces") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  {
    hdf5::Writer writer(path);
    writer.create("x", {5, 2}, DType::u8);
    writer.write_rows("x", 3, full({2, 2}, 7, DType::u8));
    writer.write_rows("x", 0, full({1, 2}, 9, DType::u8));
    CHECK_THROWS_WITH_AS(writer.write_rows("x", 4, zeros({2, 2})), doctest::Contains("rows [2, 2] at 4 do not fit"),
                         IoError);
    CHECK_THROWS_AS(writer.write_rows("x", 0, zeros({2, 3})), IoError);
    CHECK_THROWS_AS(writer.write_rows("y", 0, zeros({2, 3})), IoError);
    CHECK_THROWS_WITH_AS(writer.create("x", {1}, DType::u8), doctest::Contains("cannot create the dataset"), IoError);
  }
  CHECK(hdf5::Reader(path).read("x").to_vector() == std::vector<double>{9, 9, 0, 0, 0, 0, 7, 7, 7, 7});
}

TEST_CASE("hdf5: attributes") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  const std::string long_text(100'000, 'x');
  {
    hdf5::Writer writer(path);
    fill(writer);
    writer.attribute("", "empty", std::string());
    writer.attribute("", "long", long_text);
    CHECK_THROWS_WITH_AS(writer.attribute("", "zero", std::string("a\0b", 3)), doctest::Contains("zero byte"), IoError);
    CHECK_THROWS_AS(writer.attribute("", "empty", std::string("again")), IoError);
  }
  const hdf5::Reader file(path);
  CHECK(file.attribute<std::string>("", "text") == "recipe: dino\n");
  CHECK(file.attribute<std::string>("", "empty") == "");
  CHECK(file.attribute<std::string>("", "long") == long_text);
  CHECK(file.attribute<int64_t>("model", "step") == int64_t{1} << 40);
  CHECK(file.attribute<double>("model/deep/b", "lr") == 0.1);
  CHECK(file.attribute<std::vector<double>>("model/deep/b", "lr") == std::vector<double>{0.1});
  CHECK(file.attribute_names("") == std::vector<std::string>{"empty", "long", "text"});
  CHECK(file.has_attribute("", "text"));
  CHECK_FALSE(file.has_attribute("", "nothing"));
  CHECK_THROWS_WITH_AS(file.attribute<std::string>("", "nothing"), doctest::Contains("/ @nothing"), IoError);
}

TEST_CASE("hdf5: equal content gives equal bytes") {
  const test::TemporaryFolder folder;
  hdf5::save(folder.path() / "a.h5", fill);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 counts seconds
  hdf5::save(folder.path() / "b.h5", fill);
  CHECK(read_file(folder.path() / "a.h5", 1 << 20) == read_file(folder.path() / "b.h5", 1 << 20));
}

TEST_CASE("hdf5: every damage to a sealed file is found" * doctest::test_suite("slow")) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.h5", bad = folder.path() / "bad.h5";
  hdf5::save(path, fill);
  CHECK(hdf5::is_sealed(path));
  CHECK(hdf5::open_sealed(path).read("ids").numel() == 4);
  CHECK(hdf5::Reader(path).read("ids").numel() == 4);
  const std::string good = read_file(path, 1 << 20);
  const auto bits = int64_t(good.size()) * 8;
  for (int64_t bit = 0; bit < bits; bit += bit < 300 ? 1 : 37) {
    std::ofstream(bad, std::ios::binary) << good;
    flip_bit(bad, bit);
    CAPTURE(bit);
    CHECK_THROWS_AS(hdf5::open_sealed(bad), IoError);
  }
  for (size_t size = 0; size < good.size(); size += size < 64 ? 1 : 61) {
    std::ofstream(bad, std::ios::binary) << good.substr(0, size);
    CAPTURE(size);
    CHECK_THROWS_AS(hdf5::open_sealed(bad), IoError);
  }
  std::ofstream(bad, std::ios::binary) << good << 'x';
  CHECK_THROWS_WITH_AS(hdf5::open_sealed(bad), doctest::Contains("is damaged: it has "), IoError);
  {
    hdf5::Writer writer(bad);
    fill(writer);
  }
  CHECK_FALSE(hdf5::is_sealed(bad));
  CHECK_THROWS_WITH_AS(hdf5::open_sealed(bad), doctest::Contains("is not a file of Vitrail's"), IoError);
}

TEST_CASE("hdf5: a full disk is an error and leaves the old file") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  hdf5::save(path, fill);
  for (const int64_t limit_kib : {1, 5, 100, 500, 1000}) {
    CAPTURE(limit_kib);
    std::cout.flush();
    const pid_t child = ::fork();
    if (child == 0) {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{rlim_t(limit_kib) << 10, rlim_t(limit_kib) << 10};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      int code = 0;
      try {
        hdf5::save(path, [](hdf5::Writer& file) {
          for (int i = 0; i < 4; ++i) file.write("x" + std::to_string(i), zeros({256, 256}));
        });
      } catch (const IoError&) {
        code = 7;
      }
      std::exit(code);  // HDF5's exit handler must survive the failed file too
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(hdf5::open_sealed(path).contains("ids"));
  }
  CHECK(remove_stale_temporaries(folder.path()) == 0);
}
