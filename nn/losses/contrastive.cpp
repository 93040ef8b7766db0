#include "vitrail/nn/losses/contrastive.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"

namespace vitrail::nn {
namespace {

/// The number of pairs.
int64_t pairs(const char* op, const Var& logits) {
  check<ShapeError>(logits.rank() == 2 && logits.size(0) == logits.size(1) && logits.size(0) > 0, op,
                    "logits are {}; they must be [B, B]", logits.shape());
  return logits.size(0);
}

}  // namespace

Var pair_logits(const Var& image, const Var& text, const Var& log_scale, const Var& bias) {
  check<ShapeError>(image.rank() == 2 && image.shape() == text.shape(), "pair_logits",
                    "image features are {}, text features {}; both must be [B, D]", image.shape(), text.shape());
  const ag::Autocast full(DType::f32);
  const Var cosines = matmul(l2_normalize(image), l2_normalize(text), ag::Trans::no, ag::Trans::yes);
  const Var logits = cosines * exp(log_scale);
  return bias.defined() ? logits + bias : logits;
}

Var contrastive_loss(const Var& logits) {
  const Tensor labels = arange(pairs("contrastive_loss", logits));
  return 0.5 * (cross_entropy(logits, labels) + cross_entropy(transpose(logits, 0, 1), labels));
}

Var sigmoid_loss(const Var& logits) {
  const int64_t n = pairs("sigmoid_loss", logits);
  // The mean over all n^2 of -ln sigmoid(+-logit), times n: a sum divided by n.
  return double(n) * bce_with_logits(logits, core::one_hot(arange(n), n, 1, 0, logits.dtype()));
}

Tensor cached_backward(const std::vector<EncodeSlice>& towers, int64_t slices, const BatchLoss& loss) {
  using Random = ag::RandomScope;
  std::vector<std::vector<Random::State>> random(towers.size());  // before each forward pass
  std::vector<Tensor> features, gradients;
  std::vector<std::vector<int64_t>> sizes(towers.size());
  {
    const ag::NoGrad no_grad;
    for (size_t t = 0; t < towers.size(); ++t) {
      std::vector<Tensor> parts;
      for (int64_t i = 0; i < slices; ++i) {
        random[t].push_back(Random::state());
        parts.push_back(towers[t](i).value());
        sizes[t].push_back(parts.back().size(0));
      }
      features.push_back(core::concat(parts, 0));  // [B, D]
    }
  }
  Tensor value;
  {
    ag::Tape tape;
    std::vector<Var> inputs;
    inputs.reserve(features.size());
    for (const Tensor& f : features) inputs.push_back(tape.input(f));
    const Var result = loss(inputs);
    tape.backward(result);
    value = result.value();
    gradients.reserve(inputs.size());
    for (const Var& input : inputs) gradients.push_back(tape.grad(input));
  }
  const Random::State after = Random::state();
  for (size_t t = 0; t < towers.size(); ++t) {
    int64_t begin = 0;
    for (int64_t i = 0; i < slices; ++i) {
      const int64_t end = begin + sizes[t][size_t(i)];
      Random::state() = random[t][size_t(i)];
      std::optional<ag::GradHook> growing;  // only the last slice makes a tower's gradients final
      if (i + 1 < slices) growing.emplace(nullptr);
      ag::Tape tape;
      const Var again = towers[t](i);
      if (again.requires_grad() && gradients[t].defined())
        tape.backward(again, gradients[t].slice(0, begin, end));  // skipped for a frozen tower
      begin = end;
    }
  }
  Random::state() = after;
  return value;
}

}  // namespace vitrail::nn
