// A stub model whose predictions depend on the place of every value, and views of its images made by the plainest
// possible code. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>
#include <vector>
#include "common/random.hpp"
#include "tests/common/error_of.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/requests.hpp"
#include "worker/views.hpp"

namespace tutti::test {

/// Planes that are moved by the plainest possible code: [plane][row][column].
struct Planes {
  std::size_t height = 0;
  std::size_t width = 0;
  std::vector<float> values;

  std::size_t count() const { return values.size() / (height * width); }
  /// Those of other sizes, whose value at (plane, y, x) is this one's at (plane, from(y, x)).
  Planes moved(std::size_t to_height, std::size_t to_width,
               const std::function<std::pair<std::size_t, std::size_t>(std::size_t, std::size_t)>& from) const {
    Planes to{to_height, to_width, {}};
    for (std::size_t plane = 0; plane < count(); ++plane)
      for (std::size_t y = 0; y < to_height; ++y)
        for (std::size_t x = 0; x < to_width; ++x) {
          const auto [row, column] = from(y, x);
          to.values.push_back(values[(plane * height + row) * width + column]);
        }
    return to;
  }
};

using Places = std::pair<std::size_t, std::size_t>;

inline Planes mirrored(const Planes& in) {
  return in.moved(in.height, in.width, [&](std::size_t y, std::size_t x) { return Places{y, in.width - 1 - x}; });
}
inline Planes upside_down(const Planes& in) {
  return in.moved(in.height, in.width, [&](std::size_t y, std::size_t x) { return Places{in.height - 1 - y, x}; });
}
inline Planes transposed(const Planes& in) {
  return in.moved(in.width, in.height, [](std::size_t y, std::size_t x) { return Places{x, y}; });
}
inline Planes cropped(const Planes& in, std::size_t top, std::size_t left, std::size_t height, std::size_t width) {
  return in.moved(height, width, [&](std::size_t y, std::size_t x) { return Places{top + y, left + x}; });
}
inline Planes to_size(const Planes& in, std::uint32_t height, std::uint32_t width) {
  const auto shape = [](const Planes& planes) {
    return ImageShape{static_cast<std::uint32_t>(planes.count()), static_cast<std::uint32_t>(planes.height),
                      static_cast<std::uint32_t>(planes.width)};
  };
  Resampler resampler(
      {.rule = ResizeRule::exact, .height = height, .width = width, .interpolation = Interpolation::bilinear},
      shape(in));
  Planes to{height, width, std::vector<float>(in.count() * height * width)};
  resampler.apply(std::span<const float>(in.values), std::span<float>(to.values));
  return to;
}

/// numpy.rot90 is flip(transpose(m), 0), and three times as far transpose(flip(m, 0)).
inline Planes turned(ViewKind kind, const Planes& in) {
  switch (kind) {
    case ViewKind::hflip:
      return mirrored(in);
    case ViewKind::vflip:
      return upside_down(in);
    case ViewKind::rot90:
      return upside_down(transposed(in));
    case ViewKind::rot180:
      return upside_down(mirrored(in));
    case ViewKind::rot270:
      return transposed(upside_down(in));
    case ViewKind::transpose:
      return transposed(in);
    default:
      return in;
  }
}

inline Planes turned_back(ViewKind kind, const Planes& in) {
  if (kind == ViewKind::rot90) return turned(ViewKind::rot270, in);
  return turned(kind == ViewKind::rot270 ? ViewKind::rot90 : kind, in);
}

enum class Predicts { row, map, half_map, number_of_values };

/// What the stub below predicts: it depends on the place of every value, so that no view is like another.
inline Planes prediction_of(Predicts predicts, const Planes& image) {
  constexpr std::size_t kClasses = 3;
  Planes out{1, 1, {}};
  if (predicts == Predicts::number_of_values) {
    out.values.resize(image.values.size(), 1);
    return out;
  }
  if (predicts == Predicts::row) {
    for (std::size_t c = 0; c < kClasses; ++c) {
      float sum = 0;
      for (std::size_t i = 0; i < image.values.size(); ++i) sum += image.values[i] * unit_float(random_at(c, i));
      out.values.push_back(sum);
    }
    return out;
  }
  const std::size_t part = predicts == Predicts::map ? 1 : 2;
  out.height = image.height / part;
  out.width = image.width / part;
  for (std::size_t c = 0; c < kClasses; ++c)
    for (std::size_t y = 0; y < out.height; ++y)
      for (std::size_t x = 0; x < out.width; ++x)
        out.values.push_back(image.values[y * image.width + x] * static_cast<float>(c + 1) +
                             unit_float(random_at(c, y * 100 + x)));
  return out;
}

class Stub final : public worker::Model, public worker::Trainable {
 public:
  Stub(const MemberRequest& request, Predicts predicts, bool one_size = false)
      : shape_(images_of(request)), predicts_(predicts), one_size_(one_size) {}

  Dims output() const override { return output_; }
  std::uint64_t parameters() const override { return 77; }
  void expect_batches(std::uint32_t images) override { expected_batch = images; }
  void expect_images(const ImageShape& shape) override {
    if (one_size_) return Model::expect_images(shape);
    shape_ = shape;
    output_.clear();
  }
  void begin_segment(std::uint64_t first_image) override { segment = first_image; }
  std::string why_unsteady() const override { return "why"; }
  std::vector<std::string> notes() const override { return {"note"}; }
  void end_warm_up() override { warm = true; }

