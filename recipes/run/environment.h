// What a result was made with: build, machine, command line.
#pragma once

#include <cstdint>
#include <string>

namespace vitrail::recipes {

/// "git describe" of the sources when the build was configured, "unknown" outside a repository.
std::string commit();
/// One JSON object: version, commit, compiler, build, cpu, isa, threads, system, command.
std::string environment_json(const std::string& command);

int64_t rss_bytes();   // resident memory of this process now
double peak_rss_mb();  // its highest value so far, in MiB

}  // namespace vitrail::recipes
