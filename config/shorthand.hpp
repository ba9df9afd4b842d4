// What a description may leave out or say in a word. It is written out on the tree, before any key is read, so that
// every later check and message is about the long form.
//
//   defaults: {...}                      merged under every member
//   members: {glob: "models/*.pt", ...}  a member for each file; also as an entry of the list
//   input: imagenet                      of a member: how a usual kind of network wants its images
//   preprocess: imagenet                 of an input: its mean and standard deviation
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/tree.hpp"

namespace tutti::config {

/// The words that presets are called by.
std::vector<std::string> preset_names();

/// A member whose model is a file.
struct FileMember {
  std::string name;
  std::string_view kind;  ///< of the model, if the ending of the file tells; empty: it does not
  std::string_view key;   ///< of the model that names the file; empty if the kind is
  std::filesystem::path file;
};

/// Named after their files, or after files and folders if the files are called alike.
std::vector<FileMember> members_for(const std::vector<std::filesystem::path>& files);

/// The kind of a model in such a file or folder, if its ending tells; else empty.
std::string_view kind_of_file(const std::filesystem::path& file);

/// Globs look at the file system. Mistakes are violations. Returns whether all members are there: those of a glob may be
/// missing because of an earlier mistake.
bool write_out(Tree& root, Violations& violations);

}  // namespace tutti::config
