// vitrail completion: a script that teaches a shell the commands and their options.
#include "tools/commands/commands.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// "-o --out ..."
std::string options_of(const CLI::App& command) {
  std::string names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_snames()) names += "-" + name + " ";
    for (const std::string& name : option->get_lnames()) names += "--" + name + " ";
  }
  return names;
}

/// Commands first, then a command's options, file names where neither fits.
std::string bash(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : commands_of(app)) {
    names += command->get_name() + " ";
    cases += fmt::format("      {}) words='{}' ;;\n", command->get_name(), options_of(*command));
  }
  return fmt::format(R"(_vitrail() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words=''
  if [[ $COMP_CWORD -eq 1 ]]; then
    words='{}'
  elif [[ $current == -* ]]; then
    case ${{COMP_WORDS[1]}} in
{}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -o bashdefault -F _vitrail vitrail
)",
                     names, cases);
}

/// As a word of fish: nothing in it means anything.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string fish(const CLI::App& app) {
  std::string script;
  for (const CLI::App* command : commands_of(app)) {
    script += fmt::format("complete -c vitrail -f -n __fish_use_subcommand -a {} -d {}\n", command->get_name(),
                          quoted(command->get_description()));
    for (const CLI::Option* option : command->get_options()) {
      std::string names;
      for (const std::string& name : option->get_snames()) names += " -s " + name;
      for (const std::string& name : option->get_lnames()) names += " -l " + name;
      if (!names.empty())
        script += fmt::format("complete -c vitrail -n '__fish_seen_subcommand_from {}'{} -d {}\n", command->get_name(),
                              names, quoted(option->get_description()));
    }
  }
  return script;
}

void print_script(const CLI::App& app, const std::string& shell) {
  if (shell == "fish") {
    fmt::print("{}", fish(app));
    return;
  }
  if (shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
  fmt::print("{}", bash(app));
}

}  // namespace

void add_completion(CLI::App& app) {
  const auto shell = std::make_shared<std::string>("bash");
  CLI::App* command = app.add_subcommand("completion", "Prints a script that completes commands and options.");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->capture_default_str();
  command->footer("Example: vitrail completion bash > ~/.local/share/bash-completion/completions/vitrail");
  command->callback([&app, shell] { print_script(app, *shell); });
}

}  // namespace vitrail::tools
