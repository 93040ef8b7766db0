// The environment of a result: build, machine, command line.
#pragma once

#include <cstdint>
#include <string>

namespace vitrail::recipes {

/// "git describe" of the sources at configuration; "unknown" outside a repository.
std::string commit();
/// One JSON object: version, commit, compiler, build, cpu, isa, threads, system, the present folder, command.
std::string environment_json(const std::string& command);

int64_t rss_bytes();   // resident memory of this process
double peak_rss_mb();  // its peak so far, in MiB

}  // namespace vitrail::recipes
