// Command lines: programs, their commands and options. CLI11 parses them. Only command_line.cpp includes it, because
// its header takes seconds to compile.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace vitrail::tools {

/// The types that an option can set. An optional or a vector stays empty if the option is not given.
template <class T>
concept OptionValue =
    std::same_as<T, std::string> || std::same_as<T, int> || std::same_as<T, int64_t> || std::same_as<T, uint64_t> ||
    std::same_as<T, double> || std::same_as<T, std::optional<std::string>> || std::same_as<T, std::optional<int64_t>> ||
    std::same_as<T, std::optional<double>> || std::same_as<T, std::vector<std::string>> ||
    std::same_as<T, std::vector<int64_t>> || std::same_as<T, std::vector<double>>;

/// A declared option or flag, to set conditions on it. The help shows them, and parsing fails on values that break
/// them. Cheap to copy; valid as long as its program.
class Option final {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required() const;
  Option choices(const std::vector<std::string>& values) const;
  /// An integer in [low, high].
  Option range(int64_t low, int64_t high) const;
  /// A number in [0, 1].
  Option fraction() const;
  Option positive() const;
  /// Exactly so many values.
  Option values(int count) const;
  /// One value each time the option is given, for a vector. Without it the values up to the next option belong to it.
  Option one_each() const;
  Option existing_file() const;
  /// Given only together with the other one.
  Option needs(const Option& other) const;
  /// Never given together with the other one.
  Option excludes(const Option& other) const;

 private:
  CLI::Option* option_;
};

/// An option as a shell completes it.
struct OptionText {
  std::vector<std::string> names;  // {"-o", "--out"}; none if it is positional
  std::string help;
};

/// A command of a program, or the program itself. Cheap to copy; valid as long as its program.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  /// names: "-o,--out", or "recipe" for a positional argument. The present value is the default, and the help shows it
  /// unless it is empty.
  template <OptionValue T>
  Option option(const std::string& names, T& value, const std::string& help) const;
  Option flag(const std::string& names, bool& value, const std::string& help) const;
  /// A line below the help: "vitrail summary vit_small". May be called again for further lines.
  void example(const std::string& command_line) const;
  /// Runs once the arguments are parsed. What it throws leaves Program::parse().
  void action(std::function<void()> run) const;

  std::string name() const;
  std::string description() const;
  std::vector<OptionText> options() const;

 protected:
  CLI::App* app_;
};

/// A whole program. It knows --help and --version. If it has commands, the first argument must be one of them.
class Program final : public Command {
 public:
  Program(const std::string& name, const std::string& description);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Command command(const std::string& name, const std::string& description);
  /// Calls each function. The help lists the commands that they add under the title.
  void group(const std::string& title, std::initializer_list<void (*)(Program&)> add_commands);
  std::vector<Command> commands() const;

  std::string help() const;

  /// Sets the variables of all options, then runs the command's action. Returns the exit code if the program is to end
  /// now: it has printed its help or version on standard output, or what is wrong on standard error.
  [[nodiscard]] std::optional<int> parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> owner_;
};

}  // namespace vitrail::tools
