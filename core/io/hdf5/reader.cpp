#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/io/hdf5/handle.h"

#include <algorithm>
#include <cstring>

namespace vitrail::hdf5 {
namespace {

using namespace detail;

bool exists(hid_t file, const std::string& path) {
  const bool found = H5Oexists_by_name(file, path.c_str(), H5P_DEFAULT) > 0;
  H5Eclear2(H5E_DEFAULT);
  return found;
}

std::vector<std::string> link_names(hid_t group, const Place& at) {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  at.done(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names), "list the group");
  return names;
}

/// "a, b, c and 9 more"
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return names.empty() ? "nothing" : text;
}

/// Opens the group or dataset. The error for a missing one lists the names that exist.
Handle open_object(hid_t file, const Place& at) {
  const hid_t id = H5Oopen(file, at.object.c_str(), H5P_DEFAULT);
  if (id >= 0) return {id, H5Oclose};
  const std::string reason = last_error();
  if (exists(file, at.object)) at.fail_here("cannot open it: {}", reason);
  std::string parent = at.object;
  do {
    parent.resize(parent.rfind('/'));
  } while (!parent.empty() && !exists(file, parent));
  const Handle group = at.opened(H5Oopen(file, (parent + "/").c_str(), H5P_DEFAULT), H5Oclose, "open its group");
  if (H5Iget_type(group) != H5I_GROUP) at.fail_here("there is no such object; {} is a dataset", parent);
  at.fail_here("there is no such object; {} holds {}", parent + "/", listed(link_names(group, at)));
}

Handle open_group(hid_t file, const Place& at) {
  Handle group = open_object(file, at);
  if (H5Iget_type(group) != H5I_GROUP) at.fail_here("is not a group");
  return group;
}

Handle open_dataset(hid_t file, const Place& at) {
  Handle dataset = open_object(file, at);
  if (H5Iget_type(dataset) != H5I_DATASET) at.fail_here("is not a dataset");
  const Handle list = at.opened(H5Dget_create_plist(dataset), H5Pclose, "read how it is stored");
  const bool elsewhere = H5Pget_layout(list) == H5D_VIRTUAL || H5Pget_external_count(list) != 0;
  if (elsewhere) at.fail_here("keeps its values in other files, which are not read");
  return dataset;
}

DType dtype_of_dataset(hid_t dataset, const Place& at) {
  const Handle type = at.opened(H5Dget_type(dataset), H5Tclose, "read its type");
  const size_t size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return size == 1 && H5Tget_sign(type) == H5T_SGN_NONE ? DType::u8 : DType::i64;
    case H5T_FLOAT:
      if (H5Tequal(type, memory_type(DType::bf16, at)) > 0) return DType::bf16;
      return size < 8 ? DType::f32 : DType::f64;
    default:
      at.fail_here("holds neither integers nor floats");
  }
}

Shape shape_of_space(hid_t space, const Place& at) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || H5Sget_simple_extent_type(space) == H5S_NULL) at.fail_here("has no shape");
  if (rank > kMaxRank) at.fail_here("has rank {}; at most {} is supported", rank, kMaxRank);
  hsize_t dims[kMaxRank] = {};
  if (rank > 0) at.done(H5Sget_simple_extent_dims(space, dims, nullptr), "read its shape");
  std::vector<int64_t> sizes;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] > uint64_t{1} << 62) at.fail_here("has a size of {}", dims[i]);
    sizes.push_back(int64_t(dims[i]));
  }
  return Shape(sizes);
}

/// Refuses numbers that do not fit; HDF5 would clip them.
H5T_conv_ret_t refuse_overflow(H5T_conv_except_t what, hid_t, hid_t, void*, void*, void*) {
  return what == H5T_CONV_EXCEPT_RANGE_HI || what == H5T_CONV_EXCEPT_RANGE_LOW ? H5T_CONV_ABORT : H5T_CONV_UNHANDLED;
}

