// What lies among the images of a dataset and is not read: files of other kinds, symbolic links.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Whether the name ends in .jpg, .jpeg, .jpe, .jfif, .png, .bmp or, if this build reads it, .webp, in either case.
bool is_image_name(std::string_view name);

/// Whether a file or folder of that path is passed over without a word: hidden names (".DS_Store", "._1.jpg") and what
/// systems leave behind (__MACOSX, Thumbs.db, desktop.ini and the like), at any depth.
bool is_passed_over(std::string_view path);

/// The first folder of a path: "cat" of "cat/deep/1.jpg"; empty for a file that lies in no folder.
std::string_view first_folder(std::string_view path);

/// With small letters for the capitals A to Z.
std::string lower(std::string_view text);

/// The ending in lower case with its dot; empty if there is none.
std::string ending_of(std::string_view name);

/// How to follow symbolic links, for messages.
inline constexpr std::string_view kFollowLinks =
    "data.follow_symlinks=true (a command: --follow-symlinks) follows them";

struct Unread {
  std::map<std::string, int64_t> endings;  // files by ending
  int64_t links = 0;                       // symbolic links that were not followed

  int64_t files() const;  ///< of all endings
  bool operator==(const Unread&) const = default;
};

/// By the first folder of the paths; "" holds what lies in no folder.
using UnreadFiles = std::map<std::string, Unread, std::less<>>;

/// Counts a file that is not an image. A list of classes that lies in no folder is not counted.
void count_unread(UnreadFiles& unread, std::string_view path);

/// For the user: files of kinds that are not read, unless they are texts (labels, captions, notes), and links that
/// were not followed. Each note begins with source.
std::vector<std::string> unread_notes(const UnreadFiles& unread, const std::string& source);

/// Notes as the end of another message: "; note; note".
std::string as_ending(const std::vector<std::string>& notes);

/// Refuses a labelled dataset if a class has files and not one image among paths. Classes are the first folders, or
/// options.classes. Throws DataError naming source, the classes and the kinds of their files.
void check_no_class_vanishes(const UnreadFiles& unread, const std::vector<std::string_view>& paths,
                             const SourceOptions& options, const std::string& source);

}  // namespace vitrail::data
