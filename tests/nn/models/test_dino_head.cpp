#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/dino_head.h"
#include "vitrail/nn/state_io.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

DinoHeadConfig small(bool use_bn) {
  return {.out_dim = 5, .hidden_dim = 6, .bottleneck_dim = 4, .use_bn = use_bn, .norm_last_layer = false};
}

}  // namespace

TEST_CASE("DINO's head has the names of its checkpoints, with batch normalisation and without") {
  const auto names = [](bool use_bn) {
    std::string all;
    for (const auto& [name, value] : state(DinoHead(Scope(0), 3, small(use_bn)))) all += name + " ";
    return all;
  };
  CHECK(names(false) ==
        "last_layer.weight_g last_layer.weight_v mlp.0.bias mlp.0.weight mlp.2.bias mlp.2.weight mlp.4.bias "
        "mlp.4.weight ");
  CHECK(names(true) ==
        "last_layer.weight_g last_layer.weight_v mlp.0.bias mlp.0.weight mlp.1.bias mlp.1.running_mean "
        "mlp.1.running_var mlp.1.weight mlp.3.bias mlp.3.weight mlp.4.bias mlp.4.running_mean mlp.4.running_var "
        "mlp.4.weight mlp.6.bias mlp.6.weight ");
}

TEST_CASE("its hidden layers are normalised over the batch in training, by running averages in evaluation") {
  DinoHead head(Scope(1, DType::f64), 3, small(true));
  for (BatchNorm2d& norm : head.norms) norm.eps = 0;
  Rng rng(1, "batch");
  const Tensor x = rng.normal({7, 3}, 0, 1, DType::f64);
  const auto change = [&] {  // the output's change after a change of scale and offset
    const Tensor before = head(x).value();
    Linear& layer = head.mlp.front();
    layer.weight.update([](Tensor& w) { w = core::affine(w, 3); });
    layer.bias->update([](Tensor& b) { b = core::affine(b, 1, 0.5); });
    return test::max_difference(head(x).value(), before);
  };
  CHECK(change() < 1e-12);
  head.eval();
  CHECK(change() > 1e-3);
  head.train();
  CHECK(ag::gradcheck([&](const ag::Vars& v) { return head(v[0]); }, std::vector<Tensor>{x}).ok);
}

}  // namespace vitrail::nn
