// Predictions in an array that something else computed, read as float32: an .npy, an entry of an .npz, or the numbers
// of a table (images/arrays.hpp). What Tutti's own sinks write is read by npy_reader.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include <tutti/tensor.hpp>

#include "common/saved_values.hpp"
#include "images/arrays.hpp"

namespace tutti::images {

struct FoundPredictions {
  SavedType type = SavedType::float32;
  Dims shape;  ///< of one prediction
};
/// What an array says that holds predictions of at most `most_values` values. The first axis counts the samples, at
/// least one; at most kMaxRank axes follow. Throws Error(usage) that names the file if the shape is another.
FoundPredictions look_at_predictions(const OpenArray& array, std::uint64_t most_values);
/// Its rows. Throws Error(usage) if its values are not of a SavedType, or if the file is shorter than it says.
RecordFile open_predictions(OpenArray array);

/// An open file; one thread.
class PredictionArray {
 public:
  /// The first axis counts the samples, at most kMaxRank axes follow; of a SavedType. Throws Error(usage)
  /// that names the file if it is missing, holds something else or no predictions, or is shorter than it says.
  explicit PredictionArray(const std::filesystem::path& written);

  /// As it was written: "s.npz:image".
  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t rows() const noexcept { return records_.count(); }
  const Dims& row_shape() const noexcept { return found_.shape; }
  /// Values per prediction.
  std::uint32_t width() const noexcept { return width_; }

  /// Fills `values` with whole predictions, from number `first` on. float64 is rounded to float32. Throws Error(usage)
  /// if float32 cannot hold a finite value, Error(failed) if the file cannot be read.
  void read(std::uint64_t first, std::span<float> values) const;

 private:
  PredictionArray(const std::filesystem::path& written, OpenArray array);

  std::filesystem::path path_;
  FoundPredictions found_;
  std::uint32_t width_ = 1;
  RecordFile records_;
  mutable std::vector<std::byte> bytes_;  ///< of values that are not float32
};

}  // namespace tutti::images
