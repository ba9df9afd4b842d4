// Keeps labels that are not one class per image next to the predictions of the members, for `tutti combine`. A class
// per image travels with the predictions, and the sinks keep it themselves (results/sinks.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include <tutti/images.hpp>

#include "images/npy.hpp"
#include "results/sinks.hpp"

namespace tutti::program {

/// Whether the labels of `source` need SavedLabels.
bool has_other_labels(const Source& source);

/// Passes results on to another sink, and writes labels.npy: images x the sizes of a label, int64 or float32. The file
/// appears only in finish(), before those of the other sink. Any call may throw Error(failed) that names it; one
/// thread.
class SavedLabels final : public images::ResultSink {
 public:
  /// `source` has_other_labels(), and outlives it.
  SavedLabels(const std::filesystem::path& folder, Source& source, std::unique_ptr<images::ResultSink> next);

  void write(const SegmentResult& result) override;
  void finish() override;
  void finish_partial() override;

 private:
  Source& source_;
  const TensorLayout layout_;
  images::NpyWriter labels_;
  std::unique_ptr<images::ResultSink> next_;
  std::uint64_t images_ = 0;  ///< whose labels are written
  std::vector<std::uint64_t> indices_;
  std::vector<std::int64_t> classes_;
  std::vector<float> numbers_;
};

}  // namespace tutti::program
