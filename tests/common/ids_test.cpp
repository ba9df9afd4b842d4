// Ids of different kinds do not mix; all else about them is a number.
#include "common/ids.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <unordered_set>

#include "common/print_ids.hpp"
#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

template <class A, class B>
concept Mixes = std::is_convertible_v<A, B> || std::is_constructible_v<B, A> || std::is_assignable_v<B&, A> ||
    requires(A a, B b) {
  a == b;
} || requires(A a, B b) {
  a < b;
} || requires(A a, B b) {
  a + b;
};

static_assert(!Mixes<Rank, WorkerId> && !Mixes<Rank, SlotId> && !Mixes<Rank, Generation> && !Mixes<Rank, SegmentId> &&
              !Mixes<Rank, Sequence>);
static_assert(!Mixes<WorkerId, SlotId> && !Mixes<WorkerId, Generation> && !Mixes<WorkerId, SegmentId> &&
              !Mixes<WorkerId, Sequence>);
static_assert(!Mixes<SlotId, Generation> && !Mixes<SlotId, SegmentId> && !Mixes<SlotId, Sequence>);
static_assert(!Mixes<Generation, SegmentId> && !Mixes<Generation, Sequence> && !Mixes<SegmentId, Sequence>);

// Numbers that are computed become an id only where that is written, and an id becomes a number only by value().
static_assert(!std::is_convertible_v<std::uint32_t, SlotId> && !std::is_convertible_v<std::size_t, Rank>);
static_assert(!std::is_convertible_v<Rank, std::size_t> && !std::is_constructible_v<std::size_t, Rank>);
static_assert(std::is_constructible_v<Rank, std::size_t>);
template <class Vector, class Index>
concept LooksInto = requires(Vector vector, Index index) {
  vector[index];
};
static_assert(LooksInto<ByRank<int>, Rank> && !LooksInto<ByRank<int>, WorkerId> &&
              !LooksInto<ByRank<int>, std::size_t>);

// They cost nothing, and may be in shared memory.
static_assert(sizeof(SlotId) == sizeof(std::uint32_t) && alignof(SlotId) == alignof(std::uint32_t));
static_assert(sizeof(SegmentId) == sizeof(std::uint64_t) && std::is_trivially_copyable_v<SegmentId>);
static_assert(std::is_standard_layout_v<SegmentId>);

TEST_CASE("an id is ordered and hashed and printed as its number") {
  CHECK(fmt::format("segment {}", SegmentId(12U)) == "segment 12");
  CHECK(fmt::format("{:>3}", Rank(7)) == "  7");
  CHECK(Rank(1) < Rank(2));
  CHECK(std::map<SlotId, int>{{SlotId(2), 20}, {SlotId(1), 10}}.begin()->second == 10);
  CHECK(std::unordered_set<Generation>{1, 2, 1}.size() == 2);
  SegmentId next;
  ++next;
  CHECK(next.value() == 1);
}

TEST_CASE("an id in a failed check is printed as its number") {
  const SlotId slot(5);
  CHECK(failed_check([&] { TUTTI_CHECK(slot == SlotId(6)); }) == "slot == SlotId(6) (5 == 6)");
}

TEST_CASE("a vector by id is walked in order and has no place beyond its end") {
  ByRank<std::string> names(std::vector<std::string>{"cnn-0", "cnn-1"});
  std::string all;
  for (const Rank rank : names.ids()) all += fmt::format("{}: {}, ", rank, names[rank]);
  CHECK(all == "0: cnn-0, 1: cnn-1, ");
  CHECK(failed_check([&] { names[Rank(2)] = "cnn-2"; }) == "id.value() < values_.size() (2 < 2)");
  ByRank<bool> asked(2, true);
  asked[0] = false;
  CHECK(asked.values() == std::vector{false, true});
}

}  // namespace
}  // namespace tutti::test
