// What is in an image?
//   classify runs/mine photo.jpg
// The model is a trained classifier: a run, its weights, or a published model.
#include <vitrail/data/image/codec.h>
#include <vitrail/recipes/eval/top_classes.h>
#include <vitrail/recipes/models/open_model.h>

#include <cstdio>
#include <exception>
#include <vector>

using namespace vitrail;

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: classify MODEL IMAGE\n");
    return 2;
  }
  const recipes::OpenModel model = recipes::open_model(argv[1]);
  recipes::expect_classes(model, "classify");
  const std::vector<data::Image> images = {data::read_image(argv[2])};
  const Tensor logits = model.classify(model.preprocessing.batch(images));
  const auto best = recipes::top_classes(logits, model.classes, 5);
  for (const recipes::ClassProbability& c : best[0]) std::printf("%6.2f%%  %s\n", 100 * c.probability, c.name.c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
