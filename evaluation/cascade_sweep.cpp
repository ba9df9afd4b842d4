#include "evaluation/cascade_sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <optional>

#include <tutti/error.hpp>

#include "coordinator/decide/cascade.hpp"

namespace tutti {
namespace {

constexpr std::array kShares{0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0};

std::vector<std::size_t> without(std::size_t members, const std::vector<std::size_t>& left_out) {
  std::vector<std::size_t> ranks;
  for (std::size_t rank = 0; rank < members; ++rank)
    if (std::ranges::find(left_out, rank) == left_out.end()) ranks.push_back(rank);
  return ranks;
}

config::CombineSpec without_spread(config::CombineSpec combine) {
  combine.spread = false;
  return combine;
}

bool above(config::Doubt when) { return when == config::Doubt::entropy_above; }

/// The shortest decimal above `before` and not above `at`: as a threshold it parts them.
double between(double before, double at) {
  for (int digits = 2; digits < 17; ++digits)
    for (const double value :
         {std::strtod(fmt::format("{:.{}g}", at, digits).c_str(), nullptr),
          std::strtod(fmt::format("{:.{}g}", before + (at - before) / 2, digits).c_str(), nullptr)})
      if (value > before && value <= at) return value;
  return at;
}

std::optional<double> sum_of(const std::vector<std::optional<double>>& seconds, const std::vector<std::size_t>& ranks) {
  double sum = 0;
  for (const std::size_t rank : ranks) {
    if (!seconds.at(rank)) return std::nullopt;
    sum += *seconds[rank];
  }
  return sum;
}

}  // namespace

std::string why_not_swept(const config::EnsembleSpec& spec) {
  if (spec.cascade.empty()) return "the description has no 'cascade'";
  if (spec.cascade.size() > 1) return "the cascade has several steps, and one threshold is swept";
  if (spec.tasks.size() > 1) return "there are several tasks; leave all but one out";
  if (!spec.tasks.empty() && !spec.tasks.front().head.empty()) return "the classes come from a head";
  return {};
}

CascadeSweep::CascadeSweep(const config::EnsembleSpec& spec, std::vector<float> weights, Sink* next)
    : step_(spec.cascade.front()),
      combine_(without_spread(spec.combine)),
      accumulator_(combine_, std::move(weights), spec.failure.on_nan),
      first_(without(spec.members.size(), step_.then)),
      all_(without(spec.members.size(), {})),
      next_(next) {}

void CascadeSweep::write(const SegmentResult& result) {
  if (next_ != nullptr) next_->write(result);
  const auto members = result.members.first(all_.size());
  if (result.labels.size() != result.count)
    throw Error(ErrorKind::usage, "a cascade sweep compares accuracies, and the images have no labels of classes", {},
                "give 'input' labels");
  if (result.set_aside || std::ranges::any_of(members, [](const auto& member) { return !member.present; })) return;
  const Accumulator::Result decides = combined(result, step_.after);
  const Accumulator::Result before = combined(result, first_);
  const Accumulator::Result after = combined(result, all_);
  if (after.predicted.size() != result.count)
    throw Error(ErrorKind::usage, "a cascade sweep needs one class for each image", {},
                "leave it out: how sure a mask is differs from place to place");
  const std::size_t width = decides.values.size() / result.count;
  for (std::size_t i = 0; i < result.count; ++i) {
    const double measure = measure_of(step_.when, std::span(decides.values).subspan(i * width, width));
    // What is not known is passed on first.
    double doubt = above(step_.when) ? -measure : measure;
    if (doubt != doubt) doubt = -std::numeric_limits<double>::infinity();
    images_.push_back({doubt, before.predicted[i] == result.labels[i], after.predicted[i] == result.labels[i]});
  }
}

Accumulator::Result CascadeSweep::combined(const SegmentResult& result, const std::vector<std::size_t>& ranks) const {
  std::vector<std::span<const float>> answers;
  std::vector<bool> present(all_.size());
  for (const std::size_t rank : all_) answers.push_back(result.members[rank].values);
  for (const std::size_t rank : ranks) present[rank] = true;
  return accumulator_.combine(answers, present, result.count, ClassAxis::of_row(result.members.front().width));
}

images::SweepReport CascadeSweep::report(const std::vector<std::optional<double>>& seconds) const {
  images::SweepReport report{std::string(to_name(step_.when)), {}};
  if (images_.empty()) return report;
  std::vector<Image> sorted = images_;
  std::ranges::stable_sort(sorted, {}, &Image::doubt);
  std::uint64_t right = 0;  // if everybody is passed on that was looked at so far
  for (const Image& image : sorted) right += image.right_before ? 1 : 0;
  const auto count = static_cast<double>(sorted.size());
  const auto first = sum_of(seconds, first_);
  const auto then = sum_of(seconds, step_.then);
  std::vector<std::pair<double, bool>> limits;  // of doubt: smaller ones are passed on
  for (const double share : kShares) {
    const auto at = static_cast<std::size_t>(share * count);
    // Beyond all: the next larger number that a threshold may have.
    const bool everybody = at >= sorted.size();
    const double most = above(step_.when) ? 0.0 : 1.0;
    if (everybody) {
      limits.emplace_back(std::max(most, sorted.back().doubt), false);
      continue;
    }
    // Equal ones are passed on together, or not at all.
    std::size_t before = at;
    while (before > 0 && sorted[before - 1].doubt == sorted[at].doubt) --before;
    const double least = above(step_.when) ? -std::numeric_limits<double>::max() : 0.0;
    limits.emplace_back(between(before > 0 ? sorted[before - 1].doubt : least, sorted[at].doubt), false);
  }
  limits.emplace_back(above(step_.when) ? -step_.threshold : step_.threshold, true);
  std::ranges::sort(limits);
  std::size_t passed = 0;
  for (const auto& [limit, described] : limits) {
    for (; passed < sorted.size() && sorted[passed].doubt < limit; ++passed) {
      right -= sorted[passed].right_before ? 1 : 0;
      right += sorted[passed].right_after ? 1 : 0;
    }
    images::SweepRow row;
    row.threshold = above(step_.when) ? 0.0 - limit : limit;
    row.described = described;
    row.share = static_cast<double>(passed) / count;
    row.accuracy = static_cast<double>(right) / count;
    if (first && then) row.seconds = 1000 * (*first + row.share * *then);
    const bool again = !report.rows.empty() && report.rows.back().threshold == row.threshold;
    if (again)
      report.rows.back().described = report.rows.back().described || described;
    else
      report.rows.push_back(row);
  }
  return report;
}

}  // namespace tutti
