#include "vitrail/core/error.h"

#include <cstdio>

namespace vitrail {
namespace {

const std::string kNowhere;
thread_local const std::string* current_path = &kNowhere;

}  // namespace

PathScope::PathScope(const std::string& name) : outer_(current_path) { current_path = &name; }
PathScope::~PathScope() { current_path = outer_; }
const std::string& PathScope::current() { return *current_path; }

namespace detail {

std::string to_text(bool v) { return v ? "true" : "false"; }
std::string to_text(std::string_view v) { return std::string(v); }
std::string to_text(double v) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", v);
  return buffer;
}

std::string message(std::string_view op, std::string_view format, std::initializer_list<std::string> values) {
  std::string text = "[" + std::string(op) + "] ";
  const auto* value = values.begin();
  for (size_t i = 0; i < format.size(); ++i) {
    const bool slot = format.substr(i, 2) == "{}" && value != values.end();
    if (slot) {
      text += *value++;
      ++i;
    } else {
      text += format[i];
    }
  }
  if (!current_path->empty()) text += "\n  in " + *current_path;
  return text;
}

}  // namespace detail
}  // namespace vitrail
