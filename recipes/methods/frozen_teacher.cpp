#include "vitrail/recipes/methods/frozen_teacher.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/derived_values.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/open_run.h"

#include <fmt/format.h>

#include <string_view>

namespace vitrail::recipes {
namespace {

constexpr const char* kTeacherKey = "distillation.teacher";

/// The recipe of a run of dinov2, whose heads can teach; null for another model.
const Dinov2Config* recipe_with_heads(const OpenModel& teacher) {
  return dynamic_cast<const Dinov2Config*>(teacher.settings.get());
}

std::string list_text(const data::Normalize::Channels& values) { return fmt::format("[{}]", fmt::join(values, ", ")); }

TensorMap weights_named(const TensorMap& map, std::string_view prefix) {
  TensorMap part;
  for (const auto& [name, value] : map)
    if (name.starts_with(prefix)) part.emplace(name, value);
  return part;
}

/// A network with the teacher's backbone and heads of these sizes, with values as drawn.
std::unique_ptr<nn::Dinov2Network> network_around(const OpenModel& teacher, const Dinov2Options& options,
                                                  uint64_t seed) {
  nn::VitConfig vit = nn::as_vit(*teacher.backbone, kTeacherKey, teacher.source.string()).config;
  vit.num_classes = 0;
  const auto maker = [&](const nn::Scope& scope) {
    return std::make_unique<nn::VisionTransformer>(scope.without_values(), vit);
  };
  auto network = std::make_unique<nn::Dinov2Network>(nn::Scope(seed, DType::f32, "frozen teacher"), maker, options.head,
                                                     options.ibot_head);
  TensorMap weights;
  for (const auto& [name, value] : nn::state(*teacher.backbone))
    if (!name.starts_with("head.")) weights.emplace("backbone." + name, value);
  nn::load_state(*network->backbone, weights, teacher.source.string());
  return network;
}

}  // namespace

std::vector<std::string> settle_distillation(Config& config, const std::string& teacher) {
  if (teacher.empty()) return {};
  DerivedValues defaults(config, kTeacherKey, "teacher " + teacher);
  const OpenModel opened =
      open_model(teacher, {}, {.accept_keys = defaults.value<std::vector<std::string>>("accept_keys")});
  defaults.set("model.drop_path_rate", "0");
  defaults.set("model.patch_size", std::to_string(opened.backbone->patch_size()));
  defaults.set("data.mean", list_text(opened.preprocessing.mean));
  defaults.set("data.std", list_text(opened.preprocessing.std));
  std::string heads = "; it has no heads, so random projections of its features are the targets";
  if (const Dinov2Config* const run = recipe_with_heads(opened)) {
    defaults.set("head.out_dim", std::to_string(run->head.out_dim));
    defaults.set("ibot.separate_head", run->ibot.separate_head ? "true" : "false");
    defaults.set("ibot.out_dim", std::to_string(run->ibot.out_dim));
    heads = "; the heads of the run come along";
  }
  return {
      fmt::format("[{}] {}{}{}{}", kTeacherKey, teacher, heads, defaults.text().empty() ? "" : "; ", defaults.text())};
}

std::unique_ptr<nn::Dinov2Network> open_frozen_teacher(const Dinov2Config& config, const Dinov2Options& options) {
  const std::string& path = config.distillation.teacher;
  const OpenModel opened = open_model(path, {}, {.accept_keys = config.accept_keys});
  const Preprocessing &theirs = opened.preprocessing, ours = eval_preprocessing(config.data);
  check<ConfigError>(theirs.mean == ours.mean && theirs.std == ours.std, kTeacherKey,
                     "{} was trained on other pixels: data.mean={} data.std={} shows it the same", path,
                     list_text(theirs.mean), list_text(theirs.std));
  std::unique_ptr<nn::Dinov2Network> network;
  if (const Dinov2Config* const run = recipe_with_heads(opened)) {
    check<ConfigError>(run->head.out_dim == config.head.out_dim &&
                           run->ibot.separate_head == config.ibot.separate_head &&
                           (!config.ibot.separate_head || run->ibot.out_dim == config.ibot.out_dim),
                       kTeacherKey,
                       "the heads of {} have other prototypes: head.out_dim={} ibot.separate_head={} ibot.out_dim={} "
                       "are the same",
                       path, run->head.out_dim, run->ibot.separate_head, run->ibot.out_dim);
    Dinov2Options sizes = options;
    sizes.head = head_of(*run);
    if (run->ibot.separate_head) {
      sizes.ibot_head = sizes.head;
      sizes.ibot_head->out_dim = run->ibot.out_dim;
      sizes.ibot_head->bottleneck_dim = run->ibot.bottleneck_dim;
    }
    network = network_around(opened, sizes, uint64_t(config.seed));
    const TensorMap heads = sub_map(open_run(path).state, "teacher");
    nn::load_state(network->dino_head, weights_named(heads, "dino_head."), path);
    if (network->ibot_head) nn::load_state(*network->ibot_head, weights_named(heads, "ibot_head."), path);
  } else {
    network = network_around(opened, options, uint64_t(config.seed));
  }
  network->freeze();
  network->eval();
  return network;
}

void expect_same_patches(const nn::Backbone& teacher, const nn::Backbone& student) {
  check<ConfigError>(teacher.patch_size() == student.patch_size(), kTeacherKey,
                     "its patches are {} pixels wide, the student's {}: model.patch_size={} makes them the same",
                     teacher.patch_size(), student.patch_size(), teacher.patch_size());
}

}  // namespace vitrail::recipes
