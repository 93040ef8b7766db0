#include "tools/command_line.h"

#include "vitrail/recipes/run/exit_code.h"
#include "vitrail/version.h"

#include <CLI/CLI.hpp>

#include <utility>

namespace vitrail::tools {
namespace {

/// An empty value is no default to show.
template <class T>
bool has_default(const T& value) {
  if constexpr (requires { value.has_value(); })
    return value.has_value();
  else if constexpr (requires { value.empty(); })
    return !value.empty();
  else
    return true;
}

std::vector<CLI::App*> all_commands(CLI::App& app) {
  return app.get_subcommands([](CLI::App*) { return true; });
}

}  // namespace

Option Option::required() const { return option_->required(), *this; }
Option Option::choices(const std::vector<std::string>& values) const {
  return option_->check(CLI::IsMember(values)), *this;
}
Option Option::range(int64_t low, int64_t high) const { return option_->check(CLI::Range(low, high)), *this; }
Option Option::fraction() const { return option_->check(CLI::Range(0.0, 1.0)), *this; }
Option Option::positive() const { return option_->check(CLI::PositiveNumber), *this; }
Option Option::one_each() const { return option_->allow_extra_args(false), *this; }
Option Option::values(int count) const { return option_->expected(count), *this; }
Option Option::existing_file() const { return option_->check(CLI::ExistingFile), *this; }
Option Option::needs(const Option& other) const { return option_->needs(other.option_), *this; }
Option Option::excludes(const Option& other) const { return option_->excludes(other.option_), *this; }

template <OptionValue T>
Option Command::option(const std::string& names, T& value, const std::string& help) const {
  CLI::Option* option = app_->add_option(names, value, help);
  if (has_default(value)) option->capture_default_str();
  return Option(option);
}
template Option Command::option(const std::string&, std::string&, const std::string&) const;
template Option Command::option(const std::string&, int&, const std::string&) const;
template Option Command::option(const std::string&, int64_t&, const std::string&) const;
template Option Command::option(const std::string&, uint64_t&, const std::string&) const;
template Option Command::option(const std::string&, double&, const std::string&) const;
template Option Command::option(const std::string&, std::optional<std::string>&, const std::string&) const;
template Option Command::option(const std::string&, std::optional<int64_t>&, const std::string&) const;
template Option Command::option(const std::string&, std::optional<double>&, const std::string&) const;
template Option Command::option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Command::option(const std::string&, std::vector<int64_t>&, const std::string&) const;
template Option Command::option(const std::string&, std::vector<double>&, const std::string&) const;

Option Command::flag(const std::string& names, bool& value, const std::string& help) const {
  return Option(app_->add_flag(names, value, help));
}

void Command::example(const std::string& command_line) const {
  const std::string above = app_->get_footer();
  app_->footer(above + (above.empty() ? "Example: " : "\n         ") + command_line);
}

void Command::action(std::function<void()> run) const { app_->callback(std::move(run)); }

std::string Command::name() const { return app_->get_name(); }
std::string Command::description() const { return app_->get_description(); }

std::vector<OptionText> Command::options() const {
  std::vector<OptionText> texts;
  for (const CLI::Option* option : app_->get_options()) {
    OptionText& text = texts.emplace_back(OptionText{{}, option->get_description()});
    for (const std::string& name : option->get_snames()) text.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) text.names.push_back("--" + name);
  }
  return texts;
}

Program::Program(const std::string& name, const std::string& description)
    : Command(new CLI::App(description, name)), owner_(app_) {
  app_->set_version_flag("--version", "Vitrail " VITRAIL_VERSION, "print the version and exit");
}

Program::~Program() = default;

Command Program::command(const std::string& name, const std::string& description) {
  app_->require_subcommand(1);
  CLI::App* command = app_->add_subcommand(name, description);
  command->footer("");  // CLI11 copies the program's
  return Command(command);
}

void Program::group(const std::string& title, std::initializer_list<void (*)(Program&)> add_commands) {
  const size_t before = all_commands(*app_).size();
  for (const auto add : add_commands) add(*this);
  const std::vector<CLI::App*> all = all_commands(*app_);
  for (size_t i = before; i < all.size(); ++i) all[i]->group(title);
}

std::vector<Command> Program::commands() const {
  std::vector<Command> commands;
  for (CLI::App* command : all_commands(*app_)) commands.emplace_back(command);
  return commands;
}

std::string Program::help() const { return app_->help(); }

std::optional<int> Program::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
    return {};
  } catch (const CLI::ParseError& error) {
    return app_->exit(error) == 0 ? recipes::kDone : recipes::kBadRecipe;
  }
}

}  // namespace vitrail::tools
