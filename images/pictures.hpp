// Sources of encoded pictures: several threads decode each picture once and make all planes of it, directly in the
// caller's memory. Where the bytes of a picture come from is the part of a class that derives from it: from a folder
// (folder.cpp), or from a program (encoded.cpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "common/resample.hpp"
#include "images/codecs.hpp"
#include "images/planes.hpp"
#include "images/sources.hpp"

namespace tutti::images {

/// What `error` says about a picture, in one line.
std::string why_refused(const Error& error);

class Pictures : public PlaneSource {
 public:
  ImageShape shape() const override { return shape_; }
  bool has_bytes() const override { return true; }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override;
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override;

  bool decodes() const override { return true; }
  void choose_planes(std::span<const Resize> asked) override;
  std::vector<ImageShape> plane_shapes() const override;
  void read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                   std::span<std::int64_t> labels) override;
  std::uint64_t take_unturned() override;

  /// Of the upright picture. `room` is for the bytes of its file.
  ImageShape whole_size(std::uint64_t index, std::vector<std::byte>& room) const;
  ImageShape whole_size(std::uint64_t index) { return whole_size(index, hands_.front().room); }
  /// Valid until the next call.
  const DecodedImage& decode_whole(std::uint64_t index);

 protected:
  /// `own` makes all pictures of one shape.
  Pictures(const Resize& own, const Decoding& decoding);

  /// What the description asks for, and a plane that leaves it open.
  const Resize& own() const noexcept { return own_; }
  /// To be called once count() does not change any more, before anything is read.
  void count_is_known();

 private:
  /// What one thread works with; kept between calls, so that its memory is.
  struct Hand {
    std::vector<std::byte> room;  ///< for the bytes of a file
    DecodedImage image;
    std::vector<std::uint8_t> turned;
    std::vector<std::uint8_t> bytes;  ///< one image of the source's shape

    /// One of a plane, kept for the next picture of the same size.
    struct Kept {
      std::pair<ImageShape, Resize> made_for;
      std::optional<Resampler> resampler;
    };
    std::vector<Kept> planes;
  };
  using Bytes = std::span<const std::byte>;

  /// The bytes of a picture's file, which may be in `room`. Called by several threads.
  virtual Bytes load(std::uint64_t index, std::vector<std::byte>& room) const = 0;
  /// The error that says that a picture cannot be decoded, and why.
  virtual Error refusal(std::uint64_t index, const std::string& why) const = 0;
  /// Called only if the source is labelled.
  virtual std::int64_t label_of(std::uint64_t index) const = 0;

  void read_into(std::span<const Resize> resizes, std::span<const std::uint64_t> indices,
                 std::span<const std::span<std::uint8_t>> planes, std::span<std::int64_t> labels);
  template <class RoomOf>
  void make(Hand& hand, std::uint64_t index, std::span<const Resize> resizes, const RoomOf& room_of);
  template <class Work>
  void explain(std::uint64_t index, const Work& work) const;
  bool is_turned(Bytes file, std::uint8_t orientation) const;
  void decode_upright(Hand& hand, Bytes file, std::uint64_t index, std::span<const Resize> resizes);
  void fill_labels(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels) const;

  const Resize own_;
  const ImageShape shape_;
  const Decoding decoding_;
  std::vector<Resize> planes_;
  std::vector<std::atomic<bool>> unturned_;  ///< by image: it was met with an orientation that was not applied
  std::uint64_t told_unturned_ = 0;
  std::vector<Hand> hands_;
};

}  // namespace tutti::images
