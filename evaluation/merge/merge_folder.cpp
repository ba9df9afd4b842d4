#include "evaluation/merge/merge_folder.hpp"

#include <fmt/format.h>

#include <array>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"

namespace tutti {
namespace {

/// What a Hugging Face folder needs in addition to its weights, as far as the first member has it.
constexpr std::array<const char*, 3> kCopied{"config.json", "preprocessor_config.json", "processor_config.json"};

}  // namespace

MergeFolder::MergeFolder(images::RunFolder folder, const std::filesystem::path& first) : folder_(std::move(folder)) {
  std::error_code ignored;
  if (std::filesystem::is_directory(first, ignored)) {
    source_folder_ = first;
    weights_ = result_folder_.emplace(folder_.path() / "merged", "").path() / "model.safetensors";
  } else {
    weights_ = folder_.path() / "merged.safetensors";
  }
}

void MergeFolder::check(const merge::MergeInput& input) const {
  for (const std::filesystem::path& file : input.checkpoint->files()) {
    std::error_code different;
    if (std::filesystem::equivalent(file, weights_, different))
      throw Error(ErrorKind::usage, fmt::format("the merged weights would replace those of {}", input.name),
                  weights_.string(), "choose another folder with 'output'");
  }
}

void MergeFolder::copy_beside() const {
  if (!result_folder_) return;
  for (const char* name : kCopied) {
    std::error_code ignored;
    if (!std::filesystem::exists(source_folder_ / name, ignored)) continue;
    AtomicFile copy(result_folder_->path() / name);
    copy.write(read_text(source_folder_ / name, "the file"));
    copy.commit();
  }
}

void MergeFolder::remove_report() const {
  std::error_code code;
  std::filesystem::remove(report(), code);
  if (code) throw write_error(report(), code.value());
}

void MergeFolder::remove_if_empty() const noexcept {
  if (result_folder_) result_folder_->remove_if_empty();
  folder_.remove_if_empty();
}

}  // namespace tutti
