// The journal of a run: a file `journal` in its output folder that holds every finished segment, so that a run that
// was interrupted, crashed or was killed can go on where it was. It lies in the page cache, not on the disk: it
// outlives every end of the process, not every end of the machine. It decides nothing: whether a journal fits a run is
// for whoever compares the fingerprints.
//
//   file      "tutti-journal/1\n", record (JSON: what the run is), record (a segment), record (a segment), ...
//   record    payload's length (8 bytes), its CRC-32 (4 bytes), 4 bytes of 0, payload
//   segment   SegmentHead, each member's width, predicted, labels, values, each member's values
//
// Numbers are little-endian and as in memory: a journal is read on the machine that wrote it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tutti/predictions.hpp>
#include <vector>

#include "common/unique_fd.hpp"

namespace tutti::images {

/// What a run is: how its images are cut, and what its bytes depend on.
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

/// The form of every answer in a run, as a journal must have it to be handed on.
struct AnswerForm {
  std::uint32_t width = 0;
  bool predicted = false;
  bool labels = false;
  std::vector<std::uint32_t> member_widths;
  friend bool operator==(const AnswerForm&, const AnswerForm&) = default;
};

/// One thread. The file is locked while the object lives: two runs cannot share an output folder. Moves, does not copy.
class Journal {
 public:
  /// Whether a folder holds one.
  static bool exists(const std::filesystem::path& folder);

  /// Opens, or makes, the journal of `folder`, which exists, and reads which segments it holds; a record that is torn,
  /// and all behind it, count as not there. Throws Error(usage) if another run holds it or the file is no journal,
  /// Error(failed) if it cannot be read or made.
  explicit Journal(const std::filesystem::path& folder);

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Whether it says what run it is of: not so if it was made just now, or its run was killed at once.
  bool begun() const noexcept { return begun_; }
  const JournalHeader& header() const noexcept { return header_; }
  /// In order: the segments that it holds.
  std::vector<std::uint64_t> finished() const;
  bool holds(std::uint64_t segment) const { return places_.count(segment) != 0; }
  std::uint64_t finished_segments() const noexcept { return places_.size(); }
  std::uint64_t finished_images() const;

  /// Empties it, and writes what run it is of.
  void begin(JournalHeader header);
  /// Adds a whole segment, which the journal does not hold and of which every member is part. Throws Error(failed); the
  /// journal is as before then, and stays good.
  void append(const SegmentResult& result);
  /// Hands a segment that it holds to `sink`. Throws Error(failed) if it cannot be read, or is not of this form.
  void replay(std::uint64_t segment, const AnswerForm& form, Sink& sink) const;
  /// Removes the file: the run is done. A file that is no longer there is none of our business.
  void remove();

 private:
  struct Place {
    std::uint64_t offset = 0;  ///< of the payload
    std::uint64_t length = 0;
  };

  void lock();
  void read_records();
  bool read_header(const Place& place);
  bool read_segment(const Place& place);
  void write_record(std::vector<std::span<const std::byte>> parts);

  std::filesystem::path path_;
  UniqueFd file_;
  bool begun_ = false;
  JournalHeader header_;
  std::map<std::uint64_t, Place> places_;  ///< by segment
  std::uint64_t end_ = 0;                  ///< behind the last whole record
};

}  // namespace tutti::images
