// The labels of samples, from a file: an array of whole numbers, or a column of a table.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "images/record_file.hpp"

namespace tutti::images {

/// Opened, and every label checked once.
class LabelArray {
 public:
  /// For `count` samples, which messages call `noun` ("image"). `classes` 0: the largest label + 1, or as many as there
  /// are names. Throws Error(usage) that names the file.
  LabelArray(const std::filesystem::path& written, std::uint64_t count, std::string_view noun, std::uint32_t classes);

  std::uint32_t classes() const noexcept { return classes_; }
  /// Empty if the labels are numbers.
  std::string class_name(std::uint32_t label) const { return label < names_.size() ? names_[label] : std::string(); }
  void read(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels);

 private:
  void open(const std::filesystem::path& written);
  std::int64_t value(std::span<const std::byte> record) const;
  void check(std::uint64_t index, std::int64_t label) const;
  std::int64_t check_all();

  std::string noun_;
  std::string descr_;
  std::optional<RecordFile> records_;
  std::vector<std::int64_t> labels_;  ///< of a column: what its records are places of
  std::vector<std::string> names_;
  std::uint64_t limit_;
  std::uint32_t classes_ = 0;
};

}  // namespace tutti::images
