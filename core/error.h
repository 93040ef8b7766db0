// The one exception family, and check(): the way every precondition is stated.
// A message opens with the operation in brackets, states the fault with every value involved, and ends with the place
// in the model (PathScope) where it happened.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vitrail {

/// Base of everything Vitrail throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A shape, rank, stride or element type that an operation cannot take.
class ShapeError final : public Error {
 public:
  using Error::Error;
};
/// A recipe, option or argument that cannot be used. Programs exit with 2.
class ConfigError final : public Error {
 public:
  using Error::Error;
};
/// A file that cannot be read or written: missing, damaged, of another format.
class IoError : public Error {
 public:
  using Error::Error;
};
/// No room, or no quota, for a file. Programs exit with 4.
class DiskFull final : public IoError {
 public:
  using IoError::IoError;
};
/// Data that cannot be trained on: an empty set, too many broken images. Programs exit with 3.
class DataError final : public Error {
 public:
  using Error::Error;
};
/// A misuse of the tape: swept twice, or a weight changed under it.
class TapeError final : public Error {
 public:
  using Error::Error;
};
/// A value that is not finite where it must be.
class NumericError final : public Error {
 public:
  using Error::Error;
};
/// The memory limit or the machine's memory is used up. Programs exit with 4.
class OutOfMemory final : public Error {
 public:
  using Error::Error;
};

/// Names the part of the model that runs on this thread, for error messages and reports; scopes nest.
class PathScope {
 public:
  /// name must outlive the scope.
  explicit PathScope(const std::string& name);
  ~PathScope();
  PathScope(const PathScope&) = delete;
  PathScope& operator=(const PathScope&) = delete;

  /// The innermost name on this thread; empty outside any scope.
  static const std::string& current();

 private:
  const std::string* outer_;
};

namespace detail {

std::string to_text(bool v);
std::string to_text(double v);
std::string to_text(std::string_view v);
inline std::string to_text(const std::string& v) { return v; }
template <class T>
std::string to_text(const T& v) {
  if constexpr (std::is_same_v<T, bool>)
    return to_text(bool{v});
  else if constexpr (std::is_integral_v<T>)
    return std::to_string(v);
  else if constexpr (std::is_floating_point_v<T>)
    return to_text(double{v});
  else if constexpr (std::is_convertible_v<T, const char*>)
    return v;
  else
    return to_string(v);  // found by argument-dependent lookup: Shape, DType, ...
}

/// "[op] message\n  in path": each {} in format takes the next value.
std::string message(std::string_view op, std::string_view format, std::initializer_list<std::string> values);

}  // namespace detail

/// Throws E("[op] ...") with each {} of format replaced by the next value.
template <class E = Error, class... Args>
[[noreturn]] void fail(std::string_view op, std::string_view format, const Args&... args) {
  throw E(detail::message(op, format, {detail::to_text(args)...}));
}

/// States a precondition: nothing if ok, else fail<E>(op, format, args...).
template <class E = Error, class... Args>
void check(bool ok, std::string_view op, std::string_view format, const Args&... args) {
  if (!ok) [[unlikely]]
    fail<E>(op, format, args...);
}

}  // namespace vitrail
