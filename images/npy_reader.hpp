// Reads the .npy arrays that Tutti's own sinks write: rows of float32 or int64, in any order. Images are read by
// make_npy() of images/sources.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "images/npy.hpp"

namespace tutti::images {

/// An open file; one thread.
class NpyReader {
 public:
  /// `axes` is 1 or 2: an array of one axis has rows of width 1. Throws Error(usage) that names the file if it is
  /// missing or holds something else.
  NpyReader(const std::filesystem::path& path, NpyType type, std::size_t axes);

  const std::filesystem::path& path() const noexcept { return file_.path(); }
  std::uint64_t rows() const noexcept { return rows_; }
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
  std::uint32_t width_ = 1;
};

}  // namespace tutti::images
