// The journal of a run: a file `journal` in the run folder that says which segments are finished, so that a run that
// was interrupted, crashed or was killed can continue. It holds no predictions: those are in the files of the results,
// of which it has the checksums, and the scores' sums. It is not synced: it survives every end of the process, but not
// every crash of the machine. It makes no decision: the caller compares the fingerprints to see whether it fits a run,
// and the checksums to see whether the rows are there.
//
//   file      "tutti-journal/3\n", record (JSON: what the run is), record (a segment), record (a segment), ...
//   record    payload's length (8 bytes), its CRC-32 (4 bytes), 4 bytes of 0, payload
//   segment   SegmentHead, the CRC-32 of its rows in each file (4 bytes each), its sums (segment_sums.hpp)
//
// A segment that is there twice was computed again: the last record counts. Where the rows of a segment are follows
// from its number. Numbers are written as in memory, little-endian: a journal is read on the machine that wrote it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <tutti/error.hpp>
#include <vector>

#include "common/unique_fd.hpp"

namespace tutti::images {

/// What identifies a run: how its images are cut into segments, and what its bytes depend on.
struct JournalHeader {
  std::uint64_t images = 0;
  std::uint32_t segment_images = 1;
  std::uint32_t members = 0;
  std::map<std::string, std::string> fingerprint;

  std::uint64_t segments() const { return images / segment_images + (images % segment_images != 0 ? 1 : 0); }
  /// Images of one segment: `segment_images`, or what is left for the last.
  std::uint32_t count_of(std::uint64_t segment) const;
  friend bool operator==(const JournalHeader&, const JournalHeader&) = default;
};

/// What the journal holds of a finished segment.
struct SegmentRecord {
  std::vector<std::uint32_t> checksums;  ///< of its rows, by file, in the order of the run
  std::vector<std::byte> sums;           ///< as SumWriter wrote them
  friend bool operator==(const SegmentRecord&, const SegmentRecord&) = default;
};

/// One thread. The file is locked while the object lives: two runs cannot share a run folder. Moves, does not copy.
class Journal {
 public:
  /// Whether a folder holds a journal.
  static bool exists(const std::filesystem::path& folder);

  /// Opens or creates the journal of `folder`, which exists, and reads which segments it holds; a torn record and all
  /// after it are ignored. Throws Error(usage) if another run holds it or the file is not a journal of this version,
  /// Error(failed) if
  /// it cannot be read or created.
  explicit Journal(const std::filesystem::path& folder);

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Whether it has a header: it has none if it was created just now, or its run was killed immediately.
  bool begun() const noexcept { return begun_; }
  const JournalHeader& header() const noexcept { return header_; }
  /// The segments that it holds, in order.
  std::vector<std::uint64_t> finished() const;
  bool holds(std::uint64_t segment) const { return extents_.count(segment) != 0; }
  std::uint64_t finished_segments() const noexcept { return extents_.size(); }
  std::uint64_t finished_images() const;

  /// Empties it, and writes the header.
  void begin(JournalHeader header);
  /// Adds a segment that the journal does not hold, and whose rows are in the files. Throws Error(failed); the journal
  /// is then unchanged and still usable.
  void append(std::uint64_t segment, std::span<const std::uint32_t> checksums, std::span<const std::byte> sums);
  /// What it holds of a segment. Throws Error(failed) if it cannot be read.
  SegmentRecord record(std::uint64_t segment) const;
  /// Does not hold this segment any more, until it is appended again: its rows are not there.
  void forget(std::uint64_t segment) { extents_.erase(segment); }
  /// The error of a record that has another form than those of the run.
  Error misfit(std::uint64_t segment) const;
  /// Removes the file because the run is done. A file that is already gone is not an error.
  void remove();

 private:
  struct Extent {
    std::uint64_t offset = 0;  ///< of the payload
    std::uint64_t length = 0;
  };

  void lock();
  void read_records();
  bool read_header(const Extent& extent);
  bool read_segment(const Extent& extent);
  void write_record(std::vector<std::span<const std::byte>> parts);

  std::filesystem::path path_;
  UniqueFd file_;
  bool begun_ = false;
  JournalHeader header_;
  std::map<std::uint64_t, Extent> extents_;  ///< by segment
  std::uint64_t end_ = 0;                    ///< behind the last whole record
};

}  // namespace tutti::images
