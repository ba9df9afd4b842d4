// Predictions that were computed elsewhere, in the rows of an .npy file: where they are, and how they are read. Reading
// the header, and judging whether the rows fit an ensemble, is the coordinator's part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include <tutti/tensor.hpp>

#include "common/saved_values.hpp"
#include "common/unique_fd.hpp"

namespace tutti {

struct SavedRows {
  SavedType type = SavedType::float32;
  Dims shape;                ///< of one row, which is the prediction for one sample
  std::uint64_t rows = 0;    ///< one after another, in C order
  std::uint64_t offset = 0;  ///< bytes before the first row
  std::uint64_t first = 0;   ///< row 0 is the prediction for the sample that has this number in its source
  // What the file was like when its header was read: another one would mix two sets of predictions.
  std::uint64_t file_bytes = 0;
  std::int64_t changed_ns = 0;  ///< time of the last change
  friend bool operator==(const SavedRows&, const SavedRows&) = default;

  /// Calls field(name, value) for each.
  static void fields(auto& self, auto&& field) {
    field("type", self.type);
    field("shape", self.shape);
    field("rows", self.rows);
    field("offset", self.offset);
    field("first", self.first);
    field("file_bytes", self.file_bytes);
    field("changed_ns", self.changed_ns);
  }

  std::uint64_t width() const noexcept { return elements_of(shape); }
  std::uint64_t row_bytes() const noexcept { return width() * size_of(type); }
};

/// The time of a file's last change, for SavedRows; 0 if there is none.
std::int64_t changed_ns_of(const std::filesystem::path& file);

/// One thread. Moves, does not copy. It reads by position instead of mapping the file: a file that becomes shorter is
/// then an error and no signal, and none of its pages count as memory of the process.
class SavedReader {
 public:
  /// Throws Error(usage) if the file cannot be opened, or is not the one that `rows` describes.
  SavedReader(std::filesystem::path path, SavedRows rows);

  const SavedRows& form() const noexcept { return rows_; }
  /// Reads whole rows, from row `first` on, as float32; `values` holds them, and the file has them. What float32 cannot
  /// hold becomes infinite. Throws Error(failed) if the file cannot be read.
  void read(std::uint64_t first, std::span<float> values);

 private:
  void read_bytes(std::uint64_t offset, std::span<std::byte> bytes) const;

  std::filesystem::path path_;
  SavedRows rows_;
  UniqueFd file_;
  std::vector<std::byte> buffer_;  ///< of values that are converted
};

}  // namespace tutti
