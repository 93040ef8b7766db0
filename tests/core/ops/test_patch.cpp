#include "tests/core/ops/kernel_case.h"
#include "tests/support/reference.h"
#include "vitrail/core/error.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>

namespace vitrail {
namespace {

using core::Grid, core::PosInterp, core::resample_positions;
using test::Tensors;

constexpr PosInterp kModes[] = {PosInterp::scale_offset, PosInterp::size_antialias, PosInterp::size,
                                PosInterp::align_corners, PosInterp::zoom_linear};

/// Row i of the matrix that resamples n positions of a line to m.
std::vector<double> weights_of(int64_t n, int64_t m, PosInterp mode, int64_t i) {
  const Tensor unit = core::one_hot(arange(n), n, 1, 0, DType::f64);
  return resample_positions(unit, {n, 1}, {m, 1}, mode).select(0, i).to_vector();
}

}  // namespace

TEST_CASE("patchify cuts images into (c, y, x) patches") {
  const Tensor images = arange(2 * 3 * 4 * 6, DType::f32).reshape({2, 3, 4, 6});
  const Tensor patches = core::patchify(images, 2);
  CHECK(patches.shape() == Shape{2, 6, 12});
  CHECK(patches.select(0, 0).select(0, 1).to_vector() ==
        std::vector<double>{2, 3, 8, 9, 26, 27, 32, 33, 50, 51, 56, 57});
  CHECK(test::max_difference(core::unpatchify(patches, 2, images.shape()), images) == 0);
  CHECK(test::max_difference(core::patchify(images.transpose(2, 3), 2),
                             core::patchify(images.transpose(2, 3).contiguous(), 2)) == 0);
  CHECK_FALSE(core::patchify(images.slice(0, 0, 1).slice(1, 0, 1).slice(3, 0, 4), 4).shares_storage(images));
  CHECK_THROWS_WITH_AS(core::patchify(images, 4), doctest::Contains("images of 4 x 6 are not made of patches of 4 x 4"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(core::unpatchify(patches, 2, {2, 3, 4, 4}), doctest::Contains("need [2, 4, 12]"), ShapeError);
}

TEST_CASE("positions are resampled with the weights of each implementation") {
  struct Row {
    PosInterp mode;
    int64_t from, to, row, first;
    std::vector<double> weights;
  };
  const std::vector<Row> rows = {
      {PosInterp::scale_offset, 14, 6, 0, 0, {-.060331729 + .395953984, .775219760, -.110842014}},
      {PosInterp::scale_offset, 14, 6, 1, 1, {-.002327425, .047734860, .992828833, -.038236268}},
      {PosInterp::scale_offset, 14, 6, 2, 4, {-.103596639, .889655825, .246245143, -.032304328}},
      {PosInterp::scale_offset, 14, 6, 3, 6, {-.087225776, .550358152, .636335613, -.099467990}},
      {PosInterp::scale_offset, 14, 6, 4, 8, {-.018396777, .167166938, .939709574, -.088479735}},
      {PosInterp::scale_offset, 14, 6, 5, 11, {-.070931735, .968310261, .112565176 - .009943701}},
      {PosInterp::size, 14, 6, 0, 0, {-.055555556 + .370370370, .796296296, -.111111111}},
      {PosInterp::size_antialias, 14, 6, 0, 0, {.383064516, .439516129, .213709677, 0, -.032258065, -.004032258}},
      {PosInterp::scale_offset, 37, 16, 0, 0, {-.059951054 + .393905441, .776928535, -.110882923}},
      {PosInterp::size_antialias,
       37,
       16,
       0,
       0,
       {.387186379, .441450665, .209256188, -.003056489, -.031816962, -.003019781}},
      {PosInterp::size_antialias,
       37,
       16,
       7,
       13,
       {-.016364220, -.029513305, .074067801, .320480630, .428314028, .243594176, .018384033, -.031869753,
        -.007093389}},
      {PosInterp::zoom_linear, 5, 3, 1, 2, {1}},
      {PosInterp::zoom_linear, 3, 4, 1, 0, {1.0 / 3, 2.0 / 3}},
  };
  for (const Row& r : rows) {
    CAPTURE(int(r.mode));
    CAPTURE(r.row);
    std::vector<double> expected(size_t(r.from), 0.0);
    std::copy(r.weights.begin(), r.weights.end(), expected.begin() + r.first);
    const auto weights = weights_of(r.from, r.to, r.mode, r.row);
    for (size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(weights[i] - expected[i]) < 2e-9);
  }
}

TEST_CASE("whole tables equal those of the official code") {
  const auto path = test::reference_path("vision_golden.json");
  if (!path) return;
  std::ifstream stream(*path);
  const auto golden = nlohmann::json::parse(stream).at("pos_embed_resample");
  Tensor table = Tensor::empty({49, 2}, DType::f64);
  for (int64_t i = 0; i < 98; ++i) table.data<double>()[i] = 0.1 * std::sin(0.37 * double(i) + 2.6);
  const std::vector<std::pair<std::string, PosInterp>> modes = {{"offset0.1", PosInterp::scale_offset},
                                                                {"size", PosInterp::size},
                                                                {"size_antialias", PosInterp::size_antialias},
                                                                {"align_corners", PosInterp::align_corners}};
  const std::vector<std::pair<std::string, Grid>> grids = {{"3x3", {3, 3}}, {"7x5", {7, 5}}, {"10x12", {10, 12}}};
  for (const auto& [mode_name, mode] : modes)
    for (const auto& [grid_name, grid] : grids) {
      const std::string name = mode_name + " " + grid_name;
      CAPTURE(name);
      const auto expected = tensor(golden.at(name).get<std::vector<double>>(), {grid.height * grid.width, 2});
      const Tensor f32 = resample_positions(table.to(DType::f32), {7, 7}, grid, mode);
      CHECK(f32.dtype() == DType::f32);
      CHECK(test::max_difference(f32, expected) < 1e-6);
      CHECK(test::max_difference(resample_positions(table, {7, 7}, grid, mode), expected) < 1e-6);
    }
}

TEST_CASE("resample_positions_backward is the transpose, and weights sum to one") {
  Rng rng(12, "positions");
  for (PosInterp mode : kModes)
    for (const auto& [from, to] :
         {std::pair{Grid{7, 7}, Grid{3, 5}}, {{4, 6}, {9, 6}}, {{5, 5}, {1, 1}}, {{3, 3}, {3, 3}}}) {
      const Tensor x = rng.normal({from.height * from.width, 3}, 0, 1, DType::f64);
      const Tensor dy = rng.normal({to.height * to.width, 3}, 0, 1, DType::f64);
      const double forward = core::sum(core::mul(resample_positions(x, from, to, mode), dy)).item();
      const Tensor dx = core::resample_positions_backward(dy, from, to, mode);
      CHECK(core::sum(core::mul(dx, x)).item() == doctest::Approx(forward).epsilon(1e-10));
      const Tensor flat = resample_positions(ones(x.shape(), DType::f64), from, to, mode);
      CHECK(test::max_difference(flat, ones(dy.shape(), DType::f64)) < 1e-12);
    }
}

TEST_CASE("an unchanged grid copies the table") {
  const Tensor table = arange(18, DType::f32).reshape({9, 2});
  for (PosInterp mode : kModes) {
    const Tensor same = resample_positions(table, {3, 3}, {3, 3}, mode);
    CHECK(test::max_difference(same, table) == 0);
    CHECK_FALSE(same.shares_storage(table));
  }
  CHECK(resample_positions(table.to(DType::bf16), {3, 3}, {2, 2}, PosInterp::size).dtype() == DType::f32);
  CHECK_THROWS_WITH_AS(resample_positions(table, {3, 4}, {2, 2}, PosInterp::size),
                       doctest::Contains("[9, 2] is not [3 x 4, C]"), ShapeError);
  CHECK_THROWS_WITH_AS(resample_positions(table, {3, 3}, {0, 2}, PosInterp::size),
                       doctest::Contains("a grid of 0 x 2 has no positions"), ShapeError);
}

}  // namespace vitrail
