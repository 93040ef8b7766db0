// A training loop of your own: a small vision transformer learns to tell whether the brighter half of an image is left,
// right, top or bottom.
#include <vitrail/autograd/ops.h>
#include <vitrail/autograd/scope.h>
#include <vitrail/core/rng.h>
#include <vitrail/nn/models/vision_transformer.h>
#include <vitrail/optim/adamw.h>
#include <vitrail/optim/param_groups.h>

#include <cstdio>

using namespace vitrail;

struct Batch {
  Tensor images, labels;  // [B, 3, 16, 16], [B]
};

Batch make_batch(int64_t size, uint64_t index) {
  Rng rng(0, "halves", index);
  Batch batch{rng.normal({size, 3, 16, 16}, 0, 1), Tensor::empty({size}, DType::i64)};
  for (int64_t i = 0; i < size; ++i) {
    const int64_t label = rng.below(4), begin = label % 2 ? 8 : 0;
    Tensor half = batch.images.select(0, i).slice(label < 2 ? 2 : 1, begin, begin + 8);
    core::add_(half, full({1, 1, 1}, 0.4));
    batch.labels.span<int64_t>()[size_t(i)] = label;
  }
  return batch;
}

int main() {
  const nn::VitConfig config{
      .img_size = 16, .patch_size = 4, .num_classes = 4, .embed_dim = 32, .depth = 2, .num_heads = 2};
  nn::VisionTransformer model(nn::Scope(0), config);
  std::printf("%lld parameters\n", static_cast<long long>(model.parameter_count()));
  optim::AdamW optimizer(optim::decay_groups(model.parameters()));

  double correct = 0;
  for (uint64_t step = 0; step < 300; ++step) {
    const Batch batch = make_batch(64, step);
    const ag::RandomScope random(0, step);
    ag::Tape tape;
    const ag::Var logits = model(batch.images), loss = cross_entropy(logits, batch.labels);
    tape.backward(loss);
    optimizer.step(1e-3, 0.05);
    optimizer.zero_grad();
    const Tensor guess = core::argmax(logits.value(), -1);
    for (size_t i = 0; i < 64 && step >= 290; ++i)
      correct += guess.span<int64_t>()[i] == batch.labels.span<int64_t>()[i];
    if (step % 50 == 0) std::printf("step %3d  loss %.3f\n", int(step), loss.value().item());
  }
  std::printf("accuracy on the last 640 images: %.3f\n", correct / 640);
  return correct / 640 > 0.9 ? 0 : 1;
}
