// How alike are images, and which of them resembles the first one most?
//   features dinov2-base/ query.jpg a.jpg b.jpg c.jpg
// The model is any ViT: a folder in Hugging Face's layout, a safetensors file, or a run of any recipe.
#include <vitrail/core/ops.h>
#include <vitrail/data/image/codec.h>
#include <vitrail/recipes/models/open_model.h>

#include <cstdio>
#include <exception>
#include <vector>

using namespace vitrail;

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: features MODEL QUERY PICTURE...\n");
    return 2;
  }
  const recipes::OpenModel model = recipes::open_model(argv[1]);
  std::vector<data::Image> images;
  for (int i = 2; i < argc; ++i) images.push_back(data::read_image(argv[i]));

  const Tensor features = model.image_features(model.preprocessing.batch(images));  // the class token's: [N, D]
  const Tensor unit = core::l2_normalize(features).y;
  const Tensor cosines = core::matmul(unit, unit, core::Trans::no, core::Trans::yes);
  const auto values = cosines.span<float>();
  const size_t n = images.size();
  size_t nearest = 1;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) std::printf("%7.3f", double(values[i * n + j]));
    std::printf("  %s\n", argv[i + 2]);
    if (i > 0 && values[i] > values[nearest]) nearest = i;
  }
  std::printf("most like %s: %s\n", argv[2], argv[nearest + 2]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
