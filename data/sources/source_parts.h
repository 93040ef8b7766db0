// What kind of data lies at a path, and which files make up its parts (train, val, test).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

enum class SourceKind { cifar10, cifar100, hdf5, tar, idx, folder, table };
std::string to_string(SourceKind kind);

struct SourcePart {
  std::string split;  // "train", "val", "test", or "" for data that is not divided
  SourceKind kind = SourceKind::folder;
  // Archives or batches in order; IDX: images, labels; HDF5 and folder: one; table: it, then its images' archives.
  std::vector<std::string> paths;
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
///   folders        train/, val/ or test/, each holding archives or images
///   images       class folders, or images side by side
/// path may also be a prefix of IDX files: digits/digits8 stands for digits/digits8-train-images-idx3-ubyte and so on.
/// Throws DataError saying what was found and what is accepted.
std::vector<SourcePart> find_parts(const std::string& path);

/// The parts of images with captions at path, by the first rule that fits:
///   a file         .tsv .csv .txt (a table, of the part that its name says), .h5 .hdf5, .tar .tar.gz .tgz: that file
///   tables         captions.train.tsv or train.tsv, likewise val and test, or captions.tsv for undivided data;
///                  .csv stands for .tsv everywhere, and Flickr8k's captions.txt for captions.csv
///   HDF5, tar      as find_parts
///   folders        train/, val/ or test/, each holding archives
/// The images of a table are in the archives beside it that are named after its part (train*.tar, images.train*.tar,
/// or gzipped), else in any archives beside it, else files: see list_of_files.
/// Throws DataError saying what was found and what is accepted.
std::vector<SourcePart> find_pair_parts(const std::string& path);

/// An HDF5 file that is not named after one part may hold them all.
bool has_parts_inside(const SourcePart& part);

/// The part that serves split. Throws DataError naming those that there are at path.
const SourcePart& pick_part(const std::vector<SourcePart>& parts, std::string_view split, const std::string& path);

/// The names of the parts; undivided data is "train". None for an HDF5 file that has to be opened to know.
std::vector<std::string> splits_of(const std::vector<SourcePart>& parts);

}  // namespace vitrail::data
