// Opens the model of a command. What had to be assumed about it goes to standard error, so that results on standard
// output stay clean. Every command that opens a model does it here.
#pragma once

#include "tools/command_line.h"
#include "vitrail/recipes/models/open_model.h"

#include <span>
#include <string>
#include <vector>

namespace vitrail::tools {

/// The option --network: which network of a training checkpoint to use.
Option add_network_option(const Command& command, std::string& network);
/// The option --positions, for resample_positions().
Option add_positions_option(const Command& command, std::string& rule);

/// Prints "model: note" lines on standard error.
void print_notes(const std::string& model, const std::vector<std::string>& notes);

/// As recipes::open_model. Prints the model's notes.
recipes::OpenModel open_with_notes(const std::string& model, const std::vector<std::string>& changes = {},
                                   const recipes::PublishedOptions& options = {});

/// Prints the rule by which the model's positions are resampled, if they are for images of that side. rule: the name of
/// the rule to take; empty: the model's own.
void resample_positions(const std::string& model, recipes::OpenModel& opened, int64_t side,
                        const std::string& rule = "");

/// Prints a note about texts that are longer than the model's context. Each is named, up to a few.
void note_cut_texts(const recipes::OpenModel& model, std::span<const std::string> texts);

}  // namespace vitrail::tools
