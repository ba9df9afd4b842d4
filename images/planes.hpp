// Sources that give each picture in several planes: the results of several resizes and crops, all made from one decoded
// picture. An ensemble whose members see the pictures differently asks for one plane per distinct resize and crop.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"

namespace tutti::images {

class Tiling;

/// A source that may decode pictures of any size. Source::read() and read_bytes() give its own plane, the one that its
/// description asks for. One thread at a time.
class PlaneSource : public Source {
 public:
  /// Whether there are planes to choose: false for a decorator around a source of arrays of one shape.
  virtual bool decodes() const = 0;
  /// From now on read_planes() makes a plane for each of `asked`; what one leaves open is as the source's own
  /// (resize_of_picture()). At the start there is the source's own plane only.
  virtual void choose_planes(std::span<const Resize> asked) = 0;
  /// One per plane.
  virtual std::vector<ImageShape> plane_shapes() const = 0;
  /// As read_bytes(), once per plane: `planes[p]` holds indices.size() images of plane_shapes()[p].
  virtual void read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                           std::span<std::int64_t> labels) = 0;
  /// How many pictures, of those that were read and not yet told by this function, have an EXIF orientation that was
  /// not applied.
  virtual std::uint64_t take_unturned() = 0;
  /// As tiling_of() in images/tiles.hpp.
  virtual const Tiling* tiling() const { return nullptr; }
  /// Samples of the whole set, if this source is a part of it: number_of() is below it.
  virtual std::uint64_t whole_count() const { return count(); }
};

/// The source as one that decodes, or null.
PlaneSource* decoding(Source& source);
const PlaneSource* decoding(const Source& source);

/// Passes everything on to the source behind it, which outlives it; a class that derives from it changes something. A
/// source around another one is one of these: otherwise it would give an ensemble of pictures only the own plane of
/// what is behind it.
class Forwarding : public PlaneSource {
 public:
  explicit Forwarding(Source& source) : source_(source), planes_(dynamic_cast<PlaneSource*>(&source)) {}

  std::string name() const override { return source_.name(); }
  ImageShape shape() const override { return source_.shape(); }
  std::uint64_t count() const override { return source_.count(); }
  std::uint32_t classes() const override { return source_.classes(); }
  bool labelled() const override { return source_.labelled(); }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    source_.read(behind(indices), pixels, labels);
    after_read(indices.size(), labels);
  }
  bool has_bytes() const override { return source_.has_bytes(); }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    source_.read_bytes(behind(indices), pixels, labels);
    after_read(indices.size(), labels);
  }
  std::vector<NamedLayout> tensors() const override { return source_.tensors(); }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    source_.read_tensors(behind(indices), tensors, labels);
    after_read(indices.size(), labels);
  }
  std::optional<TensorLayout> label_layout() const override { return source_.label_layout(); }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    source_.read_labels(behind(indices), labels);
  }
  std::string image_name(std::uint64_t index) const override { return source_.image_name(index); }
  std::string class_name(std::uint32_t label) const override { return source_.class_name(label); }
  std::uint64_t number_of(std::uint64_t index) const override { return source_.number_of(index); }
  std::vector<std::string> skipped() const override { return source_.skipped(); }
  std::vector<std::string> remarks() const override { return source_.remarks(); }

  bool decodes() const override { return planes_ != nullptr && planes_->decodes(); }
  void choose_planes(std::span<const Resize> asked) override { planes_->choose_planes(asked); }
  std::vector<ImageShape> plane_shapes() const override { return planes_->plane_shapes(); }
  void read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                   std::span<std::int64_t> labels) override {
    planes_->read_planes(behind(indices), planes, labels);
    after_read(indices.size(), labels);
  }
  std::uint64_t take_unturned() override { return planes_ != nullptr ? planes_->take_unturned() : 0; }
  const Tiling* tiling() const override { return planes_ != nullptr ? planes_->tiling() : nullptr; }
  std::uint64_t whole_count() const override { return planes_ != nullptr ? planes_->whole_count() : source_.count(); }

 protected:
  /// The places of the same samples in the source behind it, however they are read; valid until the next call.
  virtual std::span<const std::uint64_t> behind(std::span<const std::uint64_t> indices) { return indices; }
  /// Called whenever samples were read, with their labels, if those were read too.
  virtual void after_read(std::size_t /*samples*/, std::span<std::int64_t> /*labels*/) {}

 private:
  Source& source_;
  PlaneSource* planes_;  ///< the same source if it is one, else null
};

/// A source of arrays of one shape, which must have bytes, as if they were decoded pictures: what a plane leaves open
/// stays as it is. `source` outlives it.
std::unique_ptr<PlaneSource> as_pictures(Source& source);

}  // namespace tutti::images