Tensor read_selected(hid_t dataset, hid_t file_space, const Shape& shape, const Place& at) {
  Tensor t = Tensor::empty(shape, dtype_of_dataset(dataset, at));
  if (t.numel() == 0) return t;
  std::array<hsize_t, kMaxRank> dims{};
  std::copy(shape.begin(), shape.end(), dims.begin());
  const Handle space = at.opened(H5Screate_simple(shape.rank(), dims.data(), nullptr), H5Sclose, "make a dataspace");
  const Handle transfer = at.opened(H5Pcreate(H5P_DATASET_XFER), H5Pclose, "make a transfer list");
  at.done(H5Pset_type_conv_cb(transfer, refuse_overflow, nullptr), "set up the conversion");
  at.done(H5Dread(dataset, memory_type(t.dtype(), at), space, file_space, transfer, t.raw()), "read it");
  return t;
}

std::string text_of(const char* bytes, size_t size, bool space_padded) {
  std::string s(bytes, strnlen(bytes, size));
  if (space_padded) s.resize(s.find_last_not_of(' ') + 1);
  return s;
}

std::vector<std::string> read_strings(hid_t attribute, hid_t type, hid_t space, const Place& at) {
  const auto count = size_t(H5Sget_simple_extent_npoints(space));
  std::vector<std::string> values;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(count);
    at.done(H5Aread(attribute, type, pointers.data()), "read it");
    for (const char* p : pointers) values.emplace_back(p ? p : "");
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  } else {
    const size_t size = H5Tget_size(type);
    std::vector<char> bytes(count * size);
    at.done(H5Aread(attribute, type, bytes.data()), "read it");
    const bool space_padded = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    for (size_t i = 0; i < count; ++i) values.push_back(text_of(bytes.data() + i * size, size, space_padded));
  }
  return values;
}

template <class T>
std::vector<T> read_attribute(hid_t file, const Place& at, const std::string& name) {
  const Handle object = open_object(file, at);
  const Place here{at.file, at.object + " @" + name};
  const Handle attribute = here.opened(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, "open the attribute");
  const Handle type = here.opened(H5Aget_type(attribute), H5Tclose, "read its type");
  const Handle space = here.opened(H5Aget_space(attribute), H5Sclose, "read its shape");
  const H5T_class_t kind = H5Tget_class(type);
  if constexpr (std::is_same_v<T, std::string>) {
    if (kind != H5T_STRING) here.fail_here("is not a string");
    return read_strings(attribute, type, space, here);
  } else {
    constexpr bool integer = std::is_same_v<T, int64_t>;
    if (kind != H5T_INTEGER && (integer || kind != H5T_FLOAT))
      here.fail_here("is not {}", integer ? "an integer" : "a number");
    std::vector<T> values(size_t(H5Sget_simple_extent_npoints(space)));
    if (!values.empty())
      here.done(H5Aread(attribute, integer ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, values.data()), "read it");
    return values;
  }
}

Handle open_file(const std::filesystem::path& path) {
  const Place at{path.string(), "/"};
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail<IoError>("hdf5", "{}: there is no such file", at.file);
  expect_file("hdf5", path);
  const Handle access = at.opened(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make an access list");
  at.done(H5Pset_file_locking(access, false, true), "leave the file unlocked");  // network file systems refuse locks
  return at.opened(H5Fopen(at.file.c_str(), H5F_ACC_RDONLY, access), H5Fclose, "open it as HDF5");
}

}  // namespace

struct Reader::File {
  std::string name;
  Handle id;

  Place at(std::string_view path) const { return {name, absolute(path)}; }
};

Reader::Reader(const std::filesystem::path& path) {
  const Session session;
  file_ = std::make_unique<File>(File{path.string(), open_file(path)});
}

Reader::~Reader() {
  const Session session;
  file_.reset();
}

Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&& other) noexcept {
  const Session session;
  file_ = std::move(other.file_);
  return *this;
}

bool Reader::contains(std::string_view path) const {
  const Session session;
  return exists(file_->id, absolute(path));
}

