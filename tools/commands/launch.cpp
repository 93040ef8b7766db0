// vitrail launch: starts a program as several ranks, with the right line of mpirun.
#include "tools/commands/commands.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/run/exit_code.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace vitrail::tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  int64_t ranks = 0;
  std::optional<int64_t> threads;
  std::string hosts;
  int64_t restarts = 0;
  bool print = false;
  std::vector<std::string> command;
};

/// A program of Vitrail that is beside this one, or the name for the shell's path.
std::string program_path(const std::string& name) {
  std::error_code unknown;
  const fs::path beside = fs::read_symlink("/proc/self/exe", unknown).parent_path() / name;
  return name.find('/') == name.npos && fs::exists(beside, unknown) ? beside.string() : name;
}

/// The cores that this process may use.
int64_t cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
  return int64_t(std::max(1U, std::thread::hardware_concurrency()));
}

/// The most processes that a machine of "a,b:2" gets.
int64_t most_on_a_host(const std::string& hosts) {
  int64_t most = 1;
  for (size_t colon = hosts.find(':'); colon != hosts.npos; colon = hosts.find(':', colon + 1))
    most = std::max<int64_t>(most, std::atoll(hosts.c_str() + colon + 1));
  return most;
}

std::vector<std::string> launch_line(const Options& o, const std::vector<std::string>& command) {
  const int64_t here = cores();
  const int64_t threads =
      o.threads.value_or(std::max<int64_t>(1, here / (o.hosts.empty() ? o.ranks : most_on_a_host(o.hosts))));
  std::vector<std::string> line = {"mpirun", "-n", std::to_string(o.ranks)};
  if (!o.hosts.empty()) line.insert(line.end(), {"--host", o.hosts});
  if (o.hosts.empty() && o.ranks > here) line.emplace_back("--oversubscribe");
  line.insert(line.end(), {"--bind-to", "none", "-x", fmt::format("OMP_NUM_THREADS={}", threads)});
  for (const char* name : {"VITRAIL_DATA", "VITRAIL_ISA"})
    if (std::getenv(name) != nullptr) line.insert(line.end(), {"-x", name});
  const std::pair<const char*, const char*> settings[] = {
      {"mpi_yield_when_idle", "1"},      {"btl", "^openib"},
      {"orte_base_help_aggregate", "0"}, {"oob_tcp_keepalive_time", "2"},  // else mpirun waits for a lost host for ever
      {"oob_tcp_keepalive_intvl", "1"},  {"oob_tcp_keepalive_probes", "3"}};
  for (const auto& [name, value] : settings) line.insert(line.end(), {"--mca", name, value});
  line.push_back(program_path(command.front()));
  line.insert(line.end(), command.begin() + 1, command.end());
  return line;
}

/// The line as a shell reads it.
std::string shell_text(const std::vector<std::string>& line) {
  std::string text;
  for (const std::string& word : line) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_-+=./:,^@%") == word.npos;
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += (text.empty() ? "" : " ") + (plain ? word : quoted + "'");
  }
  return text;
}

/// Runs the line and returns its exit code.
int run(const std::vector<std::string>& line) {
  std::vector<char*> words;
  words.reserve(line.size() + 1);
  for (const std::string& word : line) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  // mpirun passes on what stops it; this program waits for it.
  for (const int signal : {SIGINT, SIGTERM}) ::signal(signal, SIG_IGN);
  const pid_t child = ::fork();
  check<IoError>(child >= 0, "launch", "the system cannot start a process");
  if (child == 0) {
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
    ::execvp(words[0], words.data());
    std::fprintf(stderr, "[launch] there is no mpirun; Debian has it in the package openmpi-bin\n");
    ::_exit(recipes::kBadRecipe);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The command that goes on with the run of `command`: its folder is `out=FOLDER` or behind --resume.
std::vector<std::string> resuming(const std::vector<std::string>& command) {
  for (size_t i = 1; i < command.size(); ++i) {
    if (command[i].starts_with("out=")) return {command.front(), "--resume", command[i].substr(4)};
    if (command[i] == "--resume" || command[i].starts_with("--resume=")) return command;
  }
  fail<ConfigError>("launch", "--restarts needs out=FOLDER among the arguments of train: the folder to resume");
}

void launch(const Options& o) {
  std::vector<std::string> command = o.command;
  check<ConfigError>(!command.empty(), "launch", "needs a command: vitrail launch -n 2 -- train recipe.yaml");
  if (o.restarts > 0) resuming(command);
  if (::geteuid() == 0) {
    fmt::print(stderr, "as root: OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n");
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  for (int64_t left = o.restarts;; --left) {
    const std::vector<std::string> line = launch_line(o, command);
    fmt::print(o.print ? stdout : stderr, "{}\n", shell_text(line));
    if (o.print) return;
    const int code = run(line);
    // Recipes, data and full disks stay as they are, and the user's signals mean an end.
    const bool hopeless = code == recipes::kDone || code == recipes::kBadRecipe || code == recipes::kBadData ||
                          code == recipes::kNoSpace || code == 128 + SIGINT || code == 128 + SIGTERM;
    if (hopeless || left == 0) std::exit(code);
    command = resuming(o.command);
    fmt::print(stderr, "ended with code {}; starting again, {} left\n", code, left - 1);
  }
}

}  // namespace

void add_launch(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command c = program.command("launch", "Starts a program as several processes (ranks), on one machine or more");
  c.option("-n,--ranks", o->ranks, "processes").required().range(1, 4096);
  c.option("--hosts", o->hosts, "machines, with the processes of each: a,b:2");
  c.option("--threads", o->threads, "threads of each process; by default the cores of this machine, divided")
      .range(1, 4096);
  c.option("--restarts", o->restarts, "times to start again, from the last checkpoint, after a process was lost")
      .range(0, 1000);
  c.flag("--print", o->print, "print the line of mpirun, and start nothing");
  c.option("command", o->command, "the program and its arguments, behind --");
  c.example("vitrail launch -n 4 -- train recipes/dino.yaml out=runs/dino");
  c.action([o] { launch(*o); });
}

}  // namespace vitrail::tools
