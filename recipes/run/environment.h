// The environment of a result: build, machine, command line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace vitrail::recipes {

/// "git describe" of the sources at configuration; "unknown" outside a repository.
std::string commit();
/// One JSON object: version, commit, compiler, build, cpu, isa, threads, system, the decoders of JPEG and WebP files,
/// the present folder, command.
std::string environment_json(const std::string& command);
/// A note if the environment.json of a run names other decoders than this build has; else empty. A run without the
/// names is of version 0.2.0 or before, which had stb_image alone.
std::string decoder_note(const std::filesystem::path& environment);

int64_t rss_bytes();   // resident memory of this process
double peak_rss_mb();  // its peak so far, in MiB

}  // namespace vitrail::recipes
