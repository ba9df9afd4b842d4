#include "results/multi_label_metrics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

namespace tutti::images {
namespace {

/// Nothing if no score is of a right one. The order of equal scores does not matter: they are one threshold.
std::optional<double> precision_of_ranking(std::span<const float> scores, std::span<const std::uint8_t> right) {
  const auto all_right = static_cast<double>(std::accumulate(right.begin(), right.end(), std::uint64_t{0}));
  if (all_right == 0.0) return std::nullopt;
  if (std::ranges::any_of(scores, [](float score) { return std::isnan(score); }))
    return std::numeric_limits<double>::quiet_NaN();
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  double sum = 0.0;
  std::uint64_t found = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    std::uint64_t more = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) more += right[order[end]];
    found += more;
    sum += static_cast<double>(more) / all_right * (static_cast<double>(found) / static_cast<double>(end));
    begin = end;
  }
  return sum;
}

}  // namespace

MultiLabelMetrics::MultiLabelMetrics(const MultiLabelForm& form)
    : form_(form),
      of_(form.labels),
      holds_(form.expected <= form.most_held),
      held_(form.labels),
      of_before_(form.labels) {
  assert(form.labels > 0 && form.places > 0);
  // Arrays that grow would take up to three times as much while they are copied.
  for (Held& held : held_) {
    held.scores.reserve(holds_ ? form.expected / form.labels : 0);
    held.right.reserve(holds_ ? form.expected / form.labels : 0);
  }
}

void MultiLabelMetrics::add(std::span<const float> labels, std::span<const float> scores) {
  assert(labels.size() == scores.size() && labels.size() % (form_.labels * form_.places) == 0);
  make_room(labels.size());
  values_ += labels.size();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t label = i / form_.places % form_.labels;
    const bool right = labels[i] != 0.0F;
    const bool predicted = form_.threshold && static_cast<double>(scores[i]) > *form_.threshold;
    Counts& counts = of_[label];
    ++counts.all;
    counts.right += right ? 1 : 0;
    counts.predicted += predicted ? 1 : 0;
    counts.both += right && predicted ? 1 : 0;
    if (holds_) hold(label, scores[i], right);
  }
}

void MultiLabelMetrics::make_room(std::uint64_t more) {
  if (!holds_ || values_ + more <= form_.most_held) return;
  holds_ = false;
  held_ = std::vector<Held>(form_.labels);
}

void MultiLabelMetrics::begin_segment() {
  of_before_ = of_;
  values_before_ = values_;
  held_before_ = held_.front().scores.size();
}

void MultiLabelMetrics::write_segment(SumWriter& out) const {
  out.count(form_.labels);
  out.count(values_ - values_before_);
  for (std::size_t label = 0; label < form_.labels; ++label) {
    out.count(of_[label].both - of_before_[label].both);
    out.count(of_[label].predicted - of_before_[label].predicted);
    out.count(of_[label].right - of_before_[label].right);
    out.count(of_[label].all - of_before_[label].all);
  }
  out.count(holds_ ? 1 : 0);
  for (std::size_t label = 0; holds_ && label < form_.labels; ++label) {
    out.raw(std::as_bytes(std::span(held_[label].scores).subspan(held_before_)));
    out.raw(std::as_bytes(std::span(held_[label].right).subspan(held_before_)));
  }
}

void MultiLabelMetrics::read_segment(SumReader& in) {
  begin_segment();
  if (in.count() != form_.labels) throw SumMisfit{};
  const std::uint64_t more = in.count(std::numeric_limits<std::uint32_t>::max() * std::uint64_t{form_.labels});
  const std::uint64_t each = more / form_.labels;
  for (Counts& counts : of_) {
    counts.both += in.count(each);
    counts.predicted += in.count(each);
    counts.right += in.count(each);
    counts.all += in.count(each);
  }
  make_room(more);
  values_ += more;
  if (in.count(1) == 0) {
    holds_ = false;
    held_ = std::vector<Held>(form_.labels);
    return;
  }
  if (in.left() / form_.labels / (sizeof(float) + 1) < each) throw SumMisfit{};
  Held read;
  for (std::size_t label = 0; label < form_.labels; ++label) {
    read.scores.resize(each);
    read.right.resize(each);
    in.raw(std::as_writable_bytes(std::span(read.scores)));
    in.raw(std::as_writable_bytes(std::span(read.right)));
    for (std::size_t i = 0; holds_ && i < each; ++i) hold(label, read.scores[i], read.right[i] != 0);
  }
}

void MultiLabelMetrics::hold(std::size_t label, float score, bool right) {
  held_[label].scores.push_back(score);
  held_[label].right.push_back(right ? 1 : 0);
}

std::vector<std::optional<double>> MultiLabelMetrics::accuracy() const {
  std::vector<std::optional<double>> result(of_.size());
  for (std::size_t label = 0; form_.threshold && label < of_.size(); ++label) {
    const Counts& counts = of_[label];
    if (counts.all == 0) continue;
    const std::uint64_t wrong = counts.right + counts.predicted - 2 * counts.both;
    result[label] = static_cast<double>(counts.all - wrong) / static_cast<double>(counts.all);
  }
  return result;
}

std::optional<double> MultiLabelMetrics::f1_of(const Counts& counts) {
  if (counts.right + counts.predicted == 0) return std::nullopt;
  return 2.0 * static_cast<double>(counts.both) / static_cast<double>(counts.right + counts.predicted);
}

std::vector<std::optional<double>> MultiLabelMetrics::f1() const {
  std::vector<std::optional<double>> result(of_.size());
  for (std::size_t label = 0; form_.threshold && label < of_.size(); ++label) result[label] = f1_of(of_[label]);
  return result;
}

std::optional<double> MultiLabelMetrics::micro_f1() const {
  if (!form_.threshold) return std::nullopt;
  Counts sum;
  for (const Counts& counts : of_) {
    sum.both += counts.both;
    sum.right += counts.right;
    sum.predicted += counts.predicted;
  }
  return f1_of(sum);
}

std::vector<std::optional<double>> MultiLabelMetrics::average_precision() const {
  std::vector<std::optional<double>> result(held_.size());
  for (std::size_t label = 0; holds_ && label < held_.size(); ++label)
    result[label] = precision_of_ranking(held_[label].scores, held_[label].right);
  return result;
}

}  // namespace tutti::images
