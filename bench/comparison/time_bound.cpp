#include "bench/comparison/time_bound.hpp"

#include <algorithm>
#include <cmath>

namespace tutti::bench {
namespace {

constexpr int kLeastRounds = 3;
constexpr double kTrialSeconds = 2;

/// `images` rounded down to whole `pieces`.
std::uint64_t whole(double images, std::uint32_t pieces) {
  return static_cast<std::uint64_t>(std::min(images, 1e15)) / pieces * pieces;
}

}  // namespace

Rounds rounds_that_fit(const Workload& work, double left) {
  const double pass = work.seconds_per_image * static_cast<double>(work.images);
  const auto taking = [&](std::uint64_t images, int rounds) {
    return Rounds{images, rounds, work.seconds_per_image * static_cast<double>(images) * (rounds + 1)};
  };
  if (pass <= 0 || pass * (work.repeats + 1) <= left) return taking(work.images, work.repeats);
  const int least = std::min(work.repeats, kLeastRounds);
  if (pass * (least + 1) <= left) return taking(work.images, static_cast<int>(left / pass) - 1);
  const double fitting = std::max(left, 0.0) / (work.seconds_per_image * (least + 1));
  std::uint64_t images = whole(fitting, work.segment_images);
  if (images == 0) images = std::max<std::uint64_t>(whole(fitting, work.batch_images), work.batch_images);
  return taking(std::min(images, work.images), least);
}

std::uint64_t images_to_try(const Workload& work) {
  const std::uint64_t most = std::min<std::uint64_t>(work.images, std::uint64_t{2} * work.segment_images);
  if (work.seconds_per_image <= 0) return most;
  const std::uint64_t some = whole(kTrialSeconds / work.seconds_per_image, work.batch_images);
  return std::clamp<std::uint64_t>(some, std::min<std::uint64_t>(work.batch_images, most), most);
}

}  // namespace tutti::bench
