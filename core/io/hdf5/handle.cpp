#include "vitrail/core/io/hdf5/handle.h"

#include <pthread.h>

namespace vitrail::hdf5::detail {
namespace {

std::mutex& library_mutex() {
  static std::mutex m;
  return m;
}

/// Settings for the whole process. HDF5 loads no filters from files and follows no links into other files. A forked
/// child finds the library in its state between two calls.
void set_up_library() {
  H5PLset_loading_state(0);
  H5Lunregister(H5L_TYPE_EXTERNAL);
  // fork() takes the locks in reverse order of registration, and library calls lock the library before the pool. So the
  // pool must register first; live_bytes() creates it.
  memory::live_bytes();
  pthread_atfork([] { library_mutex().lock(); }, [] { library_mutex().unlock(); }, [] { library_mutex().unlock(); });
}

Handle bf16_type(const Place& at) {
  Handle type = at.opened(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, "describe bf16");
  at.done(H5Tset_fields(type, 15, 7, 8, 0, 7), "describe bf16");
  at.done(H5Tset_precision(type, 16), "describe bf16");
  at.done(H5Tset_size(type, 2), "describe bf16");
  return type;
}

}  // namespace

Session::Session() : lock_(library_mutex()) {
  [[maybe_unused]] static const bool once = (set_up_library(), true);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::string last_error() {
  std::string text;
  const auto first = [](unsigned, const H5E_error2_t* e, void* out) -> herr_t {
    auto& s = *static_cast<std::string*>(out);
    if (s.empty() && e->desc) s = e->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "HDF5 gave no reason" : text;
}

std::string absolute(std::string_view path) {
  return path.starts_with('/') ? std::string(path) : "/" + std::string(path);
}

Handle memory_type(DType dtype, const Place& at) {
  const auto copy = [&](hid_t id) { return at.opened(H5Tcopy(id), H5Tclose, "copy a type"); };
  switch (dtype) {
    case DType::f32:
      return copy(H5T_IEEE_F32LE);
    case DType::bf16:
      return bf16_type(at);
    case DType::f64:
      return copy(H5T_IEEE_F64LE);
    case DType::i64:
      return copy(H5T_STD_I64LE);
    case DType::u8:
      return copy(H5T_STD_U8LE);
  }
  __builtin_unreachable();
}

}  // namespace vitrail::hdf5::detail
