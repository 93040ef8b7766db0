// Distillation by DINOv2's losses: a frozen teacher in place of the student's own average. Source: Oquab et al. 2023
// (arXiv:2304.07193), section 5.
#pragma once

#include "vitrail/recipes/methods/dinov2.h"

#include <memory>
#include <string>
#include <vector>

namespace vitrail::recipes {

class Config;

/// The defaults of a student of this teacher: no stochastic depth, the teacher's pixels and patches, and as many
/// prototypes as the heads of its run have. What the user chose stays, see DerivedValues. Does nothing if teacher is
/// empty. Returns messages for the log. Throws as open_model.
std::vector<std::string> settle_distillation(Config& config, const std::string& teacher);

/// The network of config.distillation.teacher, frozen. A run of dinov2 brings its heads. Other runs and published
/// models have none: theirs have the sizes of the student's and stay as they are drawn, a random projection.
/// Throws ConfigError if it was trained on other pixels or its heads have other prototypes than options say; otherwise
/// as open_model.
std::unique_ptr<nn::Dinov2Network> open_frozen_teacher(const Dinov2Config& config, const Dinov2Options& options);

/// Throws ConfigError unless the patches of both have one size.
void expect_same_patches(const nn::Backbone& teacher, const nn::Backbone& student);

}  // namespace vitrail::recipes
