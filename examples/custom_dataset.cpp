// A dataset source of your own: this program teaches open_dataset the path "shapes:N" and trains a small vision
// transformer on it. Registered in main(), the source also serves as `data.root=shapes:N` of every recipe.
#include <vitrail/autograd/ops.h>
#include <vitrail/core/rng.h>
#include <vitrail/data/augment/image_transform.h>
#include <vitrail/data/load/image_batch.h>
#include <vitrail/data/load/loader.h>
#include <vitrail/data/sources/open_dataset.h>
#include <vitrail/data/sources/register_source.h>
#include <vitrail/nn/models/vision_transformer.h>
#include <vitrail/optim/adamw.h>
#include <vitrail/optim/param_groups.h>

#include <cstdio>

using namespace vitrail;

/// Image i is a square, a bar or a cross of a random colour somewhere on a black ground.
class Shapes final : public data::Dataset {
 public:
  Shapes(int64_t size, std::string_view split) : size_(size), split_(split) {}

  int64_t size() const override { return size_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  int64_t label(int64_t index) const override { return index % 3; }
  std::string name(int64_t index) const override { return "shapes " + split_ + "[" + std::to_string(index) + "]"; }
  data::Sample get(int64_t index) const override {
    Rng rng(0, "shapes " + split_, uint64_t(index));
    data::Image image(16, 16);
    const int64_t top = rng.below(8), left = rng.below(8), shape = label(index), colour = rng.next() | 0x404040;
    for (int64_t y = 0; y < 9; ++y)
      for (int64_t x = 0; x < 9; ++x)
        if (shape == 0 || x / 3 == 1 || (shape == 2 && y / 3 == 1))
          for (int c = 0; c < 3; ++c) image.at(top + y, left + x)[c] = uint8_t(colour >> (8 * c));
    return {std::move(image), shape};
  }

 private:
  int64_t size_;
  std::string split_;
  std::vector<std::string> classes_{"square", "bar", "cross"};
};

int main() {
  data::register_source(
      {.name = "shapes",
       .recognises = [](const std::string& path) { return path.starts_with("shapes:"); },
       .open = [](const std::string& path, std::string_view split,
                  const data::SourceOptions&) { return std::make_unique<Shapes>(std::stoll(path.substr(7)), split); }});

  const auto train = data::open_dataset("shapes:384", "train"), val = data::open_dataset("shapes:384", "val");
  data::BadFiles bad_files;
  const data::ImageTransform transform({}, {data::kHalfMean, data::kHalfStd});  // only normalises
  const data::ImageBatch images(*train, transform, {3, 16, 16}, bad_files);
  const data::ImageBatch val_images(*val, transform, {3, 16, 16}, bad_files);

  nn::VisionTransformer model(
      nn::Scope(0), {.img_size = 16, .patch_size = 4, .num_classes = 3, .embed_dim = 32, .depth = 2, .num_heads = 2});
  optim::AdamW optimizer(optim::decay_groups(model.parameters()));
  data::Loader loader(images, {.batch_size = 32, .shuffle = true, .epochs = 15, .workers = 2});
  while (const auto batch = loader.next()) {
    ag::Tape tape;
    tape.backward(cross_entropy(model((*batch)["images"]), (*batch)["labels"]));
    optimizer.step(1e-3, 0.05);
    optimizer.zero_grad();
  }

  model.eval();
  int64_t correct = 0;
  data::Loader unseen(val_images, {.batch_size = 64});
  while (const auto batch = unseen.next()) {
    const Tensor guess = core::argmax(model((*batch)["images"]).value(), -1);
    for (int64_t i = 0; i < batch->size(); ++i)
      correct += guess.data<int64_t>()[i] == (*batch)["labels"].data<int64_t>()[i];
  }
  const double accuracy = double(correct) / 384;
  std::printf("accuracy on unseen images: %.3f\n", accuracy);
  return accuracy > 0.9 ? 0 : 1;
}
