// vitrail completion: a script with which a shell completes commands and options.
#include "tools/commands/commands.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

/// "-o --out ..."
std::string option_names(const Command& command) {
  std::string names;
  for (const OptionText& option : command.options())
    for (const std::string& name : option.names) names += name + " ";
  return names;
}

/// Completes the command, then its options, and file names elsewhere.
std::string bash(const Program& program) {
  std::string names, cases;
  for (const Command& command : program.commands()) {
    names += command.name() + " ";
    cases += fmt::format("      {}) words='{}' ;;\n", command.name(), option_names(command));
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

/// In single quotes, as a fish script writes it.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

/// " -s o -l out" for {"-o", "--out"}.
std::string fish_names(const OptionText& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return names;
}

std::string fish(const Program& program) {
  std::string script;
  for (const Command& command : program.commands()) {
    script += fmt::format("complete -c vitrail -f -n __fish_use_subcommand -a {} -d {}\n", command.name(),
                          quoted(command.description()));
    for (const OptionText& option : command.options())
      if (!option.names.empty())
        script += fmt::format("complete -c vitrail -n '__fish_seen_subcommand_from {}'{} -d {}\n", command.name(),
                              fish_names(option), quoted(option.help));
  }
  return script;
}

void print_script(const Program& program, const std::string& shell) {
  if (shell == "fish") {
    fmt::print("{}", fish(program));
    return;
  }
  if (shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
  fmt::print("{}", bash(program));
}

}  // namespace

void add_completion(Program& program) {
  const auto shell = std::make_shared<std::string>("bash");
  const Command command = program.command("completion", "Prints a script that completes commands and options.");
  command.option("shell", *shell, "bash, zsh or fish").choices({"bash", "zsh", "fish"});
  command.example("vitrail completion bash > ~/.local/share/bash-completion/completions/vitrail");
  command.action([&program, shell] { print_script(program, *shell); });
}

}  // namespace vitrail::tools
