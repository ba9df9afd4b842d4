#include "coordinator/api/coalesced.hpp"

#include <algorithm>
#include <cstring>

#include "common/check.hpp"

namespace tutti {

namespace {

/// A range of rows.
struct Range {
  std::uint64_t begin;
  std::uint64_t end;
  std::uint64_t count() const { return end > begin ? end - begin : 0; }
};

template <class Value>
std::span<const Value> part(std::span<const Value> all, const Range& rows, std::uint64_t width) {
  return all.empty() ? all : all.subspan(rows.begin * width, rows.count() * width);
}

/// The result for some of the segment's rows, which are rows first .. of their call.
SegmentResult part_of(const SegmentResult& whole, const Range& rows, std::uint64_t first,
                      std::vector<MemberSegmentResult>& members) {
  members.clear();
  for (const MemberSegmentResult& member : whole.members)
    members.push_back(
        {member.width, part(member.values, rows, member.width), member.present, part(member.asked, rows, 1)});
  SegmentResult result;
  result.first = first;
  result.count = static_cast<std::uint32_t>(rows.count());
  result.width = whole.width;
  result.values = part(whole.values, rows, whole.width);
  result.predicted = part(whole.predicted, rows, whole.decisions());
  result.spread = part(whole.spread, rows, whole.spread_width());
  result.members = members;
  result.set_aside = whole.set_aside;
  return result;
}

/// Copies a row of the slot to these, in all arrays.
void repeat_row(std::uint32_t row, const Range& to, const SlotPlace& place) {
  const auto end = static_cast<std::uint32_t>(std::max<std::uint64_t>(to.end, row + std::uint64_t{1}));
  for (std::size_t array = 0; array < place.layout.arrays.size(); ++array) {
    const std::uint64_t bytes = place.layout.arrays[array].bytes();
    std::byte* const rows = slot_view(place.arena, place.layout, place.slot, end, array).bytes.data();
    for (std::uint64_t i = to.begin; i < to.end; ++i) std::memcpy(rows + i * bytes, rows + row * bytes, bytes);
  }
}

}  // namespace

CoalescedRun::Rows::Rows(const std::vector<CallRows>& given, std::uint32_t batch_images) {
  std::uint64_t rows = 0;
  for (const CallRows& call : given) {
    const std::uint64_t end = rows + call.source.count();
    calls.push_back({&call.source, &call.sink, rows, end});
    rows = end;
  }
  padded = (rows + batch_images - 1) / batch_images * batch_images;
}

const CoalescedRun::Call* CoalescedRun::Rows::call_of(std::uint64_t index) const {
  const auto found =
      std::ranges::find_if(calls, [&](const Call& call) { return index >= call.begin && index < call.end; });
  return found == calls.end() ? nullptr : &*found;
}

void CoalescedRun::Rows::read(std::span<const std::uint64_t> /*indices*/, std::span<float> /*pixels*/,
                              std::span<std::int64_t> /*labels*/) {
  TUTTI_CHECK(false, "the rows of several calls are read into slots");
}

std::uint64_t CoalescedRun::Rows::number_of(std::uint64_t index) const {
  const Call* const call = call_of(index);
  return call == nullptr || call->left ? 0 : call->source->number_of(index - call->begin);
}

std::string CoalescedRun::Rows::image_name(std::uint64_t index) const {
  const Call* const call = call_of(index);
  return call == nullptr || call->left ? std::string{} : call->source->image_name(index - call->begin);
}

/// Rows that nobody wants or that cannot be read, and those behind the last call, which fill the batch, are copies of a
/// row that is wanted: what a model makes of these it can make of a copy.
void CoalescedRun::Rows::read_into(std::span<const std::uint64_t> indices, const SlotPlace& place) {
  TUTTI_CHECK(!indices.empty());
  TUTTI_CHECK(place.first == 0);
  const std::uint64_t first = indices.front();
  const Range all{first, first + indices.size()};
  std::optional<std::uint32_t> wanted;
  std::vector<Range> unwanted;
  std::uint64_t behind = first;
  std::vector<std::uint64_t> own;
  std::exception_ptr unreadable;
  for (Call& call : calls) {
    const Range rows{std::max(call.begin, all.begin), std::min(call.end, all.end)};
    if (rows.count() == 0) continue;
    behind = rows.end;
    const auto at = static_cast<std::uint32_t>(rows.begin - first);
    if (call.left) {
      unwanted.push_back({at, at + rows.count()});
      continue;
    }
    own.clear();
    for (std::uint64_t row = rows.begin; row < rows.end; ++row) own.push_back(row - call.begin);
    try {
      read_images(*call.source, own, {place.arena, place.layout, place.slot, at}, false);
      wanted = static_cast<std::uint32_t>(rows.end - first - 1);
    } catch (...) {
      call.error = unreadable = std::current_exception();
      unwanted.push_back({at, at + rows.count()});
    }
  }
  if (!wanted && unreadable) std::rethrow_exception(unreadable);
  TUTTI_CHECK(wanted.has_value(), "a segment that nobody wants is not filled");
  unwanted.push_back({behind - first, indices.size()});
  for (const Range& rows : unwanted) repeat_row(*wanted, rows, place);
}

void CoalescedRun::Rows::write(const SegmentResult& result) {
  std::vector<MemberSegmentResult> members;
  for (Call& call : calls) {
    const Range rows{std::max(call.begin, result.first), std::min(call.end, result.first + result.count)};
    if (call.left || call.error || rows.count() == 0) continue;
    const Range within{rows.begin - result.first, rows.end - result.first};
    try {
      call.sink->write(part_of(result, within, rows.begin - call.begin, members));
    } catch (...) {
      if (calls.size() == 1) throw;  // nobody wants the rest
      call.error = std::current_exception();
    }
  }
}

CoalescedRun::CoalescedRun(std::vector<CallRows> calls, const RunSetting& setting)
    : rows_(calls, setting.batch_images),
      prediction_(rows_, rows_, setting.lineup, setting.trace, {}, setting.most_images) {
  TUTTI_CHECK(!calls.empty());
  TUTTI_CHECK(setting.most_images % setting.batch_images == 0);
  TUTTI_CHECK(calls.size() == 1 || rows_.padded <= setting.most_images, "several calls share one segment");
}

std::uint32_t CoalescedRun::fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) {
  filled_ = true;
  return prediction_.fill(arena, layout, slot);
}

void CoalescedRun::leave(std::size_t call) {
  Call& one = rows_.calls.at(call);
  one.left = true;
  one.source = nullptr;
  one.sink = nullptr;
}

void CoalescedRun::deliver(const FinishedSegment& finished) {
  const auto dropped = [](const Ledger::Row& row) { return row.asked && row.answered && !row.present; };
  one_by_one_ = calls() > 1 && (finished.segment.set_aside || std::ranges::any_of(finished.segment.rows, dropped));
  if (!one_by_one_) prediction_.deliver(finished);
}

}  // namespace tutti
