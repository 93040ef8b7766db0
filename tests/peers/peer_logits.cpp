// peer_logits MODEL INPUT OUTPUT: logits of a language model that sees, for the comparison with transformers; see
// README.md. INPUT, a safetensors file: ids i64 [B, T], -200 where an image stands and -1 after the end of a text;
// labels i64 [B, T] or none; pixels f32 [M, 3, H, W] or none. OUTPUT: logits [B, T', V] and, with labels, loss.
#include "vitrail/autograd/tape.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/models/llava_model.h"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <vector>

using namespace vitrail;

namespace {

std::vector<nn::LabelledText> texts_of(const safetensors::Reader& input) {
  const Tensor ids = input.read("ids");
  const Tensor labels = input.contains("labels") ? input.read("labels") : Tensor();
  std::vector<nn::LabelledText> texts(size_t(ids.size(0)));
  for (int64_t b = 0; b < ids.size(0); ++b)
    for (int64_t i = 0; i < ids.size(1); ++i) {
      const int64_t id = ids[b][i].contiguous().data<int64_t>()[0];
      if (id == -1) break;
      texts[size_t(b)].ids.push_back(id);
      if (labels.defined()) texts[size_t(b)].labels.push_back(labels[b][i].contiguous().data<int64_t>()[0]);
    }
  return texts;
}

void run(std::span<char*> arguments) {
  check<ConfigError>(arguments.size() == 3, "peer_logits", "usage: peer_logits MODEL INPUT OUTPUT");
  const ag::NoGrad no_grad;
  const safetensors::Reader input(arguments[1]);
  const std::vector<nn::LabelledText> texts = texts_of(input);
  const recipes::LlavaModel model = recipes::open_llava(arguments[0], {.dtype = DType::f32});
  for (const std::string& note : model.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  const nn::Splice batch = model.llava->splice(texts);
  const ag::Var pixels = input.contains("pixels") ? ag::Var(input.read("pixels")) : ag::Var();
  TensorMap output = {{"logits", (*model.llava)(batch, pixels).value().contiguous()}};
  if (batch.supervised() > 0) {
    const ag::Var images = pixels.defined() ? model.llava->project(model.llava->features(pixels)) : ag::Var();
    output["loss"] = model.llava->loss(batch, images).value();
  }
  safetensors::save(arguments[2], output);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    run(std::span(arguments, size_t(count)).subspan(1));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
