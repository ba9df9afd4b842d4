// A run, the records of its segments, and journals of them. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "results/journal.hpp"

namespace tutti::images {

/// 50 images in segments of 20, two members.
inline JournalHeader a_run() { return {50, 20, 2, {{"seed", "3"}, {"threads of a", "2"}}}; }

/// What depends on the segment: two checksums, and sums of some bytes.
inline SegmentRecord a_record(std::uint64_t segment) {
  const auto number = static_cast<std::uint32_t>(segment);
  return {{number + 7, ~number}, std::vector<std::byte>(20 + segment, static_cast<std::byte>(segment + 1))};
}

inline void append(Journal& journal, std::uint64_t segment) {
  const SegmentRecord record = a_record(segment);
  journal.append(segment, record.checksums, record.sums);
}

inline void check_record(const Journal& journal, std::uint64_t segment) {
  CHECK(journal.record(segment) == a_record(segment));
}

/// A journal of segments 0 and 2, closed again.
inline void write_journal(const std::filesystem::path& folder) {
  Journal journal(folder);
  journal.begin(a_run());
  append(journal, 0);
  append(journal, 2);
}

inline std::string content(const std::filesystem::path& folder) { return read_text(folder / "journal", "a journal"); }
inline void replace(const std::filesystem::path& folder, std::string_view text) {
  std::ofstream(folder / "journal", std::ios::binary | std::ios::trunc) << text;
}

}  // namespace tutti::images
