#include "vitrail/recipes/eval/linear_probe.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/data/load/sampler.h"
#include "vitrail/nn/linear.h"
#include "vitrail/optim/schedule.h"
#include "vitrail/optim/sgd.h"
#include "vitrail/recipes/eval/evaluate.h"

#include <algorithm>
#include <deque>

namespace vitrail::recipes {
namespace {

constexpr double kLrImages = 256;  // the batch size that learning rates are given for

/// One classifier for each learning rate. They read the same features, so their weights are one matrix in the product.
struct Probes final : nn::Module<Probes> {
  Probes(const nn::Scope& scope, int64_t dim, int64_t classes, const std::vector<double>& lr) : Module(scope) {
    for (size_t i = 0; i < lr.size(); ++i)
      heads.emplace_back(sub("head." + std::to_string(i)), dim, classes,
                         nn::LinearConfig{.weight_init = nn::init::normal(0.01)});
  }

  /// Shape: x [B, D] -> [B, probes * classes].
  ag::Var forward(const ag::Var& x) {
    std::vector<ag::Var> weights, biases;
    for (nn::Linear& head : heads) {
      weights.emplace_back(head.weight);
      biases.emplace_back(*head.bias);
    }
    return linear(x, ag::concat(weights, 0), ag::concat(biases, 0));
  }

  /// One parameter group for each probe. lr_scale is relative to the first learning rate.
  std::vector<optim::ParamGroup> param_groups(const std::vector<double>& lr) {
    std::vector<optim::ParamGroup> groups;
    for (size_t i = 0; i < lr.size(); ++i)
      groups.push_back({.parameters = heads[i].parameters(), .lr_scale = lr[i] / lr[0]});
    return groups;
  }

  std::deque<nn::Linear> heads;
};

}  // namespace

std::vector<LinearProbeResult> linear_probe(const std::vector<FeatureSet>& train, const FeatureSet& test,
                                            int64_t classes, const LinearProbeOptions& options, const Tick& tick) {
  check<ShapeError>(!train.empty() && !options.lr.empty() && test.features.size(0) > 0, "linear_probe",
                    "was given {} training sets, {} learning rates and {} test features", train.size(),
                    options.lr.size(), test.features.size(0));
  const int64_t size = train[0].features.size(0), dim = test.features.size(1), probes = int64_t(options.lr.size());
  for (const FeatureSet& set : train)
    check<ShapeError>(set.features.shape() == Shape{size, dim}, "linear_probe", "training features are {}, needs {}",
                      set.features.shape(), Shape{size, dim});

  const ag::Autocast full(DType::f32);
  Probes model(nn::Scope(options.seed), dim, classes, options.lr);
  optim::Sgd optimizer(model.param_groups(options.lr), {.momentum = options.momentum});
  const int64_t batch = std::min(options.batch_size, size), steps = (size + batch - 1) / batch;
  const optim::CosineSchedule lr{.base = options.lr[0] * double(batch) / kLrImages, .steps = double(options.epochs)};
  const data::Sampler sampler(size, /*shuffle=*/true, options.seed);
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const FeatureSet& set = train[size_t(epoch) % train.size()];
    const Tensor order = tensor(sampler.order(epoch), {size});
    for (int64_t step = 0; step < steps; ++step) {
      const Tensor ids = order.slice(0, step * batch, std::min((step + 1) * batch, size));
      const Tensor x = core::embedding(set.features, ids), labels = core::embedding(set.labels, ids);
      const int64_t rows = ids.size(0);
      ag::Tape tape;
      const ag::Var scores = reshape(model(x), {rows * probes, classes});
      const Tensor repeated = labels.unsqueeze(1).expand({rows, probes}).contiguous().reshape({rows * probes});
      // cross_entropy() is the mean over the rows of all probes. The factor gives each probe the gradient of its own
      // mean loss.
      tape.backward(cross_entropy(scores, repeated) * double(probes));
      optimizer.step(lr(double(epoch)), 0);
      optimizer.zero_grad();
    }
    tick(epoch + 1, options.epochs);
  }

  std::vector<LinearProbeResult> results;
  const Tensor scores = model(test.features).value();  // [M, probes * classes]
  for (int64_t i = 0; i < probes; ++i) {
    const auto places = label_places(scores.slice(1, i * classes, (i + 1) * classes), test.labels, 5);
    results.push_back({options.lr[size_t(i)], share_below(places, 1), share_below(places, 5)});
  }
  return results;
}

LinearProbeResult best_of(const std::vector<LinearProbeResult>& results) {
  return *std::max_element(results.begin(), results.end(),
                           [](const auto& a, const auto& b) { return a.top1 < b.top1; });
}

}  // namespace vitrail::recipes
