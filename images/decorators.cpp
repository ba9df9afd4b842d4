// Sources around a source: its first images, its images normalised, or its classes under other names.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "common/counted.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

/// Owns the source behind it; each decorator changes one thing.
class Decorator : public Forwarding {
 public:
  explicit Decorator(std::unique_ptr<Source> source) : Forwarding(*source), owned_(std::move(source)) {}

 private:
  std::unique_ptr<Source> owned_;
};

class Limited final : public Decorator {
 public:
  Limited(std::unique_ptr<Source> source, std::uint64_t count)
      : Decorator(std::move(source)), count_(std::min(count, Decorator::count())) {}

  std::string name() const override {
    return count_ == Decorator::count() ? Decorator::name()
                                        : fmt::format("{}, limited to {}", Decorator::name(), count_);
  }
  std::uint64_t count() const override { return count_; }

 private:
  std::uint64_t count_;
};

class Rest final : public Decorator {
 public:
  Rest(std::unique_ptr<Source> source, std::uint64_t left_out)
      : Decorator(std::move(source)), left_out_(std::min(left_out, Decorator::count())) {}

  std::string name() const override { return fmt::format("{}, without the first {}", Decorator::name(), left_out_); }
  std::uint64_t count() const override { return Decorator::count() - left_out_; }
  std::string image_name(std::uint64_t index) const override { return Decorator::image_name(index + left_out_); }
  std::uint64_t number_of(std::uint64_t index) const override { return Decorator::number_of(index + left_out_); }

 protected:
  std::span<const std::uint64_t> behind(std::span<const std::uint64_t> indices) override {
    shifted_.assign(indices.begin(), indices.end());
    for (std::uint64_t& index : shifted_) index += left_out_;
    return shifted_;
  }

 private:
  std::uint64_t left_out_;
  std::vector<std::uint64_t> shifted_;
};

// One value per channel, made from one per channel, from one for all, or from `otherwise` if there is none.
std::vector<float> per_channel(std::span<const float> values, const Source& source, float otherwise, const char* what) {
  const std::uint32_t channels = source.shape().channels;
  if (values.size() > 1 && values.size() != channels)
    throw Error(ErrorKind::usage, fmt::format("preprocess: {} has {}", what, counted(values.size(), "value")),
                fmt::format("{} has {}", source.name(), counted(channels, "channel")),
                fmt::format("give {}, or one for all channels", counted(channels, "value")));
  if (values.size() == channels) return {values.begin(), values.end()};
  return std::vector<float>(channels, values.empty() ? otherwise : values.front());
}

class Normalised final : public Decorator {
 public:
  Normalised(std::unique_ptr<Source> source, std::span<const float> mean, std::span<const float> std)
      : Decorator(std::move(source)),
        mean_(per_channel(mean, *this, 0.0F, "mean")),
        std_(per_channel(std, *this, 1.0F, "std")) {
    for (const float value : mean_)
      if (!std::isfinite(value))
        throw Error(ErrorKind::usage, fmt::format("preprocess: mean must be finite, and {} is not", value));
    for (const float value : std_)
      if (!(value > 0.0F && std::isfinite(value)))
        throw Error(ErrorKind::usage, fmt::format("preprocess: std must be above 0 and finite, and {} is not", value));
  }

  bool has_bytes() const override { return false; }  // normalised images are float32
  bool decodes() const override { return false; }
  std::vector<NamedLayout> tensors() const override { return Source::tensors(); }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    Source::read_tensors(indices, tensors, labels);
  }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    Decorator::read(indices, pixels, labels);
    const std::size_t plane = std::size_t{shape().height} * shape().width;
    const std::size_t planes = indices.size() * shape().channels;
    for (std::size_t i = 0; i < planes; ++i) {
      const std::size_t channel = i % shape().channels;
      for (float& value : pixels.subspan(i * plane, plane)) value = (value - mean_[channel]) / std_[channel];
    }
  }

 private:
  std::vector<float> mean_;
  std::vector<float> std_;
};

class WithClasses final : public Decorator {
 public:
  WithClasses(std::unique_ptr<Source> source, std::vector<std::string> names, std::vector<std::uint32_t> labels)
      : Decorator(std::move(source)), names_(std::move(names)), labels_(std::move(labels)) {}

  std::uint32_t classes() const override {
    return labels_.empty() ? Decorator::classes() : static_cast<std::uint32_t>(names_.size());
  }
  std::string class_name(std::uint32_t label) const override {
    return label < names_.size() ? names_[label] : std::string();
  }

 protected:
  void after_read(std::size_t /*samples*/, std::span<std::int64_t> labels) override {
    if (labels_.empty()) return;
    for (std::int64_t& label : labels) label = labels_.at(static_cast<std::size_t>(label));
  }

 private:
  const std::vector<std::string> names_;
  const std::vector<std::uint32_t> labels_;
};

}  // namespace

std::unique_ptr<Source> limited(std::unique_ptr<Source> source, std::uint64_t count) {
  return std::make_unique<Limited>(std::move(source), count);
}

std::unique_ptr<Source> without_first(std::unique_ptr<Source> source, std::uint64_t count) {
  return std::make_unique<Rest>(std::move(source), count);
}

std::unique_ptr<Source> normalised(std::unique_ptr<Source> source, std::span<const float> mean,
                                   std::span<const float> std) {
  return std::make_unique<Normalised>(std::move(source), mean, std);
}

std::unique_ptr<Source> with_classes(std::unique_ptr<Source> source, std::vector<std::string> names,
                                     std::vector<std::uint32_t> labels) {
  return std::make_unique<WithClasses>(std::move(source), std::move(names), std::move(labels));
}

}  // namespace tutti::images
