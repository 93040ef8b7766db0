// The commands of the program vitrail. Each is in a file of its own: options, help and action.
#pragma once

#include "tools/command_line.h"

namespace vitrail::tools {

void add_pack(Program& program);
void add_preview(Program& program);
void add_eval(Program& program);
void add_summary(Program& program);
void add_export(Program& program);
void add_convert(Program& program);
void add_init(Program& program);
void add_launch(Program& program);
void add_plot(Program& program);
void add_tokenizer(Program& program);
void add_tokens(Program& program);
void add_zero_shot(Program& program);
void add_predict(Program& program);
void add_features(Program& program);
void add_generate(Program& program);
void add_chat(Program& program);
void add_caption(Program& program);
void add_similarity(Program& program);
void add_search(Program& program);
void add_retrieval(Program& program);
void add_knn(Program& program);
void add_linear(Program& program);
void add_patches(Program& program);
void add_attention(Program& program);
void add_artifacts(Program& program);
void add_pca(Program& program);
void add_neighbours(Program& program);
void add_map(Program& program);
void add_completion(Program& program);

}  // namespace vitrail::tools
