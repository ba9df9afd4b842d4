// One task in progress: every hosted model by itself, and the members under each rule, all from the same outputs, after
// a head if the task has one. It computes what `tutti run --rules`, `tutti evaluate` and `tutti combine` report. It
// starts nothing, reads no file, and prints nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/class_axis.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/scores.hpp"
#include "merge/head.hpp"
#include "results/class_shares.hpp"
#include "results/disagreement.hpp"
#include "results/metrics.hpp"

namespace tutti {

/// What is evaluated, for every task.
struct EvaluationForm {
  OutputKind answers = OutputKind::probabilities;  ///< what the models output
  std::size_t members = 0;     ///< the first `members` models are combined; the others are only evaluated
  std::vector<float> weights;  ///< of these members
  /// Rules over what the models output. With a head they may also be over probabilities, and are then applied after it.
  std::vector<config::CombineSpec> rules;
  OnNan on_nan = OnNan::error;  ///< allow: what is combined need not be finite
  /// Sizes of the members' predictions; nothing: a row, whose width the first segment tells.
  std::optional<Dims> output{};
  /// What the predictions are and where their classes are, whatever rule is applied.
  config::CombineSpec combine{};
};

/// How to evaluate the members of a description: under the rules of the list ("mean,vote"), or, if it is empty, under
/// its own rule. Throws Error(usage).
EvaluationForm evaluation_form(const config::EnsembleSpec& spec, std::string_view rules);

/// The labels of a task if they are not one class per image.
struct TaskLabels {
  Source& source;
  std::optional<std::int64_t> ignored{};  ///< places of masks with this label do not count
  std::vector<Dims> models{};             ///< sizes of the predictions of all models
  std::size_t elsewhere = 0;              ///< as in ComparedForm
};

class Evaluation {
 public:
  /// `head` may be null; it outlives the evaluation, and so does everything that `form` refers to. With a head, the
  /// models output features.
  Evaluation(EvaluationForm form, const merge::Head* head);

  /// Compares predictions that are not one class per image with these labels. Call it before the first segment;
  /// check_labels() has passed. Without a call, such predictions have no figures.
  void compare_with(const TaskLabels& labels);

  /// `result.members` are all models, each with outputs of its own width (that of a head, or the same width for all
  /// members). Ignores the combined output of `result`. Throws Error(usage) if a label is not a class.
  void add(const SegmentResult& result);
  /// The sums of the segment of the last add(), which every model predicted (results/segment_sums.hpp).
  void write_segment(images::SumWriter& out) const;
  /// Adds a segment that was written. `result` tells its size and the widths of its predictions, and its values are not
  /// read; combined() and disagreement_rows() do not tell of it. Throws SumMisfit.
  void read_segment(const SegmentResult& result, images::SumReader& in);

  /// Members in rank order, then the other models.
  const std::vector<MaybeMetrics>& models() const noexcept { return models_; }
  /// In the order of the form's rules.
  const std::vector<MaybeMetrics>& rules() const noexcept { return rules_; }
  /// The same of masks, numbers and several labels; null if there are none.
  const LabelScores* labels() const noexcept { return labels_ ? &*labels_ : nullptr; }
  const images::Disagreement& disagreement() const noexcept { return disagreement_; }
  std::uint64_t images() const noexcept { return images_; }

  /// Whether there are scores of classes to judge, of which one is right for each image: the models output them, or a
  /// head computes them.
  bool has_classes() const noexcept;

  /// The accumulator's output for each rule on the last segment, before any head if the rule is over features.
  const std::vector<Accumulator::Result>& combined() const noexcept { return combined_; }
  /// The same after the head: for combined features, the softmax of its logits and the classes that it decides for.
  /// Call it only if has_classes().
  const Accumulator::Result& answer(std::size_t rule) const noexcept {
    return tutti::has_classes(form_.rules[rule].over) ? combined_[rule] : behind_[rule];
  }
  /// `result`, the last segment, with answer(rule) as its combined output. Valid until the next add().
  SegmentResult answered(SegmentResult result, std::size_t rule) const;
  /// For the last segment; empty over features without a head.
  const std::vector<images::DisagreementRow>& disagreement_rows() const noexcept { return rows_; }

 private:
  using Answers = std::vector<std::span<const float>>;

  /// The models' class scores: their own outputs, or those of the head.
  Answers class_scores(const SegmentResult& result);
  void skip(MaybeMetrics& metrics, const SegmentResult& result, std::uint32_t classes) const;
  /// Compares each model and the members image by image, and computes each image's shares only once.
  void judge_models(const SegmentResult& result, const Answers& scores);
  void judge(std::size_t model, const SegmentResult& result, std::span<const float> scores, std::uint32_t image);
  void score_rule(std::size_t rule, const SegmentResult& result);
  void decide_behind_head(std::size_t rule, const SegmentResult& result, std::uint32_t classes);
  bool behind_head(const config::CombineSpec& rule) const;
  ClassAxis axis_of(const config::CombineSpec& rule, std::uint32_t width) const;
  Answers features_or_answers(const SegmentResult& result) const;
  std::uint32_t classes_of(const MemberSegmentResult& model) const;
  images::ScoreKind kind() const;

  const EvaluationForm form_;
  const merge::Head* head_;
  std::vector<Accumulator> accumulators_;
  std::vector<bool> present_;  ///< members of the current segment
  bool answered_ = false;      ///< whether any member has a prediction for it
  std::vector<std::vector<float>> logits_;
  /// The members' probabilities after the head; empty unless a rule is applied to them. Those of a member that is not
  /// present are never read.
  std::vector<std::vector<float>> shares_;
  images::ClassShares judged_;    ///< the current row
  std::vector<double> compared_;  ///< the shares of the members for one image
  std::vector<MaybeMetrics> models_;
  std::vector<MaybeMetrics> rules_;
  std::optional<LabelScores> labels_;
  images::Disagreement disagreement_;
  std::vector<Accumulator::Result> combined_;
  std::vector<Accumulator::Result> behind_;  ///< of rules over features
  std::vector<images::DisagreementRow> rows_;
  std::uint64_t images_ = 0;
};

}  // namespace tutti
