// The images for every strategy, read once into one unnamed memory: the pool gets a view of it, processes of single
// strategies inherit its descriptor. The layout is that of bench/protocol.hpp: pixels, then labels.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <tutti/images.hpp>

#include "common/values.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti::bench {

class ImageSet {
 public:
  /// The name of the mapping in /proc/<pid>/smaps: memory figures leave it out, since every strategy needs it.
  static constexpr const char* kMapping = "/memfd:tutti-bench-images";

  /// Reads all of `source`, as float32 or as the bytes that it has. Throws Error(usage) if it is empty, Error(failed)
  /// if there is not enough memory.
  static ImageSet read(Source& source, Dtype pixels = Dtype::float32);
  /// A copy of the first `count` images, or of all if there are fewer.
  ImageSet first(std::uint64_t count) const;

  const std::string& name() const noexcept { return name_; }
  ImageShape shape() const noexcept { return shape_; }
  std::uint64_t count() const noexcept { return count_; }
  bool labelled() const noexcept { return labelled_; }
  Dtype pixel_type() const noexcept { return type_; }
  Images view() const;
  /// One per image; zeros if the source has none.
  std::span<const std::int64_t> labels() const;
  int fd() const noexcept { return file_.fd(); }

 private:
  ImageSet(std::string name, ImageShape shape, std::uint64_t count, bool labelled, Dtype type);
  template <class Value>
  std::span<Value> pixels() const {
    return {reinterpret_cast<Value*>(memory_.data()), count_ * shape_.elements()};
  }
  std::span<std::int64_t> writable_labels() const;

  std::string name_;
  ImageShape shape_;
  std::uint64_t count_;
  bool labelled_;
  Dtype type_;
  MemoryFile file_;
  Mapping memory_;
};

}  // namespace tutti::bench