bool Reader::is_group(std::string_view path) const {
  const Session session;
  if (!exists(file_->id, absolute(path))) return false;
  return H5Iget_type(open_object(file_->id, file_->at(path))) == H5I_GROUP;
}

std::vector<std::string> Reader::names(std::string_view group) const {
  const Session session;
  const Place at = file_->at(group);
  return link_names(open_group(file_->id, at), at);
}

Shape Reader::shape(std::string_view path) const {
  const Session session;
  const Place at = file_->at(path);
  const Handle dataset = open_dataset(file_->id, at);
  return shape_of_space(at.opened(H5Dget_space(dataset), H5Sclose, "read its shape"), at);
}

int64_t Reader::chunk_rows(std::string_view path) const {
  const Session session;
  const Place at = file_->at(path);
  const Handle dataset = open_dataset(file_->id, at);
  const Handle list = at.opened(H5Dget_create_plist(dataset), H5Pclose, "read how it is stored");
  if (H5Pget_layout(list) != H5D_CHUNKED) return 1;
  hsize_t dims[kMaxRank] = {};
  if (H5Pget_chunk(list, kMaxRank, dims) < 1) at.fail_here("has chunks without a size");
  return int64_t(std::clamp<hsize_t>(dims[0], 1, hsize_t{1} << 62));
}

DType Reader::dtype(std::string_view path) const {
  const Session session;
  const Place at = file_->at(path);
  return dtype_of_dataset(open_dataset(file_->id, at), at);
}

Tensor Reader::read(std::string_view path) const {
  const Session session;
  const Place at = file_->at(path);
  const Handle dataset = open_dataset(file_->id, at);
  const Handle space = at.opened(H5Dget_space(dataset), H5Sclose, "read its shape");
  return read_selected(dataset, space, shape_of_space(space, at), at);
}

Tensor Reader::read_rows(std::string_view path, int64_t begin, int64_t end) const {
  const Session session;
  const Place at = file_->at(path);
  const Handle dataset = open_dataset(file_->id, at);
  const Handle space = at.opened(H5Dget_space(dataset), H5Sclose, "read its shape");
  const Shape shape = shape_of_space(space, at);
  if (shape.rank() == 0) at.fail_here("is a scalar and has no rows");
  if (begin < 0 || begin > end || end > shape[0]) at.fail_here("rows {} to {} of {}", begin, end, shape[0]);
  const Shape rows = shape.with(0, end - begin);
  std::array<hsize_t, kMaxRank> start{}, count{};
  start[0] = hsize_t(begin);
  std::copy(rows.begin(), rows.end(), count.begin());
  if (rows.numel() > 0)
    at.done(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "select rows");
  return read_selected(dataset, space, rows, at);
}

bool Reader::has_attribute(std::string_view path, std::string_view name) const {
  const Session session;
  return H5Aexists(open_object(file_->id, file_->at(path)), std::string(name).c_str()) > 0;
}

std::vector<std::string> Reader::attribute_names(std::string_view path) const {
  const Session session;
  const Place at = file_->at(path);
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  const Handle object = open_object(file_->id, at);
  at.done(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names), "list its attributes");
  return names;
}

template <class T>
T Reader::attribute(std::string_view path, std::string_view name) const {
  const Session session;
  const Place at = file_->at(path);
  if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double> || std::is_same_v<T, std::string>) {
    auto values = read_attribute<T>(file_->id, at, std::string(name));
    if (values.size() != 1) at.fail_here("attribute {} has {} values, not one", name, values.size());
    return std::move(values[0]);
  } else {
    return read_attribute<typename T::value_type>(file_->id, at, std::string(name));
  }
}

template int64_t Reader::attribute(std::string_view, std::string_view) const;
template double Reader::attribute(std::string_view, std::string_view) const;
template std::string Reader::attribute(std::string_view, std::string_view) const;
template std::vector<int64_t> Reader::attribute(std::string_view, std::string_view) const;
template std::vector<double> Reader::attribute(std::string_view, std::string_view) const;
template std::vector<std::string> Reader::attribute(std::string_view, std::string_view) const;

}  // namespace vitrail::hdf5
