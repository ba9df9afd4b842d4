// Predictions that are no rows of classes: masks, labels of which several may be right, and numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "common/random.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Members with masks of 3 classes x 2 x 5.
config::EnsembleSpec mask_spec(std::size_t members) {
  auto spec = fake_spec(members);
  for (std::size_t rank = 0; rank < members; ++rank) {
    fake_model(spec, rank).classes = 3;
    fake_model(spec, rank).per_class = {2, 5};
  }
  return spec;
}

constexpr std::size_t kPlaces = 10;
constexpr std::size_t kClasses = 3;

/// The mask of one member for one image, [class][place], by a plain loop.
std::vector<float> plain_mask(const config::MemberSpec& member, std::span<const float> image, Activation activation) {
  std::vector<float> mask(kClasses * kPlaces);
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = unit_float(random_at(member.seed, i / kPlaces));
  for (std::size_t i = 0; i < image.size(); ++i) mask[i % mask.size()] += image[i];
  for (std::size_t place = 0; place < kPlaces; ++place) {
    float top = mask[place];
    float sum = 0;
    for (std::size_t c = 1; c < kClasses; ++c) top = std::max(top, mask[c * kPlaces + place]);
    for (std::size_t c = 0; c < kClasses; ++c) {
      float& value = mask[c * kPlaces + place];
      if (activation == Activation::sigmoid)
        value = 1 / (1 + std::exp(-value));
      else
        sum += value = std::exp(value - top);
    }
    if (activation == Activation::softmax)
      for (std::size_t c = 0; c < kClasses; ++c) mask[c * kPlaces + place] /= sum;
  }
  return mask;
}

/// Of all images, in rank order.
std::vector<float> plain_mean(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  std::vector<float> all;
  for (std::size_t first = 0; first < images.size(); first += kShape.elements()) {
    std::vector<float> sum(kClasses * kPlaces);
    for (const config::MemberSpec& member : spec.members) {
      const auto mask =
          plain_mask(member, std::span(images).subspan(first, kShape.elements()), spec.combine.activation);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += mask[i];
    }
    for (const float value : sum) all.push_back(value / static_cast<float>(spec.members.size()));
  }
  return all;
}

TEST_CASE("masks are combined value by value and decided at each place") {
  auto spec = mask_spec(3);
  Ensemble ensemble(published(spec), with_worker());
  CHECK(ensemble.status().members[0].output == Dims{3, 2, 5});
  const auto images = random_images(21);
  const Predictions masks = ensemble.predict(view(images));
  CHECK(masks.count == 21);
  CHECK(masks.shape == Dims{3, 2, 5});
  CHECK(masks.width == 30);
  CHECK(masks.values == plain_mean(spec, images));
  REQUIRE(masks.predicted.size() == 21 * kPlaces);
  for (std::size_t at = 0; at < masks.predicted.size(); ++at) {
    const float* const mask = masks.values.data() + at / kPlaces * masks.width;
    std::size_t best = 0;
    for (std::size_t c = 1; c < kClasses; ++c)
      if (mask[c * kPlaces + at % kPlaces] > mask[best * kPlaces + at % kPlaces]) best = c;
    REQUIRE(masks.predicted[at] == static_cast<std::int64_t>(best));
  }
}

TEST_CASE("classes may lie along the last axis") {
  auto spec = mask_spec(1);
  spec.combine.over = OutputKind::logits;
  spec.combine.axis = -1;
  Ensemble ensemble(published(spec), with_worker());
  const Predictions masks = ensemble.predict(view(random_images(1)));
  REQUIRE(masks.predicted.size() == 6);  // 3 x 2
  for (std::size_t at = 0; at < 6; ++at) {
    const auto* const first = masks.values.data() + at * 5;
    CHECK(masks.predicted[at] == std::max_element(first, first + 5) - first);
  }
}

TEST_CASE("a worker that is killed changes no byte of a mask") {
  auto spec = mask_spec(2);
  const auto images = random_images(21);
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 4}};
  Ensemble ensemble(published(spec), with_worker());
  CHECK(ensemble.predict(view(images)).values == plain_mean(spec, images));
  CHECK(ensemble.status().faults.restarts > 0);
}

TEST_CASE("labels of which several may be right are combined and none is decided for") {
  auto spec = mask_spec(2);
  spec.combine.activation = Activation::sigmoid;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(9);
  const Predictions labels = ensemble.predict(view(images));
  CHECK(labels.values == plain_mean(spec, images));
  CHECK(labels.predicted.empty());
}

TEST_CASE("members with predictions of other shapes are not combined and none of them waits") {
  auto spec = mask_spec(2);
  fake_model(spec, 1).per_class = {5, 2};
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->message() == "the members cannot be combined: m0 outputs 3x2x5 values per image, but m1 outputs 3x5x2");
  spec.combine.rule = CombineRule::none;
  Ensemble apart(published(spec), with_worker());
  const Predictions each = apart.predict(view(random_images(2)));
  REQUIRE(each.members.size() == 2);
  CHECK(each.members[0].shape == Dims{3, 2, 5});
  CHECK(each.members[1].shape == Dims{3, 5, 2});
}

TEST_CASE("an axis that the predictions lack is refused with their shape") {
  auto spec = mask_spec(1);
  spec.combine.axis = 4;
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "there is no axis 4 with classes");
  CHECK(error->detail() == "the members' predictions are 3x2x5");
}

}  // namespace
}  // namespace tutti::test
