#include "vitrail/core/io/hdf5/driver.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace vitrail::hdf5::detail {
namespace {

/// An open file. HDF5 sees only the first member.
struct File {
  H5FD_t known_to_hdf5{};
  int fd = -1;
  int* error = nullptr;
  haddr_t end = 0;        // of the addresses that HDF5 allocated
  haddr_t file_size = 0;  // the size reported to HDF5, even after a failed write

  void note(bool ok) {
    if (!ok && *error == 0) *error = errno;
  }
};

/// Stored in the access list: where the driver records errno.
struct Target {
  int* error;
};

File& file_of(H5FD_t* file) { return *reinterpret_cast<File*>(file); }
const File& file_of(const H5FD_t* file) { return *reinterpret_cast<const File*>(file); }

H5FD_t* open_file(const char* name, unsigned, hid_t access, haddr_t) {
  auto file = std::make_unique<File>();
  file->error = static_cast<const Target*>(H5Pget_driver_info(access))->error;
  file->fd = ::open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  file->note(file->fd >= 0);
  return file->fd < 0 ? nullptr : &file.release()->known_to_hdf5;
}

herr_t close_file(H5FD_t* handle) {
  const std::unique_ptr<File> file(&file_of(handle));
  file->note(::close(file->fd) == 0);
  return 0;
}

herr_t read_file(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* out) {
  File& file = file_of(handle);
  auto* bytes = static_cast<char*>(out);
  std::memset(bytes, 0, size);  // bytes past the end read as 0
  while (size > 0) {
    const ssize_t n = ::pread(file.fd, bytes, size, off_t(address));
    if (n < 0 && errno == EINTR) continue;
    file.note(n >= 0);
    if (n <= 0) break;
    bytes += n, size -= size_t(n), address += haddr_t(n);
  }
  return 0;
}

herr_t write_file(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, size_t size, const void* from) {
  File& file = file_of(handle);
  file.file_size = std::max(file.file_size, address + size);
  const auto* bytes = static_cast<const char*>(from);
  while (size > 0 && *file.error == 0) {
    const ssize_t n = ::pwrite(file.fd, bytes, size, off_t(address));
    if (n < 0 && errno == EINTR) continue;
    file.note(n >= 0);
    if (n > 0) bytes += n, size -= size_t(n), address += haddr_t(n);
  }
  return 0;
}

herr_t truncate_file(H5FD_t* handle, hid_t, hbool_t) {
  File& file = file_of(handle);
  file.note(::ftruncate(file.fd, off_t(file.end)) == 0);
  file.file_size = file.end;
  return 0;
}

hid_t register_driver() {
  static H5FD_class_t driver{};
  driver.name = "vitrail";
  driver.maxaddr = haddr_t{1} << 62;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(Target);
  driver.open = open_file;
  driver.close = close_file;
  driver.get_eoa = [](const H5FD_t* file, H5FD_mem_t) { return file_of(file).end; };
  driver.set_eoa = [](H5FD_t* file, H5FD_mem_t, haddr_t end) -> herr_t {
    file_of(file).end = end;
    return 0;
  };
  driver.get_eof = [](const H5FD_t* file, H5FD_mem_t) { return file_of(file).file_size; };
  driver.read = read_file;
  driver.write = write_file;
  driver.truncate = truncate_file;
  return H5FDregister(&driver);
}

}  // namespace

herr_t use_write_driver(hid_t access, int* error) {
  static const hid_t driver = register_driver();
  const Target target{error};
  return driver < 0 ? -1 : H5Pset_driver(access, driver, &target);
}

}  // namespace vitrail::hdf5::detail
