// The messages of errors and notes, for tests.
#pragma once

#include "vitrail/core/error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace vitrail::test {

/// The message of the error of ours that the action throws; empty if it throws none.
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool says(const std::string& message, const std::string& text) {
  return message.find(text) != std::string::npos;
}

/// Whether one of the notes has this text.
inline bool any_says(const std::vector<std::string>& notes, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(), [&](const std::string& note) { return says(note, text); });
}

/// Checks that the action throws an error of ours whose message has this text.
inline void check_refused(const std::function<void()>& action, const std::string& text) {
  const std::string message = message_of(action);
  CAPTURE(message);
  CHECK(says(message, text));
}

}  // namespace vitrail::test
