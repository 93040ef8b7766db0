#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/sources/hdf5_dataset.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace vitrail::data {
namespace {

std::string text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A file that another program wrote, so it has no seal.
void write_foreign(const std::filesystem::path& path, const std::function<void(hdf5::Writer&)>& fill) {
  hdf5::Writer writer(path);
  fill(writer);
  writer.close();
}

}  // namespace

TEST_CASE("a child hands over messages, and how it ended is told") {
  const auto run = [](const std::function<void(const Send&)>& work, ChildLimits limits = {}) {
    ChildProcess child(work, limits);
    std::string out;
    while (const std::optional<Bytes> message = child.receive()) out += text_of(*message) + "|";
    CHECK_FALSE(child.receive());
    return out;
  };
  const std::string text(3'000'000, 'x');
  CHECK(run([&](const Send& send) {
          send(test::bytes_of("a"));
          send({});
          send(test::bytes_of(text));
        }) == "a||" + text + "|");
  CHECK_THROWS_WITH_AS(run([](const Send&) { std::raise(SIGSEGV); }), doctest::Contains("crashed: SIGSEGV"),
                       ChildFailure);
  CHECK_THROWS_WITH_AS(run([](const Send&) { _exit(3); }), doctest::Contains("ended with status 3"), ChildFailure);
  CHECK_THROWS_WITH_AS(run([](const Send&) { fail<IoError>("x", "is bad"); }), "[x] is bad", IoError);
  CHECK_THROWS_WITH_AS(
      run([](const Send&) { std::this_thread::sleep_for(std::chrono::seconds(60)); }, {.timeout_ms = 50}),
      doctest::Contains("hung: no answer for 50 ms"), ChildFailure);
  const auto spin = [](const Send&) {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::minutes(1)) {
    }
  };
  CHECK_THROWS_WITH_AS(run(spin, {.cpu_seconds = 1}), doctest::Contains("crashed: SIG"), ChildFailure);
}

// The allocator of clang 14's address sanitizer does not hold its locks over a fork. About once in a hundred runs the
// child waits forever for a lock.
#ifndef __has_feature
#define __has_feature(name) 0
#endif
constexpr int kForks = __has_feature(address_sanitizer) ? 2 : 50;

TEST_CASE("a child may allocate tensors and read HDF5 while other threads do") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "x.h5";
  write_foreign(path, [](hdf5::Writer& w) { w.write("image", zeros({2, 2, 2, 3}, DType::u8)); });
  std::vector<std::jthread> busy;
  busy.reserve(2);
  for (int i = 0; i < 2; ++i)
    busy.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) hdf5::Reader(path).read("image");
    });
  for (int i = 0; i < kForks; ++i) CHECK(open_hdf5(path.string(), "train")->size() == 2);
}

TEST_CASE("other people's files are read in every layout we know") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.h5").string();
  const Tensor nhwc = Rng(1, "pixels").uniform({5, 2, 3, 3}, 0, 255).to(DType::u8);
  const Tensor labels = tensor<int64_t>({2, 0, 1, 1, 0}, {5});
  write_foreign(path, [&](hdf5::Writer& w) {
    w.write("train/image", nhwc);
    w.write("train/label", labels);
    w.write("test/image", nhwc.permute({0, 3, 1, 2}));
    w.attribute("test", "layout", std::string("NCHW"));
    w.attribute("", "classes", std::string("ant\nbee\ncow"));
  });
  const auto train = open_hdf5(path, "train"), test = open_hdf5(path, "val");
  REQUIRE(train->size() == 5);
  CHECK(train->classes() == std::vector<std::string>{"ant", "bee", "cow"});
  CHECK(test->classes().empty());
  for (int64_t i = 0; i < 5; ++i) {
    CHECK(train->label(i) == labels.data<int64_t>()[i]);
    CHECK(train->get(i).image == test->get(i).image);
    CHECK(train->get(i).image.data()[4] == nhwc.data<uint8_t>()[i * 18 + 4]);
  }
  write_foreign(path, [&](hdf5::Writer& w) { w.write("image", nhwc.select(3, 0)); });
  CHECK(open_hdf5(path, "train")->get(4).image.width() == 3);
}

TEST_CASE("what a file lacks is named") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.h5").string();
  const auto rejected = [&](const char* message, const std::function<void(hdf5::Writer&)>& fill) {
    write_foreign(path, fill);
    const std::string full = "dataset file " + path + " rejected (";
    CHECK_THROWS_WITH_AS(open_hdf5(path, "train"), doctest::Contains(full.c_str()), DataError);
    CHECK_THROWS_WITH_AS(open_hdf5(path, "train"), doctest::Contains(message), DataError);
  };
  const Tensor images = zeros({2, 1, 1, 3}, DType::u8);
  rejected("no part 'train' with images", [&](hdf5::Writer& w) { w.write("pictures", images); });
  rejected("image is f32; pixels are u8", [&](hdf5::Writer& w) { w.write("image", zeros({2, 1, 1, 3})); });
  rejected("images are [N, H, W, C]", [&](hdf5::Writer& w) { w.write("image", zeros({2, 3}, DType::u8)); });
  rejected("labels are integers [N]", [&](hdf5::Writer& w) {
    w.write("image", images);
    w.write("label", zeros({2}));
  });
  rejected("layout is 'CHWN'", [&](hdf5::Writer& w) {
    w.write("image", images);
    w.attribute("", "layout", std::string("CHWN"));
  });
  test::write_text(path, "no HDF5 at all");
  CHECK_THROWS_WITH_AS(open_hdf5(path, "train"), doctest::Contains("rejected ("), DataError);
}

TEST_CASE("damaged files never take the program down") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.h5").string();
  write_foreign(path, [](hdf5::Writer& w) {
    w.write("train/image", zeros({3, 2, 2, 1}, DType::u8));
    w.write("train/label", zeros({3}, DType::i64));
    w.attribute("", "classes", std::string("a"));
  });
  const std::string good = test::read_text(path);
  Rng rng(3, "damage");
  int opened = 0, refused = 0;
  for (int i = 0; i < 150; ++i) {
    std::string bad = good;
    for (int flips = 0; flips < 4; ++flips) bad[size_t(rng.below(int64_t(bad.size())))] = char(rng.next());
    if (i % 5 == 0) bad.resize(size_t(rng.below(int64_t(bad.size()))));
    test::write_text(path, bad);
    try {
      open_hdf5(path, "train", {}, {.timeout_ms = 2000});
      ++opened;
    } catch (const DataError&) {
      ++refused;
    }
  }
  CHECK(opened + refused == 150);
  CHECK(refused > 10);
}

}  // namespace vitrail::data
