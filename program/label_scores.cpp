#include "program/label_scores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "common/axis.hpp"
#include "common/check.hpp"
#include "common/counted.hpp"
#include "coordinator/decide/class_axis.hpp"
#include "coordinator/decide/class_rules.hpp"

namespace tutti::program {
namespace {

/// So many labels are read at a time, if one image has fewer.
constexpr std::size_t kLabelsAtATime = 65536;

/// What labels are compared with; nothing: no figures make sense.
enum class Compare { nothing, classes, masks, values, several_labels };

Compare compare_of(const config::CombineSpec& combine, const Source& source) {
  const auto layout = source.label_layout();
  if (!layout) return Compare::nothing;
  if (source.labelled()) return Compare::classes;
  const bool numbers = layout->dtype == Dtype::float32;
  if (combine.over == OutputKind::values) return numbers ? Compare::values : Compare::nothing;
  if (!has_classes(combine.over)) return Compare::nothing;
  if (combine.activation == Activation::sigmoid) return numbers ? Compare::several_labels : Compare::nothing;
  return numbers ? Compare::nothing : Compare::masks;
}

/// Axes of length 1 do not matter: masks of 1 x 8 x 8 are masks of 8 x 8, and a vector of one number is a number.
Dims without_ones(Dims dims) {
  std::erase(dims, 1U);
  return dims;
}

[[noreturn]] void refuse_labels(const config::InputSpec& input, const Source& source, std::string detail,
                                std::string hint) {
  const std::string labels = input.labels.empty() ? "the labels of " + source.name() : input.labels.string();
  throw Error(ErrorKind::usage, fmt::format("{} cannot be compared with the predictions", labels), std::move(detail),
              std::move(hint));
}

std::string hint_for(const TensorLayout& layout, const Dims& output, Compare compare) {
  if (compare != Compare::masks)
    return "give as many values per image as the members predict, in the same order of the axes";
  if (layout.dims == output)
    return "one row per image in one-hot form is saved as y.argmax(1); if several labels per image may be right, set "
           "combine: {activation: sigmoid}";
  return "give masks of the size of the predictions: Tutti does not resize them; 'axis' of 'combine' says where the "
         "classes are";
}

void check_member(const config::EnsembleSpec& spec, const Source& source, const MemberStatus& member, Compare compare) {
  const TensorLayout layout = source.label_layout().value();
  const bool masks = compare == Compare::masks;
  const auto classes = masks ? ClassAxis::of(member.output, spec.combine.axis).classes : 0;
  const Dims wanted = masks ? without_axis(member.output, spec.combine.axis) : member.output;
  if (without_ones(wanted) != without_ones(layout.dims))
    refuse_labels(spec.input, source,
                  fmt::format("the label of an image is {}, but '{}' predicts {}, which needs labels of {}",
                              dims_text(layout.dims), member.name, dims_text(member.output), dims_text(wanted)),
                  hint_for(layout, member.output, compare));
  if (masks && source.classes() > classes)
    refuse_labels(
        spec.input, source,
        fmt::format("they have {}, but '{}' predicts {}", counted(source.classes(), "class"), member.name, classes),
        fmt::format("number the classes as the members do; if {} marks places to leave out, set "
                    "'ignore_index: {}'",
                    source.classes() - 1, source.classes() - 1));
}

/// The class with the largest value at each place of one prediction, as the rules decide.
void decide(const ClassAxis& axis, std::span<const float> values, std::vector<std::int64_t>& decided) {
  decided.resize(axis.decisions());
  Decisions decisions;
  for_each_patch(1, axis, [&](const Patch& patch) {
    decisions.look_at(values.data(), axis, patch);
    std::copy_n(decisions.classes(), patch.size, decided.begin() + static_cast<std::ptrdiff_t>(patch.position));
  });
}

/// Whether the values that a rule makes of probabilities are probabilities.
bool gives_probabilities(const config::CombineSpec& combine) {
  if (combine.rule == CombineRule::sum) return false;
  return combine.rule != CombineRule::weighted || combine.normalize;
}

}  // namespace

bool has_label_scores(const config::CombineSpec& combine, const Source& source) {
  const Compare compare = compare_of(combine, source);
  return compare != Compare::nothing && compare != Compare::classes;
}

void check_labels(const config::EnsembleSpec& spec, const Source& source, const std::vector<MemberStatus>& members) {
  const Compare compare = compare_of(spec.combine, source);
  const bool one_is_right = has_classes(spec.combine.over) && spec.combine.activation != Activation::sigmoid;
  for (const MemberStatus& member : members) {
    if (compare == Compare::classes && one_is_right && member.output.size() != 1 && !spec.input.labels.empty())
      refuse_labels(
          spec.input, source,
          fmt::format("it has one class per image, but '{}' predicts {}", member.name, dims_text(member.output)),
          "give masks of the size of the predictions, or leave 'labels' out");
    if (has_label_scores(spec.combine, source)) check_member(spec, source, member, compare);
  }
}

LabelScores::LabelScores(const config::CombineSpec& combine, std::optional<std::int64_t> ignored, Source& source,
                         const std::vector<MemberStatus>& members)
    : combine_(combine), ignored_(ignored), source_(source) {
  if (!has_label_scores(combine, source) || members.empty()) return;
  places_ = source.label_layout()->elements();
  const bool combined = combine.rule != CombineRule::none;
  const std::size_t models = members.size() + (combined ? 1 : 0);
  for (const MemberStatus& member : members)
    members_.push_back({metrics_for(member.output, false, models), member.output});
  if (combined) ensemble_.emplace(Compared{metrics_for(members.front().output, true, models), members.front().output});
}

LabelScores::Metrics LabelScores::metrics_for(const Dims& output, bool combined, std::size_t models) const {
  const auto axis = size_at(output, combine_.axis);
  const ClassAxis classes = axis ? ClassAxis::of(output, combine_.axis) : ClassAxis::of_row(elements_of(output));
  switch (compare_of(combine_, source_)) {
    case Compare::masks:
      return images::MaskMetrics(static_cast<std::uint32_t>(classes.classes), ignored_);
    case Compare::values:
      return images::RegressionMetrics(elements_of(output));
    case Compare::several_labels:
    case Compare::classes:
    case Compare::nothing:
      break;
  }
  images::MultiLabelForm form{classes.classes, classes.inner};
  if (combined && !gives_probabilities(combine_)) form.threshold.reset();
  form.most_held /= models;
  return images::MultiLabelMetrics(form);
}

void LabelScores::add(const SegmentResult& result) {
  if (places_ == 0) return;
  const auto begin = [](Compared& compared) {
    std::visit([](auto& metrics) { metrics.begin_segment(); }, compared.metrics);
  };
  std::ranges::for_each(members_, begin);
  if (ensemble_) begin(*ensemble_);
  const bool combined = ensemble_ && !result.set_aside && result.members_present() > 0;
  if (combined && std::holds_alternative<images::MaskMetrics>(ensemble_->metrics))
    TUTTI_CHECK(result.predicted.size() == result.count * places_);
  const std::size_t part = std::max<std::size_t>(1, kLabelsAtATime / places_);
  for (std::size_t first = 0; first < result.count; first += part) {
    const std::size_t images = std::min<std::size_t>(part, result.count - first);
    const auto rows = [&](std::span<const float> values, std::size_t width) {
      return values.subspan(first * width, images * width);
    };
    read(result.first + first, images);
    for (std::size_t rank = 0; rank < members_.size(); ++rank) {
      const MemberSegmentResult& member = result.members[rank];
      if (member.present) compare(members_[rank], rows(member.values, member.width), {}, result.first + first);
    }
    if (!combined) continue;
    const auto decided =
        result.predicted.empty() ? result.predicted : result.predicted.subspan(first * places_, images * places_);
    compare(*ensemble_, rows(result.values, result.width), decided, result.first + first);
  }
}

void LabelScores::write_segment(images::SumWriter& out) const {
  const auto write = [&](const Compared& compared) {
    std::visit([&](const auto& metrics) { metrics.write_segment(out); }, compared.metrics);
  };
  std::ranges::for_each(members_, write);
  if (ensemble_) write(*ensemble_);
}

void LabelScores::read_segment(const SegmentResult& result, images::SumReader& in) {
  if (places_ == 0) return;
  std::vector<images::RegressionMetrics*> numbers;
  const auto read_one = [&](Compared& compared) {
    std::visit([&](auto& metrics) { metrics.read_segment(in); }, compared.metrics);
    if (auto* metrics = std::get_if<images::RegressionMetrics>(&compared.metrics)) numbers.push_back(metrics);
  };
  std::ranges::for_each(members_, read_one);
  if (ensemble_) read_one(*ensemble_);
  if (numbers.empty()) return;
  const std::size_t part = std::max<std::size_t>(1, kLabelsAtATime / places_);
  for (std::size_t first = 0; first < result.count; first += part) {
    read(result.first + first, std::min<std::size_t>(part, result.count - first));
    for (images::RegressionMetrics* metrics : numbers) metrics->add_labels(numbers_);
  }
}

void LabelScores::read(std::uint64_t first, std::size_t images) {
  indices_.resize(images);
  std::iota(indices_.begin(), indices_.end(), first);
  const bool masks = source_.label_layout()->dtype == Dtype::int64;
  classes_.resize(masks ? images * places_ : 0);
  numbers_.resize(masks ? 0 : images * places_);
  source_.read_labels(
      indices_, masks ? std::as_writable_bytes(std::span(classes_)) : std::as_writable_bytes(std::span(numbers_)));
}

void LabelScores::compare(Compared& with, std::span<const float> values, std::span<const std::int64_t> decided,
                          std::uint64_t first) {
  if (auto* masks = std::get_if<images::MaskMetrics>(&with.metrics))
    compare_masks(*masks, with.output, values, decided, first);
  else if (auto* numbers = std::get_if<images::RegressionMetrics>(&with.metrics))
    numbers->add(numbers_, values);
  else
    std::get<images::MultiLabelMetrics>(with.metrics).add(numbers_, values);
}

void LabelScores::compare_masks(images::MaskMetrics& metrics, const Dims& output, std::span<const float> values,
                                std::span<const std::int64_t> decided, std::uint64_t first) {
  const ClassAxis axis = ClassAxis::of(output, combine_.axis);
  for (std::size_t i = 0; i < indices_.size(); ++i) {
    if (decided.empty()) decide(axis, values.subspan(i * axis.values(), axis.values()), decided_);
    metrics.add(std::span(classes_).subspan(i * places_, places_),
                decided.empty() ? std::span<const std::int64_t>(decided_) : decided.subspan(i * places_, places_),
                first + i);
  }
}

std::vector<images::Figures> LabelScores::members() const {
  std::vector<images::Figures> all;
  for (const Compared& member : members_)
    all.push_back(std::visit([](const auto& metrics) { return images::figures_of(metrics); }, member.metrics));
  return all;
}

std::optional<images::Figures> LabelScores::ensemble() const {
  if (!ensemble_) return std::nullopt;
  return std::visit([](const auto& metrics) { return images::figures_of(metrics); }, ensemble_->metrics);
}

}  // namespace tutti::program