  void predict(const worker::Samples& samples, std::uint32_t count, std::span<float> output) override {
    compute(samples, count);
    REQUIRE(output.size() == predicted_.size());
    std::copy(predicted_.begin(), predicted_.end(), output.begin());
  }
  std::span<const float> probe(const worker::Samples& samples, std::uint32_t count) override {
    compute(samples, count);
    return predicted_;
  }

  Trainable* trainable() override { return this; }
  void begin_training() override {}
  worker::TrainBatch train(const worker::Samples&, std::span<const std::int64_t>,
                           std::span<const std::uint32_t>) override {
    return {};
  }
  void save(const std::filesystem::path&) override {}
  void lend_state(const std::function<void(std::span<const merge::TensorView>)>&) override {}
  void take_state(const merge::Safetensors&) override {}

  const ImageShape& shape() const { return shape_; }

  std::uint32_t expected_batch = 0;
  bool warm = false;
  std::uint64_t segment = 0;
  std::vector<const float*> places;  // where each batch began
  std::vector<Planes> seen;          // the first image of each batch

 private:
  void compute(const worker::Samples& samples, std::uint32_t count) {
    places.push_back(samples.floats());
    CHECK(reinterpret_cast<std::uintptr_t>(samples.floats()) % 4 == 0);
    predicted_.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      const float* const image = samples.floats() + i * shape_.elements();
      const Planes planes{shape_.height, shape_.width, {image, image + shape_.elements()}};
      if (i == 0) seen.push_back(planes);
      const Planes predicted = prediction_of(predicts_, planes);
      const auto values = static_cast<std::uint32_t>(predicted.values.size());
      const bool row = predicts_ == Predicts::row || predicts_ == Predicts::number_of_values;
      output_ =
          row ? Dims{values}
              : Dims{3, static_cast<std::uint32_t>(predicted.height), static_cast<std::uint32_t>(predicted.width)};
      predicted_.insert(predicted_.end(), predicted.values.begin(), predicted.values.end());
    }
  }

  ImageShape shape_;
  Predicts predicts_;
  bool one_size_;
  Dims output_;
  std::vector<float> predicted_;
};

inline View of_kind(ViewKind kind) { return {.kind = kind}; }
inline View crops(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  return {.kind = ViewKind::crops, .crops = count, .height = height, .width = width};
}
inline View scale(double factor) { return {.kind = ViewKind::scale, .scale = factor}; }

inline MemberRequest viewed_request(const ImageShape& shape, std::vector<View> views) {
  MemberRequest request = fake_request();
  request.takes = {TakenTensor::unchanged(shape.layout())};
  request.views = std::move(views);
  return request;
}

/// A stub behind views, and images of one shape.
struct Bench {
  Bench(const ImageShape& of, std::vector<View> views, Predicts predicts, bool one_size = false)
      : shape(of), images(random_images(kImages, 5, of)) {
    const MemberRequest request = viewed_request(of, std::move(views));
    auto made = std::make_unique<Stub>(worker::behind_views(request), predicts, one_size);
    stub = made.get();
    viewed = std::make_unique<worker::Viewed>(request, std::move(made));
  }

  Planes image(std::size_t i) const {
    const auto begin = images.begin() + static_cast<std::ptrdiff_t>(i * shape.elements());
    return {shape.height, shape.width, {begin, begin + static_cast<std::ptrdiff_t>(shape.elements())}};
  }
  std::vector<float> probed() const {
    const auto values = viewed->probe(images.data(), kImages);
    return {values.begin(), values.end()};
  }
  /// In batches of this size.
  std::vector<float> predicted(std::uint32_t batch) const {
    const std::size_t width = elements_of(viewed->output());
    std::vector<float> values(kImages * width);
    for (std::uint32_t first = 0; first < kImages; first += batch) {
      const std::uint32_t count = std::min(batch, kImages - first);
      viewed->predict(images.data() + first * shape.elements(), count,
                      std::span(values).subspan(first * width, count * width));
    }
    return values;
  }

  static constexpr std::uint32_t kImages = 7;
  ImageShape shape;
  std::vector<float> images;
  Stub* stub = nullptr;
  std::unique_ptr<worker::Viewed> viewed;
};

/// The mean over predictions that are in the order of the views, for all images.
inline std::vector<float> plain_mean(const Bench& bench,
                                     const std::function<std::vector<Planes>(const Planes&)>& views_of) {
  std::vector<float> all;
  for (std::uint32_t i = 0; i < Bench::kImages; ++i) {
    const std::vector<Planes> predictions = views_of(bench.image(i));
    std::vector<float> sum = predictions.front().values;
    for (std::size_t v = 1; v < predictions.size(); ++v)
      for (std::size_t place = 0; place < sum.size(); ++place) sum[place] += predictions[v].values[place];
    for (const float value : sum) all.push_back(value / static_cast<float>(predictions.size()));
  }
  return all;
}

inline void check_bits(const std::vector<float>& found, const std::vector<float>& wanted) {
  REQUIRE(found.size() == wanted.size());
  CHECK(std::memcmp(found.data(), wanted.data(), wanted.size() * sizeof(float)) == 0);
}

inline const std::vector<ViewKind> kSquareKinds{ViewKind::identity, ViewKind::hflip,  ViewKind::vflip,
                                                ViewKind::rot90,    ViewKind::rot180, ViewKind::rot270,
                                                ViewKind::transpose};
inline const std::vector<ViewKind> kAnyKinds{ViewKind::rot180, ViewKind::identity, ViewKind::vflip, ViewKind::hflip};

inline std::vector<View> views_of(const std::vector<ViewKind>& kinds) {
  std::vector<View> views;
  for (const ViewKind kind : kinds) views.push_back(of_kind(kind));
  return views;
}

}  // namespace tutti::test
