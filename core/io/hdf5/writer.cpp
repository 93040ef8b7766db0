#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/io/hdf5/driver.h"
#include "vitrail/core/io/hdf5/handle.h"

#include <algorithm>
#include <array>

namespace vitrail::hdf5 {
namespace {

using namespace detail;

constexpr size_t kLongestFixedString = 32 * 1024;  // an attribute stored in place has at most 64 KiB

/// A property list that records no times.
Handle timeless(hid_t kind, const Place& at) {
  Handle list = at.opened(H5Pcreate(kind), H5Pclose, "make a property list");
  at.done(H5Pset_obj_track_times(list, false), "leave times out");
  return list;
}

[[noreturn]] void fail_with(int error, const Place& at) { fail_write("hdf5", at.file, "write the file", error); }

Handle create_file(const Place& at, hsize_t user_block, int& error) {
  const Handle creation = timeless(H5P_FILE_CREATE, at);
  at.done(H5Pset_userblock(creation, user_block), "reserve the first block");
  const Handle access = at.opened(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make an access list");
  at.done(H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST), "choose the file format");
  at.done(use_write_driver(access, &error), "choose how to write");
  Handle file(H5Fcreate(at.file.c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose);
  if (error != 0) fail_with(error, at);
  return at.opened(file.release(), H5Fclose, "create the file");
}

/// Creates every group along the path that does not exist.
void make_groups(hid_t file, const std::string& path, const Place& at) {
  for (size_t end = path.find('/', 1); !path.empty(); end = path.find('/', end + 1)) {
    const std::string group = path.substr(0, end);
    if (group != "/" && H5Lexists(file, group.c_str(), H5P_DEFAULT) <= 0) {
      const Handle list = timeless(H5P_GROUP_CREATE, at);
      at.opened(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, list, H5P_DEFAULT), H5Gclose, "create group " + group);
    }
    if (end == std::string::npos) break;
  }
}

Handle simple_space(const Shape& shape, const Place& at) {
  std::array<hsize_t, kMaxRank> dims{};
  std::copy(shape.begin(), shape.end(), dims.begin());
  return at.opened(H5Screate_simple(shape.rank(), dims.data(), nullptr), H5Sclose, "make a dataspace");
}

Handle create_dataset(hid_t file, const Shape& shape, DType dtype, const Place& at) {
  make_groups(file, at.object.substr(0, at.object.rfind('/')), at);
  const Handle list = timeless(H5P_DATASET_CREATE, at);
  return at.opened(H5Dcreate2(file, at.object.c_str(), memory_type(dtype, at), simple_space(shape, at), H5P_DEFAULT,
                              list, H5P_DEFAULT),
                   H5Dclose, "create the dataset");
}

void write_attribute(hid_t object, const std::string& name, hid_t type, const void* value, const Place& at) {
  const Handle space = at.opened(H5Screate(H5S_SCALAR), H5Sclose, "make a dataspace");
  const Handle attribute =
      at.opened(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "create it");
  at.done(H5Awrite(attribute, type, value), "write it");
}

void write_attribute(hid_t object, const std::string& name, const std::string& value, const Place& at) {
  if (value.find('\0') != std::string::npos) at.fail_here("a string attribute cannot hold a zero byte");
  const Handle type = at.opened(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  const bool fixed = value.size() <= kLongestFixedString;
  at.done(H5Tset_size(type, fixed ? std::max<size_t>(value.size(), 1) : H5T_VARIABLE), "make a string type");
  at.done(H5Tset_strpad(type, fixed ? H5T_STR_NULLPAD : H5T_STR_NULLTERM), "make a string type");
  at.done(H5Tset_cset(type, H5T_CSET_UTF8), "make a string type");
  const char* text = value.c_str();
  write_attribute(object, name, type, fixed ? static_cast<const void*>(text) : &text, at);
}

}  // namespace

struct Writer::File {
  std::string name;
  std::unique_ptr<int> error;  // errno of the first failed write; the driver sets it
  Handle id;

  Place at(std::string_view path) const { return {name, absolute(path)}; }
};

Writer::Writer(const std::filesystem::path& path, int64_t user_block) {
  const Session session;
  const Place at{path.string(), "/"};
  auto error = std::make_unique<int>(0);
  Handle id = create_file(at, hsize_t(user_block), *error);
  file_ = std::make_unique<File>(File{at.file, std::move(error), std::move(id)});
}

Writer::~Writer() {
  const Session session;
  file_.reset();
}

void Writer::write(std::string_view path, const Tensor& value) {
  const Session session;
  const Place at = file_->at(path);
  const Handle dataset = create_dataset(file_->id, value.shape(), value.dtype(), at);
  if (value.numel() == 0) return;
  const Tensor dense = value.contiguous();
  at.done(H5Dwrite(dataset, memory_type(value.dtype(), at), H5S_ALL, H5S_ALL, H5P_DEFAULT, dense.raw()), "write it");
}

void Writer::group(std::string_view path) {
  const Session session;
  const Place at = file_->at(path);
  make_groups(file_->id, at.object, at);
}

void Writer::create(std::string_view path, const Shape& shape, DType dtype) {
  const Session session;
  create_dataset(file_->id, shape, dtype, file_->at(path));
}

void Writer::write_rows(std::string_view path, int64_t begin, const Tensor& rows) {
  const Session session;
  const Place at = file_->at(path);
  const Handle dataset = at.opened(H5Dopen2(file_->id, at.object.c_str(), H5P_DEFAULT), H5Dclose, "open it");
  const Handle space = at.opened(H5Dget_space(dataset), H5Sclose, "read its shape");
  std::array<hsize_t, kMaxRank> dims{}, start{}, count{};
  const bool ranks_agree = rows.rank() > 0 && H5Sget_simple_extent_ndims(space) == rows.rank();
  if (ranks_agree) H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  std::copy(rows.shape().begin(), rows.shape().end(), count.begin());
  start[0] = hsize_t(begin);
  const bool fits = ranks_agree && begin >= 0 && start[0] + count[0] <= dims[0] &&
                    std::equal(count.begin() + 1, count.end(), dims.begin() + 1);
  if (!fits) at.fail_here("rows {} at {} do not fit", rows.shape(), begin);
  if (rows.numel() == 0) return;
  at.done(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "select rows");
  const Tensor dense = rows.contiguous();
  at.done(
      H5Dwrite(dataset, memory_type(rows.dtype(), at), simple_space(rows.shape(), at), space, H5P_DEFAULT, dense.raw()),
      "write it");
}

template <class T>
void Writer::attribute(std::string_view path, std::string_view name, const T& value) {
  const Session session;
  const Place place = file_->at(path);
  const Handle object = place.opened(H5Oopen(file_->id, place.object.c_str(), H5P_DEFAULT), H5Oclose, "open it");
  const std::string attribute_name(name);
  const Place at{place.file, place.object + " @" + attribute_name};
  if constexpr (std::is_same_v<T, std::string>)
    write_attribute(object, attribute_name, value, at);
  else
    write_attribute(object, attribute_name, memory_type(dtype_of<T>(), at), &value, at);
}

template void Writer::attribute(std::string_view, std::string_view, const int64_t&);
template void Writer::attribute(std::string_view, std::string_view, const double&);
template void Writer::attribute(std::string_view, std::string_view, const std::string&);

void Writer::close() {
  const Session session;
  const Place at = file_->at("/");
  at.done(file_->id.close(), "close the file");
  if (*file_->error != 0) fail_with(*file_->error, at);
}

}  // namespace vitrail::hdf5
