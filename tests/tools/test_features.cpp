#include "tests/tools/program.h"
#include "vitrail/data/image/codec.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace vitrail;
using test::Output;

TEST_CASE("features of a published model go into HDF5, NPY and CSV, and say how alike images are") {
  const test::TemporaryFolder folder;
  const auto vitrail = [&](const std::string& arguments, int code = 0) {
    Output output = test::run(folder, "vitrail", arguments);
    CAPTURE(arguments);
    CAPTURE(output.err);
    CHECK(output.code == code);
    return output;
  };
  vitrail("init --arch vit_tiny --out vit");
  data::Image image(40, 60);
  std::filesystem::create_directory(folder.path() / "images");
  for (const std::string name : {"a", "b"}) {
    for (size_t i = 0; i < image.pixels().size(); ++i) image.data()[i] = uint8_t(i * size_t(name[0]));
    data::write_png(folder.path() / "images" / (name + ".png"), image);
  }
  CHECK(vitrail("features -m vit images -o f.h5").out.find("2 images, 192 numbers each") != std::string::npos);
  const auto found = nlohmann::json::parse(vitrail("search f.h5 images/b.png -k 2 --json").out)[0]["found"];
  CHECK(found[0]["picture"] == "images/b.png");
  CHECK(found[0]["cosine"] == doctest::Approx(1));
  vitrail("features -m vit images/a.png images/b.png -o f.csv");
  const std::string csv = test::read_text(folder.path() / "f.csv");
  CHECK(csv.starts_with("name,f0,f1,"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 3);
  vitrail("features -m vit images -o f.npy --normalize");
  CHECK(test::read_text(folder.path() / "f.txt") == "images/a.png\nimages/b.png\n");
  const std::string npy = test::read_text(folder.path() / "f.npy");
  CHECK(npy.substr(1, 5) == "NUMPY");
  CHECK(npy.find("'shape': (2, 192)") != std::string::npos);
  CHECK(npy.size() % 64 == 0);  // the numbers begin at a multiple of 64 bytes and take 24 * 64 bytes

  test::write_text(folder.path() / "list.txt", "images/b.png\nimages/a.png\n");
  const auto cosines = nlohmann::json::parse(vitrail("similarity -m vit --list list.txt --json").out);
  CHECK(cosines["pictures"][0] == "images/b.png");
  CHECK(cosines["cosines"][0][0] == doctest::Approx(1));
  CHECK(cosines["cosines"][0][1] == cosines["cosines"][1][0]);
  CHECK(vitrail("similarity -m vit images").out.find("2 images/b.png") != std::string::npos);

  CHECK(vitrail("features -m vit images -o f.json", 2).err.find("must end in .h5, .hdf5, .npy or .csv") !=
        std::string::npos);
  CHECK(vitrail("features -m vit c.png -o f.h5", 3).err.find("c.png: no such file") != std::string::npos);
  CHECK(vitrail("zero-shot -m vit images --labels x", 2).err.find("has no text tower") != std::string::npos);
  CHECK(vitrail("search f.csv images", 3).err.find("f.csv") != std::string::npos);
}
