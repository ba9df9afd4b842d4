// A run, its predictions, and journals of them. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "results/journal.hpp"

namespace tutti::images {

/// 50 images in segments of 20, two members.
inline JournalHeader a_run() { return {50, 20, 2, {{"seed", "3"}, {"threads of a", "2"}}}; }
inline const AnswerForm kForm{2, 1, true, {2, 3}};

/// A segment's result whose values depend on the segment.
struct Answer {
  explicit Answer(std::uint64_t segment, const JournalHeader& run = a_run()) : count(run.count_of(segment)) {
    first = segment * run.segment_images;
    for (std::size_t i = 0; i < count * 2; ++i) values.push_back(static_cast<float>(first) + static_cast<float>(i) / 8);
    for (std::size_t i = 0; i < count * 3; ++i) other.push_back(-static_cast<float>(i));
    for (std::uint32_t i = 0; i < count; ++i) predicted.push_back(i % 2);
    labels.assign(count, 1);
    members = {{2, values, true}, {3, other, true}};
  }
  SegmentResult result() const {
    SegmentResult result;
    result.first = first;
    result.count = count;
    result.width = 2;
    result.values = values;
    result.predicted = predicted;
    result.labels = labels;
    result.members = members;
    return result;
  }
  std::uint64_t first = 0;
  std::uint32_t count;
  std::vector<float> values;
  std::vector<float> other;
  std::vector<std::int64_t> predicted;
  std::vector<std::int64_t> labels;
  std::vector<MemberSegmentResult> members;
};

template <class Value>
bool same(std::span<const Value> a, std::span<const Value> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// Compares the results that it gets with an expected one.
struct Expecting final : Sink {
  explicit Expecting(Answer answer) : wanted(std::move(answer)) {}
  void write(const SegmentResult& result) override {
    ++calls;
    CHECK(result.first == wanted.first);
    CHECK(result.count == wanted.count);
    CHECK(result.width == 2);
    CHECK(same(result.values, std::span<const float>(wanted.values)));
    CHECK(same(result.predicted, std::span<const std::int64_t>(wanted.predicted)));
    CHECK(same(result.labels, std::span<const std::int64_t>(wanted.labels)));
    REQUIRE(result.members.size() == 2);
    CHECK(result.members_present() == 2);
    CHECK(same(result.members[0].values, std::span<const float>(wanted.values)));
    CHECK(same(result.members[1].values, std::span<const float>(wanted.other)));
    CHECK_FALSE(result.set_aside);
  }
  Answer wanted;
  int calls = 0;
};

inline void check_replay(const Journal& journal, std::uint64_t segment) {
  Expecting sink{Answer(segment)};
  journal.replay(segment, kForm, sink);
  CHECK(sink.calls == 1);
}

/// A journal of segments 0 and 2, closed again.
inline void write_journal(const std::filesystem::path& folder) {
  Journal journal(folder);
  journal.begin(a_run());
  journal.append(Answer(0).result());
  journal.append(Answer(2).result());
}

inline std::string content(const std::filesystem::path& folder) { return read_text(folder / "journal", "a journal"); }
inline void replace(const std::filesystem::path& folder, std::string_view text) {
  std::ofstream(folder / "journal", std::ios::binary | std::ios::trunc) << text;
}

}  // namespace tutti::images
