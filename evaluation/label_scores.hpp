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
#include "coordinator/decide/accumulator.hpp"
#include "results/figures.hpp"

namespace tutti {

/// Whether LabelScores has figures: for class masks, for numbers (`over: values`) and for several labels (`activation:
/// sigmoid`), if the labels of `source` are of that kind.
bool has_label_scores(const config::CombineSpec& combine, const Source& source);

/// Throws Error(usage), which names the labels' file, if the labels of `input` cannot be compared with the predictions:
/// masks of another size or with more classes, another number of values, one class per image where the members predict
/// masks; and if masks have no such axis. Call it once the models are loaded.
void check_labels(const config::CombineSpec& combine, const config::InputSpec& input, const Source& source,
                  const std::vector<MemberStatus>& members);

/// The memory, in bytes, in which the average precision of several labels needs the scores of `rows` models and rules;
/// 0 if there are no such labels, or if the scores are too many to be held.
std::uint64_t held_score_bytes(const config::CombineSpec& combine, const Source& source, std::size_t rows);

/// What is compared with the labels.
struct ComparedForm {
  config::CombineSpec combine{};          ///< what the models' values are, and where their classes are
  std::optional<std::int64_t> ignored{};  ///< places of masks with this label do not count
  std::vector<Dims> models{};             ///< sizes of their predictions, in rank order; none: others compare them
  Dims output{};                          ///< sizes of what the rules make of them
  std::vector<config::CombineSpec> rules{};
  std::size_t elsewhere = 0;  ///< models and rules that are compared by another LabelScores, and hold scores too
};

/// The sizes of the models' predictions.
std::vector<Dims> outputs_of(const std::vector<MemberStatus>& models);

/// The members, and the ensemble under the rule of `combine` unless it is `none`.
ComparedForm compared_form(const config::CombineSpec& combine, std::optional<std::int64_t> ignored,
                           const std::vector<MemberStatus>& members);

/// Collects segment by segment. Images that a model did not predict do not count for that model, and images without
/// any prediction do not count for the rules. A value, except for the source.
class LabelScores {
 public:
  /// `source` holds the images of the whole run, and outlives it. check_labels() has passed.
  LabelScores(ComparedForm form, Source& source);

  /// The rules are at most one, and `result` is what it gives.
  void add(const SegmentResult& result);
  /// `combined` is what each rule gives; empty if there was nothing to combine.
  void add(const SegmentResult& result, std::span<const Accumulator::Result> combined);
  /// The sums of the segment of the last add(), which every member predicted.
  void write_segment(images::SumWriter& out) const;
  /// Adds a segment that was written. `result` tells which images these are. Throws SumMisfit.
  void read_segment(const SegmentResult& result, images::SumReader& in);

  /// In rank order; empty if there is nothing to compare, or if others compare them.
  std::vector<images::Figures> members() const;
  /// In their order; empty if there is nothing to compare.
  std::vector<images::Figures> rules() const;
  /// How many models and rules are compared.
  std::size_t rows() const noexcept { return members_.size() + rules_.size(); }
  /// The first of the rules; nothing with the rule `none` either.
  std::optional<images::Figures> ensemble() const;

 private:
  using Metrics = std::variant<images::MaskMetrics, images::RegressionMetrics, images::MultiLabelMetrics>;

  /// One prediction per image: where its values are, and which class is decided for at each place of a mask.
  struct Compared {
    Metrics metrics;
    Dims output;
    std::uint64_t images = 0;  ///< that were compared

    images::Figures figures() const;
  };
  /// The values of an ensemble, and the classes that its rule decided for.
  struct Combined {
    std::span<const float> values;
    std::span<const std::int64_t> decided;
  };

  Metrics metrics_for(const Dims& output, const config::CombineSpec* rule) const;
  void add_all(const SegmentResult& result, const std::vector<Combined>& combined);
  void read(std::uint64_t first, std::size_t images);
  /// `decided` may be empty: then the largest value decides.
  void compare(Compared& with, std::span<const float> values, std::span<const std::int64_t> decided,
               std::uint64_t first);
  void compare_masks(images::MaskMetrics& metrics, const Dims& output, std::span<const float> values,
                     std::span<const std::int64_t> decided, std::uint64_t first);

  ComparedForm form_;
  Source& source_;
  std::size_t places_ = 0;         ///< labels per image; 0: there is nothing to compare
  std::vector<Compared> members_;  ///< by rank
  std::vector<Compared> rules_;
  std::vector<std::uint64_t> indices_;
  std::vector<std::int64_t> classes_;  ///< labels of the images at hand, of masks
  std::vector<float> numbers_;         ///< the same, of numbers and of several labels
  std::vector<std::int64_t> decided_;
};

}  // namespace tutti
