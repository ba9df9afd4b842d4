// Sources for measuring: one that repeats a few images, and one whose images are already in their slots.
#pragma once

#include <algorithm>
#include <vector>

#include <tutti/images.hpp>

namespace tutti::bench::micro {

inline constexpr ImageShape kShape{3, 32, 32};

/// `count` images, which repeat those of `source`. Reading costs what `source` takes for it.
class CyclicSource final : public Source {
 public:
  CyclicSource(Source& source, std::uint64_t count) : source_(source), count_(count) {}
  std::string name() const override { return source_.name() + ", again and again"; }
  ImageShape shape() const override { return source_.shape(); }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return source_.classes(); }
  bool labelled() const override { return source_.labelled(); }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    wrapped_.resize(indices.size());
    std::transform(indices.begin(), indices.end(), wrapped_.begin(), [n = source_.count()](auto i) { return i % n; });
    source_.read(wrapped_, pixels, labels);
  }

 private:
  Source& source_;
  std::uint64_t count_;
  std::vector<std::uint64_t> wrapped_;
};

/// Leaves the slots as they are, so that a run is only coordination; or, at first, fills them.
class FilledSource final : public Source {
 public:
  enum class Slots { write, leave };
  FilledSource(std::uint64_t count, Slots slots) : count_(count), slots_(slots) {}
  std::string name() const override { return "images that are there"; }
  ImageShape shape() const override { return kShape; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return 0; }
  bool labelled() const override { return false; }
  void read(std::span<const std::uint64_t>, std::span<float> pixels, std::span<std::int64_t>) override {
    if (slots_ == Slots::write) std::fill(pixels.begin(), pixels.end(), 0.5F);
  }

 private:
  std::uint64_t count_;
  Slots slots_;
};

}  // namespace tutti::bench::micro
