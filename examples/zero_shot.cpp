// Which sentence fits an image?
//   zero_shot clip-vit-base-patch32/ dog.jpg "a photo of a dog" "a photo of a cat" "a diagram"
// The model is a CLIP: a folder in Hugging Face's layout, or a run of recipes/clip.yaml.
#include <vitrail/core/ops.h>
#include <vitrail/data/image/codec.h>
#include <vitrail/recipes/models/open_model.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

using namespace vitrail;

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: zero_shot MODEL PICTURE SENTENCE...\n");
    return 2;
  }
  const recipes::OpenModel model = recipes::open_model(argv[1]);
  recipes::expect_texts(model, "zero_shot");
  const std::vector<data::Image> images = {data::read_image(argv[2])};
  const std::vector<std::string> sentences(argv + 3, argv + argc);

  const Tensor features = core::l2_normalize(model.image_features(model.preprocessing.batch(images))).y;
  const Tensor texts = core::l2_normalize(model.text_features(sentences)).y;
  const Tensor cosines = core::matmul(features, texts, core::Trans::no, core::Trans::yes);
  const Tensor probabilities = core::softmax(core::mul(cosines, scalar(model.logit_scale)));
  for (size_t i = 0; i < sentences.size(); ++i)
    std::printf("%6.2f%%  %s\n", 100 * double(probabilities.span<float>()[i]), sentences[i].c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
