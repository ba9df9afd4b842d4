// Views that are refused, and what a model behind views is told.
#include <doctest/doctest.h>

#include "tests/worker/viewed_stub.hpp"
#include "worker/backend_loader.hpp"
#include "worker/fake.hpp"

namespace tutti::test {
namespace {

std::optional<Error> probe_error(const ImageShape& shape, std::vector<View> views, Predicts predicts,
                                 bool one_size = false) {
  return error_of([&] { Bench(shape, std::move(views), predicts, one_size).probed(); });
}

TEST_CASE("a view is refused if the predictions are neither rows nor maps of the image's size") {
  for (const View& view : {of_kind(ViewKind::hflip), of_kind(ViewKind::transpose), crops(5, 2, 2), scale(2)}) {
    const auto error = probe_error({3, 8, 8}, {view}, Predicts::half_map);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message().starts_with("view '" + to_text(view) + "' is not possible: predictions are 3x"));
    CHECK(error->message().ends_with("neither one row of values nor a map of the image's height and width"));
    CHECK(error->hint() == "the only view that is possible is identity; leave 'views' out");
  }
  const auto error = probe_error({3, 8, 8}, {of_kind(ViewKind::identity), crops(1, 4, 2)}, Predicts::map);
  REQUIRE(error);
  CHECK(
      error->message() ==
      "view '1 crop of 4x2' is not possible: predictions are 3x4x2 for images of 3x4x2, and maps of crops are not put "
      "together");
  CHECK(error->hint() == "use the views identity, hflip, vflip, rot90, rot180, rot270, transpose and scale");
}

TEST_CASE("views of several sizes need a model that takes them and predicts the same number of values") {
  const auto one = probe_error({3, 8, 8}, {of_kind(ViewKind::hflip), scale(1.5)}, Predicts::row, true);
  REQUIRE(one);
  CHECK(one->kind() == ErrorKind::usage);
  CHECK(one->message() == "the model takes images of one size, and its views have several");
  CHECK(one->detail() == "one of them shows images of 3x12x12");
  CHECK_FALSE(probe_error({3, 8, 8}, {crops(10, 4, 4)}, Predicts::row, true));
  const auto other = probe_error({1, 4, 4}, {of_kind(ViewKind::hflip), scale(0.5)}, Predicts::number_of_values);
  REQUIRE(other);
  CHECK(other->kind() == ErrorKind::usage);
  CHECK(other->message() == "the predictions of a member's views differ in size");
  CHECK(other->detail() == "view 'hflip' gives 16, view 'scale 0.5' gives 4");
}

TEST_CASE("the model behind views is made for what it sees and keeps the name of its argument") {
  MemberRequest request = viewed_request({3, 8, 8}, {crops(5, 4, 6), of_kind(ViewKind::hflip)});
  request.takes.front().as = "pixel_values";
  request.takes.front().stored = ImageShape{3, 16, 16}.layout(Dtype::uint8);
  request.takes.front().input = MemberInput{};
  const MemberRequest behind = worker::behind_views(request);
  CHECK(behind.views.empty());
  CHECK(behind.takes ==
        std::vector<TakenTensor>{
            {.as = "pixel_values", .stored = ImageShape{3, 4, 6}.layout(), .seen = ImageShape{3, 4, 6}.layout()}});
}

TEST_CASE("a member that takes no images has no views") {
  const auto refused = [](std::vector<TakenTensor> takes) {
    MemberRequest request = viewed_request({3, 4, 4}, {of_kind(ViewKind::hflip)});
    request.takes = std::move(takes);
    const auto error = error_of([&] { worker::behind_views(request); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "'views' are of images: one tensor of float32, channels x height x width");
    CHECK(error->hint() == "leave 'views' out, or set 'views: []' at this member");
    return error->detail();
  };
  const TakenTensor image = TakenTensor::unchanged(ImageShape{3, 4, 4}.layout());
  CHECK(refused({image, image}) == "the member takes 2 tensors, the first one float32 of 3x4x4");
  CHECK(refused({TakenTensor::unchanged({Dtype::int64, {3, 4, 4}})}) ==
        "the member takes 1 tensor, the first one int64 of 3x4x4");
  CHECK(refused({TakenTensor::unchanged({Dtype::float32, {7}})}) ==
        "the member takes 1 tensor, the first one float32 of 7");
}

TEST_CASE("views that the images do not have are refused before the model is loaded") {
  const auto refused = [](const ImageShape& shape, const View& view) {
    const auto error = error_of([&] { worker::load_model(viewed_request(shape, {view})); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK_FALSE(error->hint().empty());
    return error->message();
  };
  for (const ViewKind kind : {ViewKind::rot90, ViewKind::rot270, ViewKind::transpose})
    CHECK(refused({3, 4, 5}, of_kind(kind)) ==
          "view '" + std::string(to_name(kind)) + "' needs square images, and these are 3x4x5");
  CHECK(refused({3, 4, 5}, crops(5, 5, 5)) == "view '5 crops of 5x5' is larger than the images, which are 3x4x5");
  CHECK(refused({3, 4, 5}, crops(5, 4, 6)) == "view '5 crops of 4x6' is larger than the images, which are 3x4x5");
  CHECK(refused({3, 4, 50}, scale(0.2)) == "view 'scale 0.2' leaves nothing of images of 3x4x50");
  CHECK(refused({3, 4096, 4096}, scale(3)) ==
        "view 'scale 3' makes images of 3x12288x12288 from images of 3x4096x4096, which is more than 268435456 values");
}

TEST_CASE("the model behind the views is told what it must know") {
  const Bench bench({1, 6, 6}, {crops(5, 4, 4)}, Predicts::row);
  bench.viewed->expect_batches(9);
  bench.viewed->begin_segment(11);
  CHECK(bench.stub->expected_batch == 9);
  CHECK(bench.stub->segment == 11);
  CHECK(bench.viewed->parameters() == 77);
  CHECK(bench.viewed->why_unsteady() == "why");
  CHECK(bench.viewed->notes() == std::vector<std::string>{"note"});
  bench.viewed->end_warm_up();
  CHECK(bench.stub->warm);
}

TEST_CASE("training sees the images and the next prediction the views again") {
  const Bench bench({1, 6, 6}, {crops(5, 4, 4)}, Predicts::row);
  const auto before = bench.probed();
  CHECK(bench.stub->shape() == ImageShape{1, 4, 4});
  CHECK(bench.viewed->trainable() == bench.stub);
  CHECK(bench.stub->shape() == ImageShape{1, 6, 6});
  check_bits(bench.predicted(7), before);
}

TEST_CASE("a fake member with views is loaded behind them") {
  const auto images = random_images(7);
  MemberRequest request = fake_request();
  const auto plain = worker::make_fake_model(request);
  std::vector<float> flipped;
  for (std::size_t row = 0; row < images.size() / 3; ++row)
    for (std::size_t x = 0; x < 3; ++x) flipped.push_back(images[row * 3 + 2 - x]);
  const auto answers = [](worker::Model& model, const std::vector<float>& pixels) {
    const auto values = model.probe(pixels.data(), 7);
    return std::vector<float>(values.begin(), values.end());
  };
  std::vector<float> wanted = answers(*plain, images);
  const auto mirror = answers(*plain, flipped);
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = (wanted[i] + mirror[i]) / 2;
  request.views = {of_kind(ViewKind::identity), of_kind(ViewKind::hflip)};
  const auto loaded = worker::load_model(request);
  check_bits(answers(*loaded.model, images), wanted);
  CHECK(loaded.backend == "fake");
}

}  // namespace
}  // namespace tutti::test
