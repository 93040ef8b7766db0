// Finds the format of the data at a path, and the files of each part (train, val, test).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

enum class SourceKind { cifar10, cifar100, hdf5, tar, idx, folder, table, questions };
/// The name for messages: "CIFAR-10", "tar archives", ...
std::string to_string(SourceKind kind);

struct SourcePart {
  std::string split;  // "train", "val", "test", or "" for undivided data
  SourceKind kind = SourceKind::folder;
  // Archives or batches in order; IDX: images, then labels; HDF5, folder: one path; table, questions: it, then
  // archives.
  std::vector<std::string> paths;
};

/// "train", "val" or "test" if name begins with a word for it ("train-00001", "Validation", "t10k-images"); else "".
/// The words, in any case, with "set", "data" or "images" behind them or not: train, training; val, valid, validation,
/// dev; test, testing, eval, evaluation, t10k.
std::string split_of(std::string_view name);

/// The same for archives, whose names often begin with that of the dataset: the first such word anywhere in the name
/// ("imagenet1k-train-0001.tar").
std::string split_within(std::string_view name);

/// Whether the whole name is such a word: "train", "Testing".
bool is_part_name(std::string_view name);

/// The existing split that serves as the wanted one: itself, else "val" for "test" and "test" for "val", else undivided
/// data ("") for "train". Nothing if none serves.
std::optional<std::string> serving_split(const std::vector<std::string>& there, std::string_view wanted);

/// For the message that there is no part `split`: "; ..." with the keys that help; empty if none does.
std::string way_forward(const std::vector<std::string>& there, std::string_view split);

/// The parts of the data at path, by the first rule that fits:
///   a file         .h5 .hdf5, .tar .tar.gz .tgz, *images-idx3-ubyte[.gz], .bin (CIFAR): that file
///   CIFAR          data_batch_*.bin and test_batch.bin, or train.bin and test.bin (CIFAR-100)
///   HDF5           one .h5 file (its groups are the parts), or one for each of train, val, test
///   tar            archives by the part that their names say (split_within), or any archives as undivided data
///   IDX            [prefix-]train-images-idx3-ubyte[.gz] with its labels, and the same for t10k or test; without
///                  such a word undivided data
///   folders        train/, val/ or test/, each holding archives or images: see below
///   images         class folders, or images side by side
/// A folder is a part if its name is a word of split_of, in any case, with numbers or not (train, Validation, val2017).
/// Other names with such a word are parts if they differ in it alone (seg_train, seg_test), or if there is no other
/// folder (train_images, test_data). What remains unclear is refused, unless classes.txt lists the folders as classes.
/// path may also be a prefix of IDX files: digits/digits8 stands for digits/digits8-train-images-idx3-ubyte and so on.
/// Throws DataError that lists the files found and the accepted formats.
std::vector<SourcePart> find_parts(const std::string& path);

/// The parts of images with captions at path, by the first rule that fits:
///   a file         .tsv .csv .txt (a table, of the part that its name says), .h5 .hdf5, .tar .tar.gz .tgz: that file
///   tables         captions.train.tsv or train.tsv, the same for val and test, or captions.tsv for undivided data;
///                  .csv stands for .tsv everywhere, and Flickr8k's captions.txt for captions.csv
///   HDF5, tar      as find_parts
///   folders        train/, val/ or test/, each holding archives, or images with a .txt beside each
///   images         with a .txt beside each, at any depth
/// A table's images are members of the archives beside it: those named after its part (train*.tar, images.train*.tar,
/// or gzipped), else all of them. Without archives they are files: see list_of_files. Throws DataError that lists the
/// files found and the accepted formats.
std::vector<SourcePart> find_pair_parts(const std::string& path);

/// The parts of the conversations at path, by the first rule that fits:
///   a file         .tsv .csv (a table of questions), .json .jsonl (LLaVA's conversations): that file, of the part that
///                  its name says
///   files          questions.train.tsv, conversations.train.json or train.json, the same for val and test;
///                  questions.tsv or conversations.json for undivided data
/// Their images lie as those of tables of captions do. Throws DataError that lists the files found and the accepted
/// formats.
std::vector<SourcePart> find_conversation_parts(const std::string& path);

/// Whether the part is an HDF5 file that may hold all parts, because it is not named after one.
bool has_parts_inside(const SourcePart& part);

/// The part that serves split. Throws DataError naming the parts at path, or two folders or files of that part.
const SourcePart& pick_part(const std::vector<SourcePart>& parts, std::string_view split, const std::string& path);

/// The names of the parts, each once; undivided data is "train". An HDF5 file that may hold all parts has none here.
std::vector<std::string> splits_of(const std::vector<SourcePart>& parts);

}  // namespace vitrail::data
