// Small ensembles of fake members, images for them, and what they must answer according to a plain loop that shares no
// code with the worker. For tests only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "config/spec.hpp"

namespace tutti::test {

constexpr ImageShape kShape{2, 3, 3};

/// `count` members "m0", "m1" ... of 4 classes on images of kShape; segments of 8 images, batches of 3, 2 slots.
config::EnsembleSpec fake_spec(std::size_t count);
FakeModel& fake_model(config::EnsembleSpec& spec, std::size_t rank);
/// The public form of a description.
Spec published(const config::EnsembleSpec& spec);

/// Values in [0, 1) that depend only on the seed.
std::vector<float> random_images(std::size_t count, std::uint64_t seed = 1, ImageShape shape = kShape);

/// The outputs of member `rank` for images one by one, in the form that the description asks for.
std::vector<float> naive_answer(const config::EnsembleSpec& spec, std::size_t rank, const std::vector<float>& images);
/// The mean of all members, in rank order, in float32.
std::vector<float> naive_mean(const config::EnsembleSpec& spec, const std::vector<float>& images);

/// Labelled images that count the reads.
class ListSource : public Source {
 public:
  ListSource(std::vector<float> pixels, std::vector<std::int64_t> labels, ImageShape shape = kShape)
      : pixels_(std::move(pixels)), labels_(std::move(labels)), shape_(shape) {}
  std::string name() const override { return "a list"; }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return pixels_.size() / shape_.elements(); }
  std::uint32_t classes() const override { return 0; }
  bool labelled() const override { return !labels_.empty(); }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override;

 private:
  std::vector<float> pixels_;
  std::vector<std::int64_t> labels_;
  ImageShape shape_;
};

/// Keeps every segment that comes.
struct ListSink : Sink {
  void write(const SegmentResult& result) override;
  std::vector<std::uint64_t> firsts;
  std::vector<float> values;
  std::vector<std::int64_t> labels;
  std::vector<std::vector<float>> members;
};

}  // namespace tutti::test
