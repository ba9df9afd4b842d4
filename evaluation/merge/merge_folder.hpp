// Where `tutti merge` puts its result: a file or a folder, like the first input, with merge.json next to it.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <utility>

#include "merge/merging.hpp"
#include "results/run_folder.hpp"

namespace tutti {

class MergeFolder {
 public:
  /// The result is in `folder`; it is a file or a folder like `first`, the path of a checkpoint. Throws Error if it
  /// cannot be created.
  MergeFolder(images::RunFolder folder, const std::filesystem::path& first);

  const std::filesystem::path& folder() const { return folder_.path(); }
  /// The file with the weights.
  const std::filesystem::path& weights() const { return weights_; }
  std::filesystem::path report() const { return folder() / "merge.json"; }
  /// What a description would name: the file, or the folder.
  std::filesystem::path model() const { return result_folder_ ? result_folder_->path() : weights_; }

  /// Throws Error(usage) if the result would replace one of its inputs.
  void check(const merge::MergeInput& input) const;
  /// Copies the other files that such a folder needs. Call it before the weights are in place: a folder with weights is
  /// complete.
  void copy_beside() const;
  /// Removes the merge.json of an earlier merge, which would be next to other weights.
  void remove_report() const;
  /// Removes folders that were made but not used; any thread.
  void remove_if_empty() const noexcept;
  /// Ends the use of this object: another command continues in the folder.
  images::RunFolder release() && { return std::move(folder_); }

  const images::RunFolder& held() const { return folder_; }

 private:
  images::RunFolder folder_;
  std::optional<images::MadeFolder> result_folder_;  ///< if the result is a folder
  std::filesystem::path source_folder_;              ///< of the first checkpoint; empty if that is a file
  std::filesystem::path weights_;
};

}  // namespace tutti
