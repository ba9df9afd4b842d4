// Names of things by number, each its own type, so that none serves for another: a slot is no rank, and a generation no
// segment. An id is as large as its number, trivially copyable (records in shared memory hold ids), ordered, hashed,
// and printed as its number (print_ids.hpp).
//
//   Rank rank(index);             // from a number that is computed: explicit, and unsigned
//   supervisor.ready(0, now);     // a literal may be written where an id is wanted: the place says which
//   rank == slot                  // does not compile
//
// The public headers keep plain numbers; value() leads there.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/check.hpp"

namespace tutti {

template <class Tag, std::unsigned_integral Number>
class Id {
 public:
  constexpr Id() = default;
  /// A literal. One that is negative does not compile.
  template <std::same_as<int> Literal>
  consteval Id(Literal literal) : number_(static_cast<Number>(literal < 0 ? throw "negative" : literal)) {}
  constexpr explicit Id(std::unsigned_integral auto number) : number_(static_cast<Number>(number)) {}

  constexpr Number value() const noexcept { return number_; }
  constexpr Id& operator++() noexcept {
    ++number_;
    return *this;
  }

  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Number number_ = 0;
};

/// A member, by its place in the ensemble.
using Rank = Id<struct RankTag, std::uint32_t>;
/// A worker, by its place in the pool. Its processes come and go; see Generation.
using WorkerId = Id<struct WorkerTag, std::uint32_t>;
/// A member of a worker's unit, by its place there.
using Seat = Id<struct SeatTag, std::uint32_t>;
/// How many processes a worker had before this one.
using Generation = Id<struct GenerationTag, std::uint32_t>;
/// A segment, by its number in the pool's life. (Its index within its call is a plain number, for people.)
using SegmentId = Id<struct SegmentTag, std::uint64_t>;
/// A slot of the arena, and of every channel.
using SlotId = Id<struct SlotTag, std::uint32_t>;
/// A task, by its number in a worker's generation.
using Sequence = Id<struct SequenceTag, std::uint64_t>;
/// When a member is asked for a segment: 0 at first, later with a cascade.
using Round = Id<struct RoundTag, std::uint16_t>;

/// Ids from 0 up to a number, for loops.
template <class IdType>
class IdRange {
 public:
  struct Iterator {
    std::size_t at;
    IdType operator*() const { return IdType(at); }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    friend bool operator==(Iterator, Iterator) = default;
  };

  explicit IdRange(std::size_t size) : size_(size) {}
  Iterator begin() const { return {0}; }
  Iterator end() const { return {size_}; }

 private:
  std::size_t size_;
};

/// A vector that only one kind of id looks into; an id beyond its end is a failed check.
template <class IdType, class Value>
class IdVector {
 public:
  using Values = std::vector<Value>;

  IdVector() = default;
  explicit IdVector(std::size_t size) : values_(size) {}
  IdVector(std::size_t size, const Value& value) : values_(size, value) {}
  explicit IdVector(Values values) : values_(std::move(values)) {}
  IdVector(std::initializer_list<Value> values) : values_(values) {}

  typename Values::reference operator[](IdType id) { return values_[place(id)]; }
  typename Values::const_reference operator[](IdType id) const { return values_[place(id)]; }

  std::size_t size() const noexcept { return values_.size(); }
  bool empty() const noexcept { return values_.empty(); }
  void push_back(Value value) { values_.push_back(std::move(value)); }
  auto begin() { return values_.begin(); }
  auto end() { return values_.end(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }
  IdRange<IdType> ids() const { return IdRange<IdType>(values_.size()); }
  /// In the order of the ids.
  const Values& values() const noexcept { return values_; }

  friend bool operator==(const IdVector&, const IdVector&) = default;

 private:
  std::size_t place(IdType id) const {
    TUTTI_CHECK(id.value() < values_.size());
    return id.value();
  }

  Values values_;
};

template <class Value>
using ByRank = IdVector<Rank, Value>;
template <class Value>
using ByWorker = IdVector<WorkerId, Value>;
template <class Value>
using BySlot = IdVector<SlotId, Value>;

}  // namespace tutti

template <class Tag, class Number>
struct std::hash<tutti::Id<Tag, Number>> {
  std::size_t operator()(tutti::Id<Tag, Number> id) const noexcept { return std::hash<Number>()(id.value()); }
};
