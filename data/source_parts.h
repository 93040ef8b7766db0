// What kind of data lies at a path, and which files make up its parts (train, val, test).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

enum class SourceKind { cifar10, cifar100, hdf5, tar, idx, folder };
std::string to_string(SourceKind kind);

struct SourcePart {
  std::string split;  // "train", "val", "test", or "" for data that is not divided
  SourceKind kind = SourceKind::folder;
  std::vector<std::string> paths;  // archives or batches in order; IDX: pictures, labels; HDF5 and folder: one
};

/// "train", "val" or "test" if name begins so ("train-00001", "validation", "t10k-images"); else "".
std::string split_of(std::string_view name);

/// Which of the splits there are serves the one wanted: itself; "val" and "test" each other; undivided data ("") as
/// "train". Nothing if none does.
std::optional<std::string> serving_split(const std::vector<std::string>& there, std::string_view wanted);

/// The parts of what lies at path, by the first rule that fits:
///   a file         .h5 .hdf5, .tar .tar.gz .tgz, *-images-idx3-ubyte[.gz], .bin (CIFAR): that file
///   CIFAR          data_batch_*.bin and test_batch.bin, or train.bin and test.bin (CIFAR-100)
///   HDF5           one .h5 file (its groups are the parts), or one for each of train, val, test
///   tar            train*.tar[.gz], val*.tar[.gz], test*.tar[.gz], or any archives as one undivided set
///   IDX            [prefix-]train-images-idx3-ubyte[.gz] with its labels, and t10k or test likewise
///   folders        train/, val/ or test/, each holding archives or pictures
///   pictures       class folders, or pictures side by side
/// path may also be a prefix of IDX files: digits/digits8 stands for digits/digits8-train-images-idx3-ubyte and so on.
/// Throws DataError saying what was found and what is accepted.
std::vector<SourcePart> find_parts(const std::string& path);

}  // namespace vitrail::data
