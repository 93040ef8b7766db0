// Commands with broken images among the good ones.
#include "tests/tools/program.h"
#include "tests/tools/tiny_models.h"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

using namespace vitrail;
using test::check_says;
using test::Output;
using test::vitrail_program;

namespace {

/// photos/ with a good image, a broken one, a good one and an empty one.
void write_photos(const std::filesystem::path& folder) {
  std::filesystem::create_directory(folder / "photos");
  test::write_tiny_image(folder / "photos/a.png", 1);
  test::write_text(folder / "photos/b.png", "x");
  test::write_tiny_image(folder / "photos/c.png", 2);
  test::write_text(folder / "photos/d.png", "");
}

}  // namespace

TEST_CASE("vitrail features skips broken images on demand, and its names are those of its rows") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit");
  write_photos(folder.path());

  const Output refused = vitrail_program(folder, "features -m vit photos -o f.npy");
  check_says(refused, 3, "broken image photos/b.png: ");
  check_says(refused, 3, "--on-error skip leaves out broken images");
  CHECK(refused.err.find("data.on_error") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "f.npy"));

  const Output skipped = vitrail_program(folder, "features -m vit photos -o f.npy --on-error skip");
  check_says(skipped, 0, "f.npy: 2 images (2 skipped), 64 numbers each");
  CHECK(skipped.err.find("skipped photos/b.png: ") != std::string::npos);
  CHECK(skipped.err.find("skipped photos/d.png: ") != std::string::npos);
  CHECK(test::read_text(folder.path() / "f.txt") == "photos/a.png\nphotos/c.png\n");
  // The same rows as of the good images alone.
  CHECK(vitrail_program(folder, "features -m vit photos/a.png photos/c.png -o g.npy").code == 0);
  CHECK(test::read_text(folder.path() / "f.npy") == test::read_text(folder.path() / "g.npy"));

  // With one image a batch, the last batch holds broken images alone. A missing file and a pipe are skipped too.
  REQUIRE(::mkfifo((folder.path() / "pipe.png").c_str(), 0600) == 0);
  test::write_text(folder.path() / "list.txt", "photos/c.png\nnone.png\npipe.png\nphotos/d.png\n");
  const Output listed =
      vitrail_program(folder, "features -m vit --list list.txt --batch 1 --on-error skip -o l.h5 --json");
  CAPTURE(listed.err);
  REQUIRE(listed.code == 0);
  const auto json = nlohmann::json::parse(listed.out);
  CHECK(json["pictures"] == nlohmann::json{"photos/c.png"});
  CHECK(json["skipped"] == 3);
  CHECK(json["numbers"] == 64);
  check_says(vitrail_program(folder, "search l.h5 photos/c.png"), 0, "photos/c.png  1.000");
  check_says(vitrail_program(folder, "features -m vit --list list.txt -o f.npy"), 3, "none.png: no such file");
  check_says(vitrail_program(folder, "features -m vit photos/b.png photos/d.png -o n.npy --on-error skip"), 3,
             "no image is left: all are broken");
}

TEST_CASE("vitrail features follows symbolic links on demand, and counts them otherwise") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit");
  test::write_tiny_image(folder.path() / "a.png", 1);
  std::filesystem::create_directory(folder.path() / "links");
  std::filesystem::create_symlink(folder.path() / "a.png", folder.path() / "links/l.png");
  check_says(vitrail_program(folder, "features -m vit links -o f.npy"), 3, "1 symbolic link was not followed");
  check_says(vitrail_program(folder, "features -m vit links -o f.npy --follow-symlinks"), 0, "f.npy: 1 images");
}

TEST_CASE("vitrail neighbours leaves out broken images of the data, in both parts") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit");
  for (const std::string part : {"train", "val"}) {
    std::filesystem::create_directories(folder.path() / "set" / part / "a");
    for (const int i : {1, 2, 3}) {
      const auto file = folder.path() / "set" / part / "a" / (std::to_string(i) + ".png");
      i == 2 ? test::write_text(file, "x") : test::write_tiny_image(file, i);
    }
  }
  const std::string command = "neighbours vit data.root=set";
  check_says(vitrail_program(folder, command), 3, "broken image set/train/a/2.png");
  const Output output = vitrail_program(folder, command + " data.on_error=skip data.max_bad=0.5");
  check_says(output, 0, "neighbours.png: 2 images, each with its nearest of 2");
  check_says(output, 0, "skipped set/val/a/2.png");
}

TEST_CASE("the other commands that read images skip broken ones too") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit");
  recipes::write_model(test::tiny_clip(), "hf", folder.path() / "clip");
  write_photos(folder.path());
  REQUIRE(vitrail_program(folder, "features -m vit photos/a.png photos/c.png -o f.h5").code == 0);
  for (const std::string command :
       {"similarity -m vit photos", "search f.h5 photos", "zero-shot -m clip photos --labels cat dog",
        "attention vit photos", "pca vit photos",
        "neighbours vit data.root=photos data.on_error=skip data.max_bad=1 -q photos"}) {
    CAPTURE(command);
    const Output refused = vitrail_program(folder, command);
    check_says(refused, 3, "b.png");
    check_says(refused, 3, "--on-error skip");
    const Output skipped = vitrail_program(folder, command + " --on-error skip");
    CAPTURE(skipped.out);
    check_says(skipped, 0, "skipped photos/b.png: ");
    check_says(skipped, 0, "skipped photos/d.png: ");
    CHECK(skipped.out.find("b.png") == std::string::npos);
  }
  check_says(vitrail_program(folder, "attention vit photos -n 2 --on-error skip"), 0, "attention.png: 2 images");
  check_says(vitrail_program(folder, "pca vit photos/b.png photos/a.png none.png photos/d.png --on-error skip"), 0,
             "skipped none.png: ");
  check_says(vitrail_program(folder, "pca vit photos/b.png --on-error skip"), 3, "none of its images can be read");

  // An image of the index that has gone since
  std::filesystem::remove(folder.path() / "photos/a.png");
  check_says(vitrail_program(folder, "search f.h5 photos/c.png -o s.png"), 3, "--on-error skip draws a white cell");
  check_says(vitrail_program(folder, "search f.h5 photos/c.png -o s.png --on-error skip"), 0, "s.png: the queries");
}
