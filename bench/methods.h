// The training steps that bench_step times: each method's own, on random inputs.
#pragma once

#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/methods/dino.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::bench {

struct Options {
  std::string method = "supervised";
  recipes::ModelConfig model;          // the image model; CLIP: a published pair of towers by arch
  int64_t img_size = 224, batch = 16;  // batch: images (DINO: before they are cropped), or pairs
  recipes::DinoConfig dino;            // what of a step of DINO the fields above do not say
  int64_t tokens = 77;                 // of each caption, first and last one included
  bool forward_only = false;           // supervised alone: no backward, no optimizer
};

/// A step that is ready to run: the model has its weights, the inputs are there.
struct Step {
  std::function<void()> run;
  int64_t flops = 0;         // of one run: 2 for each multiply-accumulate of the whole model, a backward pass like two
                             // forward ones; what the library leaves undone counts
  int64_t update_bytes = 0;  // that the weights' update reads and writes
};

/// supervised, dino, clip.
std::vector<std::string> methods();
/// Throws: ConfigError for an unknown method or model, or forward_only of a method other than supervised.
Step make_step(const Options& options);

}  // namespace vitrail::bench
