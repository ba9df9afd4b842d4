// What `tutti init` finds where it is told to look: models, how they want their images, pictures or arrays, and names
// of classes. It reads names, headers and small files only, and starts nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/tree.hpp"

namespace tutti::program {

struct FoundModel {
  std::string name;
  std::filesystem::path file;
  config::Tree model;                   ///< {kind: torchscript, path: a.pt}
  std::optional<config::Tree> input{};  ///< `input` of the member: what the image processor next to it does
  bool prepares_itself = false;         ///< a CLIP folder: its member takes the input from there
  std::uint32_t side = 0;               ///< of the images that it takes, if its file tells; 0: it does not

  bool is_tower() const { return model.find("kind")->is_word("clip-vit"); }
};

struct FoundImages {
  std::filesystem::path place;
  config::Tree input;                  ///< {dataset: folder, path: photos}
  std::string summary;                 ///< "12 pictures in 3 folders"
  std::vector<std::string> classes{};  ///< the names of the folders, in their order
  std::vector<std::string> remarks{};  ///< sentences
  bool pictures = false;               ///< they can be resized when they are decoded
};

struct Found {
  std::vector<FoundModel> models;
  FoundImages images;
  std::vector<std::string> problems{};  ///< sentences about files that could not be used
  std::filesystem::path class_file{};   ///< that names the classes; empty: none was found
};

/// The names in a file as `classes` takes it; none if it is not such a file.
std::vector<std::string> class_names_in(const std::filesystem::path& file);

/// `places` are folders or files of models, and one folder of pictures or an .npy file, in any order. Throws
/// Error(usage) if there is no model, if there are no images or several sets of them, or if a place is neither.
Found look_at(const std::vector<std::filesystem::path>& places);

}  // namespace tutti::program
