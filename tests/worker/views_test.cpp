// Views of images: what the model sees in each, and that the mean over them is that of a plain computation.
#include <doctest/doctest.h>

#include "tests/worker/viewed_stub.hpp"

namespace tutti::test {
namespace {

TEST_CASE("the model sees each view as numpy would make it") {
  const Bench bench({3, 5, 5}, views_of(kSquareKinds), Predicts::row);
  bench.probed();
  REQUIRE(bench.stub->seen.size() == kSquareKinds.size());
  for (std::size_t v = 0; v < kSquareKinds.size(); ++v)
    CHECK(bench.stub->seen[v].values == turned(kSquareKinds[v], bench.image(0)).values);
}

TEST_CASE("a row of classes is the mean of those of all views") {
  for (const auto& [shape, kinds] : {std::pair(ImageShape{3, 5, 5}, kSquareKinds), {ImageShape{1, 5, 8}, kAnyKinds}}) {
    const Bench bench(shape, views_of(kinds), Predicts::row);
    const auto wanted = plain_mean(bench, [&kinds = kinds](const Planes& image) {
      std::vector<Planes> predictions;
      for (const ViewKind kind : kinds) predictions.push_back(prediction_of(Predicts::row, turned(kind, image)));
      return predictions;
    });
    check_bits(bench.probed(), wanted);
    CHECK(bench.viewed->output() == Dims{3});
    check_bits(bench.predicted(Bench::kImages), wanted);
  }
}

TEST_CASE("a map is turned back before it is added") {
  for (const auto& [shape, kinds] : {std::pair(ImageShape{2, 7, 7}, kSquareKinds), {ImageShape{3, 4, 9}, kAnyKinds}}) {
    const Bench bench(shape, views_of(kinds), Predicts::map);
    const auto wanted = plain_mean(bench, [&kinds = kinds](const Planes& image) {
      std::vector<Planes> predictions;
      for (const ViewKind kind : kinds)
        predictions.push_back(turned_back(kind, prediction_of(Predicts::map, turned(kind, image))));
      return predictions;
    });
    check_bits(bench.probed(), wanted);
    CHECK(bench.viewed->output() == Dims{3, shape.height, shape.width});
    check_bits(bench.predicted(Bench::kImages), wanted);
  }
}

TEST_CASE("crops are those of torchvision in its order") {
  // Half of 3 places is rounded to 2, half of 5 to 2: to the even number.
  const ImageShape shape{2, 9, 8};
  for (const std::uint32_t count : {1U, 5U, 10U}) {
    const Bench bench(shape, {crops(count, 6, 3)}, Predicts::row);
    const auto crops_of = [count](const Planes& image) {
      std::vector<Planes> all;
      for (const Planes& side : {image, mirrored(image)}) {
        if (count > 1)
          for (const auto& [top, left] : {Places{0, 0}, {0, 5}, {3, 0}, {3, 5}})
            all.push_back(cropped(side, top, left, 6, 3));
        all.push_back(cropped(side, 2, 2, 6, 3));
      }
      all.resize(count);
      return all;
    };
    const auto wanted = plain_mean(bench, [&](const Planes& image) {
      std::vector<Planes> predictions;
      for (const Planes& crop : crops_of(image)) predictions.push_back(prediction_of(Predicts::row, crop));
      return predictions;
    });
    check_bits(bench.probed(), wanted);
    CHECK(bench.stub->shape() == ImageShape{2, 6, 3});
    const auto crops_of_first = crops_of(bench.image(0));
    REQUIRE(bench.stub->seen.size() == crops_of_first.size());
    for (std::size_t c = 0; c < crops_of_first.size(); ++c)
      CHECK(bench.stub->seen[c].values == crops_of_first[c].values);
    check_bits(bench.predicted(3), wanted);
  }
}

TEST_CASE("a scale changes both sides as torchvision does and maps are resized back") {
  for (const auto& [predicts, factor] : {std::pair(Predicts::row, 1.3), {Predicts::map, 1.3}, {Predicts::map, 0.6}}) {
    const Bench bench({3, 5, 8}, {of_kind(ViewKind::identity), scale(factor), of_kind(ViewKind::hflip)}, predicts);
    const std::uint32_t height = factor > 1 ? 6 : 3;
    const std::uint32_t width = factor > 1 ? 10 : 4;
    const auto wanted = plain_mean(bench, [&, predicts = predicts](const Planes& image) {
      const Planes scaled = prediction_of(predicts, to_size(image, height, width));
      const Planes flipped = prediction_of(predicts, mirrored(image));
      return std::vector{prediction_of(predicts, image), predicts == Predicts::map ? to_size(scaled, 5, 8) : scaled,
                         predicts == Predicts::map ? mirrored(flipped) : flipped};
    });
    check_bits(bench.probed(), wanted);
    check_bits(bench.predicted(2), wanted);
    CHECK(bench.viewed->output() == (predicts == Predicts::map ? Dims{3, 5, 8} : Dims{3}));
  }
}

TEST_CASE("views of several sizes alternate with the image itself") {
  const Bench bench({1, 6, 6}, {crops(5, 4, 4), of_kind(ViewKind::rot90), crops(1, 2, 3)}, Predicts::row);
  const auto whole = bench.probed();
  REQUIRE(bench.stub->seen.size() == 7);
  CHECK(bench.stub->seen[0].values.size() == 16);
  CHECK(bench.stub->seen[5].values.size() == 36);
  CHECK(bench.stub->seen[6].values.size() == 6);
  check_bits(bench.predicted(7), whole);
}

TEST_CASE("predictions do not depend on where the batch was cut") {
  for (const Predicts predicts : {Predicts::row, Predicts::map}) {
    std::vector<View> views = views_of(kSquareKinds);
    views.push_back(scale(0.7));
    const Bench bench({3, 7, 7}, views, predicts);
    const auto whole = bench.probed();
    for (const std::uint32_t batch : {1U, 2U, 3U, 7U}) check_bits(bench.predicted(batch), whole);
  }
}

TEST_CASE("the image itself is read in place and its prediction alone keeps its bits") {
  const Bench bench({3, 4, 5}, {of_kind(ViewKind::identity)}, Predicts::half_map);
  const auto values = bench.probed();
  CHECK(bench.stub->places.back() == bench.images.data());
  CHECK(bench.viewed->output() == Dims{3, 2, 2});
  for (std::size_t i = 0; i < Bench::kImages; ++i) {
    const auto alone = prediction_of(Predicts::half_map, bench.image(i)).values;
    check_bits({values.begin() + static_cast<std::ptrdiff_t>(i * alone.size()),
                values.begin() + static_cast<std::ptrdiff_t>((i + 1) * alone.size())},
               alone);
  }
}

}  // namespace
}  // namespace tutti::test
