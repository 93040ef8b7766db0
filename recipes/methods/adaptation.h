// Adapting a trained backbone to other images by self-distillation: the key `init` of DINO and DINOv2.
#pragma once

#include "vitrail/recipes/methods/self_distillation.h"

#include <string>
#include <vector>

namespace vitrail::recipes {

class Config;

/// The defaults of a run that begins with the weights at init: the model and the pixels of the weights, a tenth of the
/// rate, layer decay, a slow teacher, and first some epochs for the heads alone (with adapt.defaults). If init is a run
/// of the same method, its heads come along. A key keeps its value if it stands beside init: on the command line, or in
/// the same recipe. Does nothing if init is empty. Returns messages for the log. Throws as settle_architecture.
std::vector<std::string> settle_adaptation(Config& config, const std::string& init);

/// The weights that a run begins with.
struct AdaptationStart {
  std::vector<std::string> notes;  // for the log
  TensorMap run = {};              // the state of the run that the heads are from; empty if they start anew
};
/// Loads the weights at config.init into the student's backbone, and into its heads those of the same run's teacher if
/// it is of the same method and they have the same shapes. Throws as read_weights and load_start.
AdaptationStart start_student(const SelfDistillationConfig& config, nn::ModuleBase& student, nn::Backbone& backbone);

}  // namespace vitrail::recipes
