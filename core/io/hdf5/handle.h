// Shared by reader.cpp and writer.cpp: the lock, error messages, handles and types of the HDF5 C library. Internal.
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

namespace vitrail::hdf5::detail {

/// Held by every public function: HDF5 is not thread safe everywhere, and its errors are ours to report.
class Session {
 public:
  Session();

 private:
  std::lock_guard<std::mutex> lock_;
};

/// The innermost message of HDF5's error stack.
std::string last_error();

/// An HDF5 identifier and the function that closes it.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close closer) : id_(id), close_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() { close(); }
  /// Closes it now, for code that needs to know whether closing worked.
  herr_t close() {
    const hid_t id = release();
    return id >= 0 ? close_(id) : 0;
  }
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  Close close_;
};

/// Where we are, for messages: file, object and perhaps attribute.
struct Place {
  std::string file, object;

  template <class... Args>
  [[noreturn]] void fail_here(std::string_view format, const Args&... args) const {
    fail<IoError>("hdf5", "{}: {}: " + std::string(format), file, object, args...);
  }
  /// A handle, or an IoError saying what could not be done.
  Handle opened(hid_t id, Handle::Close closer, std::string_view action) const {
    if (id < 0) fail_here("cannot {}: {}", action, last_error());
    return {id, closer};
  }
  void done(herr_t status, std::string_view action) const {
    if (status < 0) fail_here("cannot {}: {}", action, last_error());
  }
};

/// path with its leading slash.
std::string absolute(std::string_view path);

/// The type in memory, which is also the type we write. HDF5 has no bf16: it gets a description of it.
Handle memory_type(DType dtype, const Place& at);

}  // namespace vitrail::hdf5::detail
