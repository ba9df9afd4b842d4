#include "program/run/continuation.hpp"

#include <cassert>
#include <utility>

#include "common/kill_point.hpp"

namespace tutti::program {

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

JournalingSink::JournalingSink(images::Journal& journal, images::AnswerForm form, const UnfinishedImages& images,
                               Sink& next)
    : journal_(journal), form_(std::move(form)), images_(images), next_(next) {}

void JournalingSink::write(const SegmentResult& result) {
  catch_up();
  SegmentResult renumbered = result;
  renumbered.first = images_.image(result.first);
  assert(renumbered.first == segment_ * journal_.header().segment_images);
  if (!result.set_aside && result.members_present() == result.members.size()) {
    append(renumbered);
    kill_point("coordinator.journal_written");
  }
  ++segment_;
  next_.write(renumbered);
}

void JournalingSink::append(const SegmentResult& result) {
  std::vector<MemberSegmentResult> members(result.members.begin(), result.members.end());
  for (std::size_t rank = 0; rank < members.size(); ++rank)
    if (form_.member_widths[rank] == 0) members[rank] = {};
  SegmentResult kept = result;
  kept.members = members;
  if (form_.decisions == 0) kept.predicted = {};
  journal_.append(kept);
}

void JournalingSink::catch_up() {
  for (; segment_ < journal_.header().segments() && journal_.holds(segment_); ++segment_)
    journal_.replay(segment_, form_, next_);
}

}  // namespace tutti::program
