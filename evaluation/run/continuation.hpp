// A run that may have started before: its unfinished images as a source, and a sink that passes on what is new and what
// is known in order, and journals what is new. In an undisturbed run, nothing is known in advance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "images/planes.hpp"
#include "results/journal.hpp"
#include "results/segment_sums.hpp"

namespace tutti {

/// The images of the segments that `journal` does not hold: whole segments, in order. Only the last segment of all may
/// be short, so it is cut into the same batches as before.
class UnfinishedImages final : public images::Forwarding {
 public:
  /// Both outlive it; the segments are those that are missing at this time.
  UnfinishedImages(Source& all, const images::Journal& journal);

  std::uint64_t count() const override { return count_; }
  std::string image_name(std::uint64_t index) const override { return Forwarding::image_name(image(index)); }
  std::uint64_t number_of(std::uint64_t index) const override { return Forwarding::number_of(image(index)); }

  /// The index, among all images, of image number `index` here.
  std::uint64_t image(std::uint64_t index) const {
    return segments_[index / segment_images_] * segment_images_ + index % segment_images_;
  }

 protected:
  std::span<const std::uint64_t> behind(std::span<const std::uint64_t> indices) override;

 private:
  const std::uint32_t segment_images_;
  std::vector<std::uint64_t> segments_;
  std::uint64_t count_ = 0;
  std::vector<std::uint64_t> images_;
};

/// What a run does with its segments: all of them in order, each either computed or known.
class SegmentSink {
 public:
  virtual ~SegmentSink() = default;
  /// A segment that was computed.
  virtual void write(const SegmentResult& result) = 0;
  /// For the journal: what it needs to know of the segment of the last write(), whose rows are in the files.
  virtual images::SegmentRecord record() const = 0;
  /// That segment is in the journal now, or must be computed again.
  virtual void settle() = 0;
  /// A segment of which this is known, and whose rows are in the files. Throws SumMisfit.
  virtual void take(std::uint64_t first, std::uint32_t count, const images::SegmentRecord& record) = 0;
};

class JournalingSink final : public Sink {
 public:
  /// All of them outlive it. `next` gets all images in order: 0, 1, 2, ...
  JournalingSink(images::Journal& journal, const UnfinishedImages& images, SegmentSink& next)
      : journal_(journal), images_(images), next_(next) {}

  /// A segment of UnfinishedImages. It is journaled once `next` has it, if all members predicted it: others must be
  /// computed again.
  void write(const SegmentResult& result) override;
  /// Passes on the known segments that follow the last one of write(), up to the first that is missing. Throws
  /// Error(failed) if the journal does not fit the run.
  void catch_up();

 private:
  images::Journal& journal_;
  const UnfinishedImages& images_;
  SegmentSink& next_;
  std::uint64_t segment_ = 0;  ///< the next one to pass to `next_`
};

}  // namespace tutti
