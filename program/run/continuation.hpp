// A run that may have started before: its unfinished images as a source, and a sink that journals what is new, inserts
// what is known, and passes all of it on in order. In an undisturbed run, nothing is known in advance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "images/planes.hpp"
#include "results/journal.hpp"

namespace tutti::program {

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

class JournalingSink final : public Sink {
 public:
  /// All of them outlive it. `next` gets all images in order: 0, 1, 2, ... If `form` has members of width 0, their own
  /// outputs are not needed and not journaled: they are most of the bytes. The same holds for classes if it has none.
  JournalingSink(images::Journal& journal, images::AnswerForm form, const UnfinishedImages& images, Sink& next);

  /// A segment of UnfinishedImages. Only segments that all members predicted are journaled: the others must be computed
  /// again.
  void write(const SegmentResult& result) override;
  /// Passes on the known segments that follow the last one of write(), up to the first that is missing.
  void catch_up();

 private:
  void append(const SegmentResult& result);

  images::Journal& journal_;
  const images::AnswerForm form_;
  const UnfinishedImages& images_;
  Sink& next_;
  std::uint64_t segment_ = 0;  ///< the next one to pass to `next_`
};

}  // namespace tutti::program
