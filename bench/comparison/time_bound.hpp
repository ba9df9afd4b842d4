// How much of a comparison fits into the time that it may take. Pure: it looks at no clock.
#pragma once

#include <cstdint>

namespace tutti::bench {

/// What is known before the timed rounds.
struct Workload {
  double seconds_per_image = 0;  ///< one pass of every strategy, added up
  std::uint64_t images = 0;
  std::uint32_t segment_images = 1;
  std::uint32_t batch_images = 1;
  int repeats = 1;
};

struct Rounds {
  std::uint64_t images = 0;
  int rounds = 1;
  double seconds = 0;  ///< of all rounds and the untimed one before them
};

/// As many rounds as wanted over all images, if that takes at most `left` seconds. Otherwise fewer rounds, but at least
/// 3 if so many are wanted; then fewer images: whole segments, or whole batches if less than a segment fits.
Rounds rounds_that_fit(const Workload& work, double left);

/// The images on which settings are tried: two segments, or as many whole batches as one strategy computes in about two
/// seconds if that is less. At least one batch.
std::uint64_t images_to_try(const Workload& work);

}  // namespace tutti::bench
