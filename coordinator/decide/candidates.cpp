#include "coordinator/decide/candidates.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/check.hpp"

namespace tutti {
namespace {

constexpr const char* kNothingMeasured = "nothing was measured";
constexpr const char* kSlower = "it is slower";
constexpr const char* kNotFaster = "it is not faster";

/// Small networks take so many turns, unless that takes longer than this.
constexpr int kTurns = 5;
constexpr std::chrono::duration<double> kAlternating{0.5};
/// Others take up to this part of the time of the trials, and not more turns than this.
constexpr double kPartOfTrials = 0.3;
constexpr int kMostTurns = 9;

/// Whether the speeds say it already.
bool is_of_speed(const std::string& reason) {
  return reason == kSlower || reason == kNotFaster || reason == kNothingMeasured;
}

bool was_started(const ModelForm& candidate) { return candidate.reason.empty(); }

bool is_near(const ModelForm& candidate) { return candidate.difference.value_or(0) <= kFarthest; }

std::string part_text(double part) {
  return std::isfinite(part) ? fmt::format("{:.1e} of the largest", part) : std::string("more than any number says");
}

}  // namespace

std::optional<std::size_t> choose(std::vector<ModelForm>& candidates) {
  const auto reference = std::ranges::find_if(candidates, was_started);
  if (reference == candidates.end()) return std::nullopt;
  double best = 0;
  for (const ModelForm& one : candidates)
    if (was_started(one) && is_near(one)) best = std::max(best, one.images_per_second);
  const auto chosen = std::ranges::find_if(candidates, [&](const ModelForm& one) {
    return was_started(one) && is_near(one) && one.images_per_second >= best * (1 - kEquallyFast);
  });
  // The first one is always near itself.
  TUTTI_CHECK(chosen != candidates.end());
  for (auto one = candidates.begin(); one != candidates.end(); ++one) {
    if (one == chosen || !was_started(*one)) continue;
    if (!is_near(*one))
      one->reason = fmt::format("its outputs differ from those of {} by {}, and {:.0e} is allowed", reference->model,
                                part_text(*one->difference), kFarthest);
    else if (one->images_per_second <= 0)
      one->reason = kNothingMeasured;
    else
      one->reason = one->images_per_second < chosen->images_per_second ? kSlower : kNotFaster;
  }
  return static_cast<std::size_t>(chosen - candidates.begin());
}

bool another_turn(int turns, std::chrono::duration<double> spent, std::chrono::duration<double> trials) {
  if (turns < kTurns && spent < kAlternating) return true;
  return turns < kMostTurns && spent < trials * kPartOfTrials;
}

// What was measured alone may have been disturbed as a whole; in a turn the forms follow each other within moments, but
// two rounds of one form may differ by a factor of two.
double far_behind(int turns) { return turns == 0 ? 3 : turns == 1 ? 2 : 1.5; }

void AverageSpeed::add(double speed) {
  if (speed <= 0) return;
  ++rounds_;
  seconds_per_image_ += 1 / speed;
}

std::chrono::duration<double> unit_seconds(UnitMode mode, const std::vector<MemberTime>& members,
                                           std::chrono::duration<double> wall, std::size_t cores) {
  using Seconds = std::chrono::duration<double>;
  TUTTI_CHECK(cores > 0);
  Seconds sum{};
  Seconds longest{};
  Seconds of_cores{};
  for (const MemberTime& member : members) {
    sum += member.busy;
    longest = std::max(longest, member.busy);
    of_cores += member.busy * member.threads;
  }
  if (mode != UnitMode::threads) return sum;
  return std::max(longest, std::min(wall, of_cores / static_cast<double>(cores)));
}

std::string choice_text(const std::vector<ModelForm>& candidates) {
  std::string speeds;
  std::string problems;
  std::string chosen;
  for (const ModelForm& one : candidates) {
    if (one.chosen()) chosen = one.model;
    const bool measured = one.images_per_second > 0;
    if (measured) speeds += fmt::format("{}{}: {:.0f}/s", speeds.empty() ? "" : ", ", one.model, one.images_per_second);
    if (!one.chosen() && !is_of_speed(one.reason)) problems += fmt::format("; {}: {}", one.model, one.reason);
  }
  return fmt::format("{} ({}{})", chosen, speeds.empty() ? "nothing was measured" : fmt::format("measured: {}", speeds),
                     problems);
}

}  // namespace tutti
