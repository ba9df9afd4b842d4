// Where `tutti merge` puts its result: a file, or a folder as the first of the merged ones is, with merge.json beside.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <utility>

#include "merge/merging.hpp"
#include "results/run_folder.hpp"

namespace tutti::program {

class MergeFolder {
 public:
  /// In `folder`, like `first`, the path of a checkpoint. Throws Error where there can be none.
  MergeFolder(images::RunFolder folder, const std::filesystem::path& first);

  const std::filesystem::path& folder() const { return folder_.path(); }
  /// The file with the weights.
  const std::filesystem::path& weights() const { return weights_; }
  std::filesystem::path report() const { return folder() / "merge.json"; }
  /// What a description names: the file, or the folder.
  std::filesystem::path model() const { return result_folder_ ? result_folder_->path() : weights_; }

  /// Throws Error(usage) where the result would replace what it is made of.
  void check(const merge::MergeInput& input) const;
  /// What else such a folder needs. Before the weights are in place: a folder with weights is a whole one.
  void copy_beside() const;
  /// That of an earlier merge does not stand beside other weights.
  void remove_report() const;
  /// Folders that were made for nothing; any thread.
  void remove_if_empty() const noexcept;
  /// Ends the life of this object: another command goes on in the folder.
  images::RunFolder release() && { return std::move(folder_); }

  const images::RunFolder& held() const { return folder_; }

 private:
  images::RunFolder folder_;
  std::optional<images::MadeFolder> result_folder_;  ///< where the result is a folder
  std::filesystem::path source_folder_;              ///< of the first checkpoint; empty where that is a file
  std::filesystem::path weights_;
};

}  // namespace tutti::program
