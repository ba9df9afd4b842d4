#include "coordinator/api/prediction.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/check.hpp"
#include "coordinator/plan/input.hpp"

namespace tutti {

Prediction::Prediction(Source& source, Sink& sink, const Accumulator& accumulator, const ByRank<Dims>& outputs,
                       const std::optional<ClassAxis>& combined, TraceRecorder* trace)
    : source_(source),
      sink_(sink),
      accumulator_(accumulator),
      combined_(combined),
      trace_(trace),
      count_(source.count()) {
  for (const Dims& output : outputs) widths_.push_back(static_cast<std::uint32_t>(elements_of(output)));
}

std::uint32_t Prediction::fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) {
  arena_ = arena;
  layout_ = layout;
  const auto images = static_cast<std::uint32_t>(std::min<std::uint64_t>(layout.images, count_ - next_));
  indices_.resize(images);
  std::iota(indices_.begin(), indices_.end(), next_);
  read_images(source_, indices_, {arena, layout, slot}, source_.labelled());
  std::ranges::transform(indices_, slot_view(arena, layout, slot, images).numbers.begin(),
                         [&](std::uint64_t index) { return source_.number_of(index); });
  next_ += images;
  return images;
}

std::string Prediction::image_name(std::uint64_t segment, std::uint64_t image) const {
  const std::uint64_t index = segment * layout_.images + image;
  return index < count_ ? source_.image_name(index) : std::string{};  // the index comes from a worker
}

std::span<const float> Prediction::nan_rows(std::uint32_t images, std::uint32_t width) {
  // Grown once for the widest member, so that the rows of one member do not move when those of another are taken.
  const std::size_t widest = *std::max_element(widths_.begin(), widths_.end());
  nan_.resize(std::max(nan_.size(), images * widest), std::numeric_limits<float>::quiet_NaN());
  return std::span<const float>(nan_).first(std::size_t{images} * width);
}

void Prediction::deliver(const FinishedSegment& finished) {
  const auto begin = trace_ != nullptr ? std::chrono::steady_clock::now() : TraceRecorder::Time{};
  const std::uint32_t images = finished.segment.images;
  std::vector<bool> present;
  for (const Ledger::Row& row : finished.segment.rows) present.push_back(row.present);
  TUTTI_CHECK(present.size() == widths_.size());
  std::vector<std::span<const float>> answers;
  std::vector<MemberSegmentResult> members;
  for (const Rank rank : widths_.ids()) {
    const bool answered = present[rank.value()];
    answers.push_back(answered ? finished.answer(rank) : nan_rows(images, widths_[rank]));
    members.push_back({widths_[rank], answers.back(), answered});
  }
  const std::uint32_t width = combined_ ? widths_[0] : 0;
  const ClassAxis axis = combined_.value_or(ClassAxis::of_row(0));
  const bool none = finished.segment.set_aside || std::find(present.begin(), present.end(), true) == present.end();
  if (none) {
    accumulator_.nothing(images, axis, result_);
  } else {
    accumulator_.combine(answers, present, images, axis, result_);
    accumulator_.check_finite(result_.values, width, delivered_);
    accumulator_.check_finite_spread(result_.spread, result_.spread.size() / images, delivered_);
  }
  SegmentResult result;
  result.set_aside = finished.segment.set_aside;
  result.first = delivered_;
  result.count = images;
  result.width = width;
  result.values = result_.values;
  result.predicted = result_.predicted;
  result.spread = result_.spread;
  result.members = members;
  if (source_.labelled())
    result.labels = slot_view(static_cast<const std::byte*>(arena_), layout_, finished.segment.slot, images).labels;
  delivered_ += images;
  write(result, finished.segment, begin);
}

void Prediction::write(const SegmentResult& result, const Ledger::Segment& segment, TraceRecorder::Time begin) {
  if (trace_ == nullptr) return sink_.write(result);
  const auto combined = std::chrono::steady_clock::now();
  trace_->did(TraceRecorder::Deed::combine, segment.slot, segment.images, begin, combined);
  sink_.write(result);
  trace_->did(TraceRecorder::Deed::sink, segment.slot, segment.images, combined, std::chrono::steady_clock::now());
}

}  // namespace tutti
