// Members with views through the pool: the bytes are those of a plain loop, also if a worker is killed.
#include <doctest/doctest.h>

#include "common/atomic_file.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kSide = 3;  // of kShape

/// The images with place (y, x) taken from (from(y, x)).
template <class From>
std::vector<float> moved(const std::vector<float>& images, From from) {
  std::vector<float> out;
  for (std::size_t plane = 0; plane < images.size(); plane += kSide * kSide)
    for (std::size_t y = 0; y < kSide; ++y)
      for (std::size_t x = 0; x < kSide; ++x) {
        const auto [row, column] = from(y, x);
        out.push_back(images[plane + row * kSide + column]);
      }
  return out;
}
std::vector<float> mirrored(const std::vector<float>& images) {
  return moved(images, [](std::size_t y, std::size_t x) { return std::pair{y, kSide - 1 - x}; });
}
/// Counter-clockwise.
std::vector<float> rotated(const std::vector<float>& images) {
  return moved(images, [](std::size_t y, std::size_t x) { return std::pair{x, kSide - 1 - y}; });
}
std::vector<float> rotated_back(const std::vector<float>& images) { return rotated(rotated(rotated(images))); }

const std::vector<View> kViews{{.kind = ViewKind::identity}, {.kind = ViewKind::hflip}, {.kind = ViewKind::rot90}};

/// Three members: one without views, two with.
config::EnsembleSpec viewed_spec() {
  auto spec = fake_spec(3);
  spec.members[1].views = spec.members[2].views = kViews;
  return spec;
}

std::vector<float> mean_of(const std::vector<std::vector<float>>& all) {
  std::vector<float> sum = all.front();
  for (std::size_t i = 1; i < all.size(); ++i)
    for (std::size_t place = 0; place < sum.size(); ++place) sum[place] += all[i][place];
  for (float& value : sum) value /= static_cast<float>(all.size());
  return sum;
}

/// Views first, then members, in float32.
std::vector<float> plain_loop(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  std::vector<std::vector<float>> members;
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    std::vector<std::vector<float>> views{naive_answer(spec, rank, images)};
    if (!spec.members[rank].views.empty()) {
      views.push_back(naive_answer(spec, rank, mirrored(images)));
      views.push_back(naive_answer(spec, rank, rotated(images)));
    }
    members.push_back(mean_of(views));
  }
  return mean_of(members);
}

TEST_CASE("members with views are combined as a plain loop over views and members does") {
  const auto spec = viewed_spec();
  const auto images = random_images(21);
  const auto wanted = plain_loop(spec, images);
  CHECK(wanted != naive_mean(spec, images));
  Ensemble ensemble(published(spec), with_worker());
  CHECK(ensemble.predict(view(images)).values == wanted);
  CHECK(ensemble.predict(view(images)).values == wanted);
}

TEST_CASE("another batch or segment changes no byte of a member with views") {
  auto spec = viewed_spec();
  const auto images = random_images(21);
  const auto wanted = plain_loop(spec, images);
  for (const auto& [batch, segment] : {std::pair(1U, 8U), {8U, 8U}, {4U, 5U}}) {
    spec.batch_images = batch;
    spec.segment_images = segment;
    Ensemble ensemble(published(spec), with_worker());
    CHECK(ensemble.predict(view(images)).values == wanted);
  }
}

TEST_CASE("a worker that is killed between two views changes no byte") {
  auto spec = viewed_spec();
  const auto images = random_images(21);
  const auto wanted = plain_loop(spec, images);
  // A fake member counts each view as a batch, so a segment is 9 of them: the second view of the next segment.
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 10}};
  Ensemble ensemble(published(spec), with_worker());
  CHECK(ensemble.predict(view(images)).values == wanted);
  CHECK(ensemble.status().faults.restarts > 0);
}

TEST_CASE("maps are turned back before they are added") {
  auto spec = fake_spec(1);
  fake_model(spec, 0).classes = 2;
  fake_model(spec, 0).per_class = {3, 3};
  const auto images = random_images(9);
  const auto predicted = [&](const std::vector<float>& pixels) {
    Ensemble ensemble(published(spec), with_worker());
    const Predictions maps = ensemble.predict(view(pixels));
    CHECK(maps.shape == Dims{2, 3, 3});
    return maps.values;
  };
  const auto wanted =
      mean_of({predicted(images), mirrored(predicted(mirrored(images))), rotated_back(predicted(rotated(images)))});
  spec.members[0].views = kViews;
  CHECK(predicted(images) == wanted);
}

TEST_CASE("a view that does not fit the predictions ends the start with what is possible") {
  auto spec = fake_spec(1);
  fake_model(spec, 0).per_class = {2, 5};
  spec.members[0].views = {{.kind = ViewKind::hflip}};
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "view 'hflip' is not possible: predictions are 4x2x5 for images of 2x3x3"));
  CHECK(error->hint() == "the only view that is possible is identity; leave 'views' out");
}

TEST_CASE("views that the images of the API do not have are refused with the member's name") {
  auto spec = fake_spec(1);
  spec.members[0].views = {{.kind = ViewKind::crops, .crops = 5, .height = 4, .width = 3}};
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m0: view '5 crops of 4x3' is larger than the images, which are 2x3x3");
}

TEST_CASE("a member with views learns from the images themselves") {
  const auto trained = [](std::vector<View> views) {
    auto spec = fake_spec(1);
    spec.members[0].views = std::move(views);
    const TemporaryFolder folder;
    ListSource source(random_images(16), std::vector<std::int64_t>(16, 1));
    Ensemble ensemble(published(spec), with_worker());
    return read_text(ensemble.train(source, folder.path()).weights.at(0), "weights");
  };
  const std::string plain = trained({});
  CHECK(plain == trained({{.kind = ViewKind::hflip}}));
  CHECK(plain == trained({{.kind = ViewKind::crops, .crops = 5, .height = 2, .width = 2}}));
}

}  // namespace
}  // namespace tutti::test
