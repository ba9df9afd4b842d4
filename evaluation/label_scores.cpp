#include "evaluation/label_scores.hpp"

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

namespace tutti {
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

void check_member(const config::CombineSpec& combine, const config::InputSpec& input, const Source& source,
                  const MemberStatus& member, Compare compare) {
  const TensorLayout layout = source.label_layout().value();
  const bool masks = compare == Compare::masks;
  const auto classes = masks ? ClassAxis::of(member.output, combine.axis).classes : 0;
  const Dims wanted = masks ? without_axis(member.output, combine.axis) : member.output;
  if (without_ones(wanted) != without_ones(layout.dims))
    refuse_labels(input, source,
                  fmt::format("the label of an image is {}, but '{}' predicts {}, which needs labels of {}",
                              dims_text(layout.dims), member.name, dims_text(member.output), dims_text(wanted)),
                  hint_for(layout, member.output, compare));
  if (masks && source.classes() > classes)
    refuse_labels(
        input, source,
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

void check_labels(const config::CombineSpec& combine, const config::InputSpec& input, const Source& source,
                  const std::vector<MemberStatus>& members) {
  const Compare compare = compare_of(combine, source);
  const bool one_is_right = has_classes(combine.over) && combine.activation != Activation::sigmoid;
  for (const MemberStatus& member : members) {
    if (compare == Compare::classes && one_is_right && member.output.size() != 1 && !input.labels.empty())
      refuse_labels(
          input, source,
          fmt::format("it has one class per image, but '{}' predicts {}", member.name, dims_text(member.output)),
          "give masks of the size of the predictions, or leave 'labels' out");
    if (has_label_scores(combine, source)) check_member(combine, input, source, member, compare);
  }
}

std::uint64_t held_score_bytes(const config::CombineSpec& combine, const Source& source, std::size_t rows) {
  if (compare_of(combine, source) != Compare::several_labels) return 0;
  const std::uint64_t each = source.count() * source.label_layout()->elements();
  if (each > images::kMaxHeldScores / std::max<std::size_t>(1, rows)) return 0;
  // One label at a time is sorted. How many labels there are only the models tell: at least one.
  return rows * each * images::kHeldScoreBytes + each * sizeof(std::size_t);
}

std::vector<Dims> outputs_of(const std::vector<MemberStatus>& models) {
  std::vector<Dims> outputs;
  for (const MemberStatus& model : models) outputs.push_back(model.output);
  return outputs;
}

ComparedForm compared_form(const config::CombineSpec& combine, std::optional<std::int64_t> ignored,
                           const std::vector<MemberStatus>& members) {
  ComparedForm form;
  form.combine = combine;
  form.ignored = ignored;
  form.models = outputs_of(members);
  if (members.empty()) return form;
  form.output = members.front().output;
  if (combine.rule != CombineRule::none) form.rules.push_back(combine);
  return form;
}

LabelScores::LabelScores(ComparedForm form, Source& source) : form_(std::move(form)), source_(source) {
  if (!has_label_scores(form_.combine, source)) return;
  if (form_.models.empty() && form_.rules.empty()) return;
  places_ = source.label_layout()->elements();
  for (const Dims& model : form_.models) members_.push_back({metrics_for(model, nullptr), model});
  for (const config::CombineSpec& rule : form_.rules)
    rules_.push_back({metrics_for(form_.output, &rule), form_.output});
}

LabelScores::Metrics LabelScores::metrics_for(const Dims& output, const config::CombineSpec* rule) const {
  const auto axis = size_at(output, form_.combine.axis);
  const ClassAxis classes = axis ? ClassAxis::of(output, form_.combine.axis) : ClassAxis::of_row(elements_of(output));
  switch (compare_of(form_.combine, source_)) {
    case Compare::masks:
      return images::MaskMetrics(static_cast<std::uint32_t>(classes.classes), form_.ignored);
    case Compare::values:
      return images::RegressionMetrics(elements_of(output));
    case Compare::several_labels:
    case Compare::classes:
    case Compare::nothing:
      break;
  }
  images::MultiLabelForm several{classes.classes, classes.inner};
  if (rule != nullptr && !gives_probabilities(*rule)) several.threshold.reset();
  several.most_held /= form_.models.size() + form_.rules.size() + form_.elsewhere;
  several.expected = source_.count() * places_;
  return images::MultiLabelMetrics(several);
}

void LabelScores::add(const SegmentResult& result) {
  TUTTI_CHECK(rules_.size() <= 1);
  const bool combined = !rules_.empty() && !result.set_aside && result.members_present() > 0;
  add_all(result, combined ? std::vector<Combined>{{result.values, result.predicted}} : std::vector<Combined>());
}

void LabelScores::add(const SegmentResult& result, std::span<const Accumulator::Result> combined) {
  TUTTI_CHECK(places_ == 0 || combined.empty() || combined.size() == rules_.size());
  std::vector<Combined> all;
  for (const Accumulator::Result& rule : combined) all.push_back({rule.values, rule.predicted});
  add_all(result, all);
}

void LabelScores::add_all(const SegmentResult& result, const std::vector<Combined>& combined) {
  if (places_ == 0) return;
  const auto begin = [](Compared& compared) {
    std::visit([](auto& metrics) { metrics.begin_segment(); }, compared.metrics);
  };
  std::ranges::for_each(members_, begin);
  std::ranges::for_each(rules_, begin);
  for (std::size_t rule = 0; rule < combined.size(); ++rule)
    if (std::holds_alternative<images::MaskMetrics>(rules_[rule].metrics))
      TUTTI_CHECK(combined[rule].decided.size() == result.count * places_);
  const std::size_t part = std::max<std::size_t>(1, kLabelsAtATime / places_);
  for (std::size_t first = 0; first < result.count; first += part) {
    const std::size_t images = std::min<std::size_t>(part, result.count - first);
    const auto rows = [&](auto values) {
      const std::size_t width = values.size() / result.count;
      return values.subspan(first * width, images * width);
    };
    read(result.first + first, images);
    for (std::size_t rank = 0; rank < members_.size(); ++rank) {
      const MemberSegmentResult& member = result.members[rank];
      if (member.present) compare(members_[rank], rows(member.values), {}, result.first + first);
    }
    for (std::size_t rule = 0; rule < combined.size(); ++rule)
      compare(rules_[rule], rows(combined[rule].values), rows(combined[rule].decided), result.first + first);
  }
}

void LabelScores::write_segment(images::SumWriter& out) const {
  const auto write = [&](const Compared& compared) {
    std::visit([&](const auto& metrics) { metrics.write_segment(out); }, compared.metrics);
  };
  std::ranges::for_each(members_, write);
  std::ranges::for_each(rules_, write);
}

void LabelScores::read_segment(const SegmentResult& result, images::SumReader& in) {
  if (places_ == 0) return;
  std::vector<images::RegressionMetrics*> numbers;
  const auto read_one = [&](Compared& compared) {
    compared.images += result.count;
    std::visit([&](auto& metrics) { metrics.read_segment(in); }, compared.metrics);
    if (auto* metrics = std::get_if<images::RegressionMetrics>(&compared.metrics)) numbers.push_back(metrics);
  };
  std::ranges::for_each(members_, read_one);
  std::ranges::for_each(rules_, read_one);
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
  with.images += indices_.size();
  if (auto* masks = std::get_if<images::MaskMetrics>(&with.metrics))
    compare_masks(*masks, with.output, values, decided, first);
  else if (auto* numbers = std::get_if<images::RegressionMetrics>(&with.metrics))
    numbers->add(numbers_, values);
  else
    std::get<images::MultiLabelMetrics>(with.metrics).add(numbers_, values);
}

void LabelScores::compare_masks(images::MaskMetrics& metrics, const Dims& output, std::span<const float> values,
                                std::span<const std::int64_t> decided, std::uint64_t first) {
  const ClassAxis axis = ClassAxis::of(output, form_.combine.axis);
  for (std::size_t i = 0; i < indices_.size(); ++i) {
    if (decided.empty()) decide(axis, values.subspan(i * axis.values(), axis.values()), decided_);
    metrics.add(std::span(classes_).subspan(i * places_, places_),
                decided.empty() ? std::span<const std::int64_t>(decided_) : decided.subspan(i * places_, places_),
                first + i);
  }
}

images::Figures LabelScores::Compared::figures() const {
  images::Figures figures = std::visit([](const auto& all) { return images::figures_of(all); }, metrics);
  figures.images = images;
  return figures;
}

std::vector<images::Figures> LabelScores::members() const {
  std::vector<images::Figures> all;
  for (const Compared& member : members_) all.push_back(member.figures());
  return all;
}

std::vector<images::Figures> LabelScores::rules() const {
  std::vector<images::Figures> all;
  for (const Compared& rule : rules_) all.push_back(rule.figures());
  return all;
}

std::optional<images::Figures> LabelScores::ensemble() const {
  return rules_.empty() ? std::nullopt : std::optional(rules_.front().figures());
}

}  // namespace tutti
