#include "evaluation/run/continuation.hpp"

#include <cassert>

#include "common/kill_point.hpp"

namespace tutti {

UnfinishedImages::UnfinishedImages(Source& all, const images::Journal& journal)
    : Forwarding(all), segment_images_(journal.header().segment_images) {
  for (std::uint64_t segment = 0; segment < journal.header().segments(); ++segment) {
    if (journal.holds(segment)) continue;
    segments_.push_back(segment);
    count_ += journal.header().count_of(segment);
  }
}

std::span<const std::uint64_t> UnfinishedImages::behind(std::span<const std::uint64_t> indices) {
  images_.clear();
  for (const std::uint64_t index : indices) images_.push_back(image(index));
  return images_;
}

void JournalingSink::write(const SegmentResult& result) {
  catch_up();
  SegmentResult renumbered = result;
  renumbered.first = images_.image(result.first);
  assert(renumbered.first == segment_ * journal_.header().segment_images);
  next_.write(renumbered);
  if (!result.set_aside && result.members_present() == result.members.size()) {
    const images::SegmentRecord record = next_.record();
    journal_.append(segment_, record.checksums, record.sums);
    kill_point("coordinator.journal_written");
  }
  ++segment_;
  next_.settle();
}

void JournalingSink::catch_up() {
  for (; segment_ < journal_.header().segments() && journal_.holds(segment_); ++segment_) {
    try {
      next_.take(segment_ * journal_.header().segment_images, journal_.header().count_of(segment_),
                 journal_.record(segment_));
    } catch (const images::SumMisfit&) {
      throw journal_.misfit(segment_);
    }
  }
}

}  // namespace tutti
