// The training steps that bench_step times, on random inputs.
#pragma once

#include "vitrail/recipes/build/build_model.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/methods/dinov2.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::bench {

struct Options {
  std::string method = "supervised";
  recipes::ModelConfig model;          // the image model; for clip, `arch` names a published CLIP
  int64_t img_size = 224, batch = 16;  // batch: images (before cropping, for dino and dinov2) or image-text pairs
  recipes::DinoConfig dino;            // dino's other settings
  recipes::Dinov2Config dinov2;        // dinov2's
  int64_t tokens = 77;                 // clip: per caption, with the start and end tokens
  bool forward_only = false;           // supervised only: no backward pass, no optimizer
};

/// A step that is ready to run. It owns its model and inputs.
struct Step {
  std::function<void()> run;
  int64_t flops = 0;         // per run: 2 for each multiply-accumulate of the model; a backward pass counts as two
                             // forward passes, even where the library skips work
  int64_t update_bytes = 0;  // memory traffic of the optimizer
};

/// supervised, dino, dinov2, clip.
std::vector<std::string> methods();
/// Throws ConfigError for an unknown method or model, or if forward_only is set for a method other than supervised.
Step make_step(const Options& options);

}  // namespace vitrail::bench
