#include "vitrail/core/comm/open_ranks.h"

#include "vitrail/core/error.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace vitrail {
namespace {

/// The number of processes that a launcher says it started, and its variable.
std::pair<int, std::string> launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"}) {
    const char* const value = std::getenv(name);
    // In a job of Slurm, a program that srun did not start is one process.
    if (value == nullptr || (std::string(name) == "SLURM_NTASKS" && std::getenv("SLURM_STEP_ID") == nullptr)) continue;
    return {std::atoi(value), name};
  }
  return {1, ""};
}

void* open_plugin(std::string& problems) {
  namespace fs = std::filesystem;
  std::error_code unknown;
  const fs::path here = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const fs::path& folder : {here, here / "../lib/vitrail", here / "../lib/x86_64-linux-gnu/vitrail"}) {
    const fs::path file = folder / "libvitrail_mpi.so";
    if (!fs::exists(file, unknown)) continue;
    // Global: OpenMPI's own plugins look for its symbols.
    if (void* const plugin = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL)) return plugin;
    problems += std::string(dlerror()) + "; ";
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<Comm> open_ranks() {
  const auto [count, variable] = launched();
  if (count <= 1) return nullptr;
  std::string problems;
  void* const plugin = open_plugin(problems);
  check<ConfigError>(plugin != nullptr, "ranks",
                     "{} says that {} processes were started, but {}there is no libvitrail_mpi.so beside the program: "
                     "build with MPI (libopenmpi-dev), or start one process without the launcher",
                     variable, count, problems);
  using Open = Comm* (*)();
  const auto open = reinterpret_cast<Open>(dlsym(plugin, "vitrail_open_comm"));
  check<ConfigError>(open != nullptr, "ranks", "libvitrail_mpi.so is of another version");
  return std::shared_ptr<Comm>(open());
}

}  // namespace vitrail
