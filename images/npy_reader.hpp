// Reads the .npy arrays that Tutti's own sinks write: rows of float32 or int64, in any order. Images are read by
// make_npy() of images/sources.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include <tutti/tensor.hpp>

#include "images/npy.hpp"

namespace tutti::images {

/// An open file; one thread.
class NpyReader {
 public:
  /// An array of `axes` axes, or of any number from 1 on; the first is that of the rows. Throws Error(usage) that names
  /// the file if it is missing or holds something else.
  NpyReader(const std::filesystem::path& path, NpyType type, std::optional<std::size_t> axes = std::nullopt);

  const std::filesystem::path& path() const noexcept { return file_.path(); }
  std::uint64_t rows() const noexcept { return rows_; }
  const Dims& row_shape() const noexcept { return row_shape_; }
  /// Values per row.
  std::uint32_t width() const noexcept { return width_; }

  /// Fills `values` with whole rows, from row `first` on. The type must be the array's. Throws Error(failed) if the
  /// file became shorter or cannot be read.
  void read(std::uint64_t first, std::span<float> values) const;
  void read(std::uint64_t first, std::span<std::int64_t> values) const;

 private:
  InputFile file_;
  NpyType type_;
  std::uint64_t offset_ = 0;
  std::uint64_t rows_ = 0;
  Dims row_shape_;
  std::uint32_t width_ = 1;
};

}  // namespace tutti::images
