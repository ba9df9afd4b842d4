// How good predictions are that are not one class per image: masks, numbers, several labels. The labels do not travel
// with the images: they are read from the source when a segment is there, on the thread that reads the images too. Of
// the segments of a resumed run that are known, the journal has the sums; labels that are numbers are read again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "results/figures.hpp"

namespace tutti::program {

/// Whether LabelScores has figures: for class masks, for numbers (`over: values`) and for several labels (`activation:
/// sigmoid`), if the labels of `source` are of that kind.
bool has_label_scores(const config::CombineSpec& combine, const Source& source);

/// Throws Error(usage), which names the labels' file, if the labels of `input` cannot be compared with the predictions:
/// masks of another size or with more classes, another number of values, one class per image where the members predict
/// masks; and if masks have no such axis. Call it once the models are loaded.
void check_labels(const config::EnsembleSpec& spec, const Source& source, const std::vector<MemberStatus>& members);

/// Collects segment by segment. Images that a member did not predict do not count for that member, and images without
/// any prediction do not count for the ensemble.
class LabelScores {
 public:
  /// `source` holds the images of the whole run, and outlives it, as does `combine`. check_labels() has passed.
  LabelScores(const config::CombineSpec& combine, std::optional<std::int64_t> ignored, Source& source,
              const std::vector<MemberStatus>& members);

  void add(const SegmentResult& result);
  /// The sums of the segment of the last add(), which every member predicted.
  void write_segment(images::SumWriter& out) const;
  /// Adds a segment that was written. `result` tells which images these are. Throws SumMisfit.
  void read_segment(const SegmentResult& result, images::SumReader& in);

  /// In rank order; empty if there is nothing to compare.
  std::vector<images::Figures> members() const;
  /// Nothing with the rule `none` either.
  std::optional<images::Figures> ensemble() const;

 private:
  using Metrics = std::variant<images::MaskMetrics, images::RegressionMetrics, images::MultiLabelMetrics>;

  /// One prediction per image: where its values are, and which class is decided for at each place of a mask.
  struct Compared {
    Metrics metrics;
    Dims output;
  };

  Metrics metrics_for(const Dims& output, bool combined, std::size_t models) const;
  void read(std::uint64_t first, std::size_t images);
  /// `decided` may be empty: then the largest value decides.
  void compare(Compared& with, std::span<const float> values, std::span<const std::int64_t> decided,
               std::uint64_t first);
  void compare_masks(images::MaskMetrics& metrics, const Dims& output, std::span<const float> values,
                     std::span<const std::int64_t> decided, std::uint64_t first);

  const config::CombineSpec& combine_;
  const std::optional<std::int64_t> ignored_;
  Source& source_;
  std::size_t places_ = 0;         ///< labels per image; 0: there is nothing to compare
  std::vector<Compared> members_;  ///< by rank
  std::optional<Compared> ensemble_;
  std::vector<std::uint64_t> indices_;
  std::vector<std::int64_t> classes_;  ///< labels of the images at hand, of masks
  std::vector<float> numbers_;         ///< the same, of numbers and of several labels
  std::vector<std::int64_t> decided_;
};

}  // namespace tutti::program
