// The options of commands that open a published model.
#pragma once

#include "tools/command_line.h"
#include "vitrail/recipes/models/published_model.h"

#include <string>
#include <vector>

namespace vitrail::tools {

struct PublishedArguments {
  std::vector<std::string> accept_keys;
  std::string base;

  void add_to(const Command& command) {
    command
        .option("--accept-key", accept_keys,
                "key in the configuration of a published model to pass over, though it is not known; may be repeated")
        .one_each();
    command.option("--base", base, "model that an adapter of PEFT changes, if it is not where the adapter's file says");
  }
  /// network: as of add_network_option.
  recipes::PublishedOptions options(const std::string& network = "") const {
    recipes::PublishedOptions options;
    options.accept_keys = accept_keys;
    options.network = network;
    options.base = base;
    return options;
  }
};

}  // namespace vitrail::tools
