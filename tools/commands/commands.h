// The commands of the program vitrail. Each file beside this one adds one: its options, its help, and what it does.
#pragma once

#include <CLI/CLI.hpp>

namespace vitrail::tools {

void add_pack(CLI::App& app);
void add_preview(CLI::App& app);
void add_eval(CLI::App& app);
void add_summary(CLI::App& app);
void add_export(CLI::App& app);
void add_convert(CLI::App& app);
void add_init(CLI::App& app);
void add_plot(CLI::App& app);
void add_tokenizer(CLI::App& app);
void add_zero_shot(CLI::App& app);
void add_features(CLI::App& app);
void add_similarity(CLI::App& app);
void add_search(CLI::App& app);
void add_retrieval(CLI::App& app);
void add_knn(CLI::App& app);
void add_linear(CLI::App& app);
void add_attention(CLI::App& app);
void add_pca(CLI::App& app);
void add_neighbours(CLI::App& app);
void add_map(CLI::App& app);
/// The last one: it completes those that were added before.
void add_completion(CLI::App& app);

}  // namespace vitrail::tools
