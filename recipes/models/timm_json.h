// config.json of timm, in its older and newer forms. For sources of this folder only.
#pragma once

#include "vitrail/recipes/models/hub_config.h"

namespace vitrail::recipes {

/// Whether the file is timm's. transformers' wrapper of timm has "model_type" besides.
bool is_timm_config(const JsonObject& config);
/// Parses it. Older files have the keys of "pretrained_cfg" at the top.
HubConfig parse_timm_config(const JsonObject& config);
/// The keys of "pretrained_cfg" that prepare images.
Preprocessing parse_timm_preprocessing(const JsonObject& pretrained);

}  // namespace vitrail::recipes
