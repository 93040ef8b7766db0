#include "tests/support/close.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/transfer.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

VitConfig small(int64_t img_size, int64_t classes, bool distilled) {
  VitConfig c{.img_size = img_size, .patch_size = 4, .num_classes = classes, .embed_dim = 8};
  c.depth = 1;
  c.num_heads = 2;
  c.distilled = distilled;
  c.pos_interp = ag::PosInterp::size;
  return c;
}

std::string joined(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += note + "\n";
  return text;
}

}  // namespace

TEST_CASE("weights of the same shapes are copied without a word") {
  VisionTransformer from(Scope(1), small(16, 5, true)), to(Scope(2), small(16, 5, true));
  CHECK(load_pretrained(to, state(from), "file").empty());
  for (const auto& [name, value] : state(from)) CHECK(test::max_difference(state(to).at(name), value) == 0);
}

TEST_CASE("positions are resampled to the model's grid, prefix rows are copied, other heads start anew") {
  for (const bool distilled : {false, true}) {
    CAPTURE(distilled);
    VisionTransformer from(Scope(1), small(16, 5, distilled)), to(Scope(2), small(24, 3, distilled));
    const Tensor head = to.head->weight.value().clone();
    const std::string notes = joined(load_pretrained(to, state(from), "file"));
    CHECK(notes.find("pos_embed is resampled from 4x4 to 6x6 patches") != std::string::npos);
    CHECK(notes.find("head.weight [3, 8] starts anew: it is [5, 8] in the file") != std::string::npos);
    CHECK((notes.find("head_dist.weight") != std::string::npos) == distilled);
    const int64_t prefix = distilled ? 2 : 1;
    const Tensor theirs = from.pos_embed->value().select(0, 0), mine = to.pos_embed->value().select(0, 0);
    CHECK(test::max_difference(mine.slice(0, 0, prefix), theirs.slice(0, 0, prefix)) == 0);
    const Tensor patches = theirs.slice(0, prefix, theirs.size(0)).contiguous();
    const Tensor expected = core::resample_positions(patches, {4, 4}, {6, 6}, ag::PosInterp::size);
    CHECK(test::max_difference(mine.slice(0, prefix, mine.size(0)), expected) == 0);
    CHECK(test::max_difference(to.head->weight.value(), head) == 0);
    CHECK(test::max_difference(to.parameter("blocks.0.mlp.fc1.weight").value(),
                               from.parameter("blocks.0.mlp.fc1.weight").value()) == 0);
  }
}

TEST_CASE("a plain transformer starts a distilled one, and the other way round") {
  VisionTransformer plain(Scope(1), small(16, 5, false)), distilled(Scope(2), small(16, 5, true));
  const Tensor own = distilled.pos_embed->value().clone();
  const std::string notes = joined(load_pretrained(distilled, state(plain), "file"));
  CHECK(notes.find("dist_token [1, 1, 8] starts anew: the file has none") != std::string::npos);
  const auto row = [](const Tensor& table, int64_t i) { return table.select(1, i); };
  const Tensor& now = distilled.pos_embed->value();
  CHECK(test::max_difference(row(now, 0), row(plain.pos_embed->value(), 0)) == 0);
  CHECK(test::max_difference(row(now, 1), row(own, 1)) == 0);
  CHECK(test::max_difference(row(now, 2), row(plain.pos_embed->value(), 1)) == 0);
  CHECK(test::max_difference(distilled.head->weight.value(), plain.head->weight.value()) == 0);

  VisionTransformer back(Scope(3), small(16, 5, false));
  CHECK(joined(load_pretrained(back, state(distilled), "file")).find("head_dist.bias is left out") !=
        std::string::npos);
  CHECK(test::max_difference(back.pos_embed->value(), plain.pos_embed->value()) == 0);
}

TEST_CASE("weights of another architecture are refused and change nothing") {
  VisionTransformer model(Scope(1), small(16, 5, false));
  VitConfig deeper = small(16, 5, false);
  deeper.depth = 2;
  VisionTransformer other(Scope(2), deeper);
  const Tensor before = model.pos_embed->value().clone();
  CHECK_THROWS_WITH_AS(load_pretrained(model, state(other), "other.h5"), doctest::Contains("blocks.1."), IoError);
  CHECK(test::max_difference(model.pos_embed->value(), before) == 0);

  ResNetConfig ten{.layers = {1, 1}, .width = 4, .small_images = true, .num_classes = 10}, three = ten;
  three.num_classes = 3;
  ResNet teacher(Scope(1), ten), student(Scope(2), three);
  CHECK(joined(load_pretrained(student, state(teacher), "file")).find("fc.weight [3, 8] starts anew") !=
        std::string::npos);
  CHECK(test::max_difference(student.conv1.weight.value(), teacher.conv1.weight.value()) == 0);
}

}  // namespace vitrail::nn
