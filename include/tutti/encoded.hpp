// Encoded pictures as samples: the bytes of JPEG, PNG, WebP, TIFF or BMP files, which the ensemble's threads decode,
// resize and crop. No files: the bytes come from the program.
//
//   std::vector<std::string> files = ...;                                  // as they came from a disk or a network
//   tutti::Predictions p = ensemble.predict(tutti::EncodedImages(files));
//
// The ensemble's `input` says into which size the pictures are brought: `input: {resize: 256, crop: 224}`, or that of a
// folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <tutti/images.hpp>

namespace tutti {

/// A view of encoded pictures that the caller owns. They may differ in format and size. The memory must stay valid
/// until the call, or the future, that was given the view ends.
class EncodedImages {
 public:
  EncodedImages() = default;  ///< of no pictures

  /// Of the bytes of each picture.
  explicit EncodedImages(std::vector<std::span<const std::byte>> files) : files_(std::move(files)) {}
  /// Of a container of strings, or of vectors or spans of bytes; one for each picture.
  template <std::ranges::input_range Files>
  requires std::ranges::contiguous_range<std::ranges::range_reference_t<const Files>> &&
      (sizeof(std::ranges::range_value_t<std::ranges::range_reference_t<const Files>>) ==
       1) explicit EncodedImages(const Files& files) {
    for (const auto& file : files) files_.push_back(std::as_bytes(std::span(file)));
  }

  /// The bytes of each picture.
  const std::vector<std::span<const std::byte>>& files() const noexcept { return files_; }

 private:
  std::vector<std::span<const std::byte>> files_;
};

/// A source of encoded pictures, for Ensemble::run() and train(): it implements encoded() instead of shape() and
/// read().
class TUTTI_API EncodedSource : public Source {
 public:
  /// The bytes of picture `index`. They may be in `room`, which keeps its memory from call to call, or elsewhere; they
  /// stay valid until the next call with the same room. Called by several threads at the same time, each with its room.
  virtual std::span<const std::byte> encoded(std::uint64_t index, std::vector<std::byte>& room) = 0;
  /// The class of picture `index`. Called only if labelled(); throws Error(usage) otherwise.
  virtual std::int64_t label(std::uint64_t /*index*/) {
    throw Error(ErrorKind::usage, name() + " has no labels to give", {}, "ask labelled() first");
  }

  /// All zeros.
  ImageShape shape() const final { return {}; }
  bool has_bytes() const final { return false; }
  /// Throws Error(usage): the ensemble decodes the pictures.
  void read(std::span<const std::uint64_t> /*indices*/, std::span<float> /*pixels*/,
            std::span<std::int64_t> /*labels*/) final {
    throw Error(ErrorKind::usage, name() + " has encoded pictures and no pixels", {}, "read them with encoded()");
  }
  std::vector<NamedLayout> tensors() const final { return {}; }
};

}  // namespace tutti
