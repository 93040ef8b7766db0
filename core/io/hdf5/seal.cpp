// The block before the HDF5 part of our own files. It holds a magic number, a version, the size and a hash.
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/hdf5.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vitrail::hdf5 {
namespace {

constexpr int64_t kBlock = 512;  // the smallest user block of HDF5
constexpr std::array<char, 8> kMagic = {'v', 'i', 't', 'r', 'a', 'i', 'l', '\n'};
constexpr uint64_t kVersion = 1;

/// The content of the block, little-endian. Zeros follow.
struct Seal {
  std::array<char, 8> magic = kMagic;
  uint64_t version = kVersion;
  uint64_t file_size = 0;
  uint64_t hash = 0;  // XXH3 of the file with these eight bytes zero
};
static_assert(sizeof(Seal) == 32);

uint64_t hash_of(std::span<const std::byte> file, Seal seal) {
  seal.hash = 0;
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), &seal, sizeof(seal));
  XXH3_64bits_update(state.get(), file.data() + sizeof(seal), file.size() - sizeof(seal));
  return XXH3_64bits_digest(state.get());
}

bool has_magic(std::span<const std::byte> file) {
  return int64_t(file.size()) >= kBlock && std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0;
}

void seal(const std::filesystem::path& path) {
  Seal block;
  {
    const MappedFile file(path);
    block.file_size = file.bytes().size();
    block.hash = hash_of(file.bytes(), block);
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && ::pwrite(fd, &block, sizeof(block), 0) == ssize_t(sizeof(block));
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!written) fail_write("hdf5", path, "seal it", error);
}

void verify(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string name = path.string();
  check<IoError>(has_magic(file.bytes()), "hdf5", "{}: is not a file of Vitrail's, or its start is damaged", name);
  Seal block;
  std::memcpy(&block, file.bytes().data(), sizeof(block));
  check<IoError>(block.version == kVersion, "hdf5", "{}: has format version {}; this program reads version {}", name,
                 block.version, kVersion);
  check<IoError>(block.file_size == file.bytes().size(), "hdf5", "{}: is damaged: it has {} bytes, not {}", name,
                 file.bytes().size(), block.file_size);
  check<IoError>(block.hash == hash_of(file.bytes(), block), "hdf5",
                 "{}: is damaged: its content does not match its checksum", name);
}

}  // namespace

void save(const std::filesystem::path& path, const std::function<void(Writer&)>& fill, int64_t expected_bytes) {
  const auto write = [&](const std::filesystem::path& temporary) {
    Writer writer(temporary, kBlock);
    fill(writer);
    writer.close();
    seal(temporary);
  };
  durable_write(path, write, expected_bytes);
}

bool is_sealed(const std::filesystem::path& path) { return has_magic(MappedFile(path).bytes()); }

Reader open_sealed(const std::filesystem::path& path) {
  verify(path);
  return Reader(path);
}

}  // namespace vitrail::hdf5
