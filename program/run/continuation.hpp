// A run that may have begun before: its unfinished images as a source, and a sink that journals what is new, puts what
// is known in between, and hands all of it on in order. An undisturbed run is the case in which nothing is known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "results/journal.hpp"

namespace tutti::program {

/// The images of those segments that `journal` does not hold, whole segments in order. Since only the last segment of
/// all may be short, it is cut into the same batches as before.
class UnfinishedImages final : public Source {
 public:
  /// Both outlive it; the segments are those that are missing now.
  UnfinishedImages(Source& all, const images::Journal& journal);

  std::string name() const override { return all_.name(); }
  ImageShape shape() const override { return all_.shape(); }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return all_.classes(); }
  bool labelled() const override { return all_.labelled(); }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override;
  bool has_bytes() const override { return all_.has_bytes(); }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override;
  std::string image_name(std::uint64_t index) const override { return all_.image_name(image(index)); }

  /// The image of all images that is number `index` here.
  std::uint64_t image(std::uint64_t index) const {
    return segments_[index / segment_images_] * segment_images_ + index % segment_images_;
  }

 private:
  std::span<const std::uint64_t> images_of(std::span<const std::uint64_t> indices);

  Source& all_;
  const std::uint32_t segment_images_;
  std::vector<std::uint64_t> segments_;
  std::uint64_t count_ = 0;
  std::vector<std::uint64_t> images_;
};

class JournalingSink final : public Sink {
 public:
  /// All outlive it. `next` gets images 0, 1, 2, ... of all. Where `form` has members of width 0, nobody asks for their
  /// own answers, and these are not journaled: they are most of the bytes.
  JournalingSink(images::Journal& journal, images::AnswerForm form, const UnfinishedImages& images, Sink& next);

  /// A segment of UnfinishedImages. Only what all members answered is journaled: the rest is to be done again.
  void write(const SegmentResult& result) override;
  /// Hands on the known segments that follow the last one of write(), up to the first that is missing.
  void catch_up();

 private:
  void append(const SegmentResult& result);

  images::Journal& journal_;
  const images::AnswerForm form_;
  const UnfinishedImages& images_;
  Sink& next_;
  std::uint64_t segment_ = 0;  ///< the next one that `next_` gets
};

}  // namespace tutti::program
