// The job of tutti-bench-single: it survives the way through JSON, and a malformed one is rejected with its reason.
#include "bench/protocol.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"

namespace tutti::bench {
namespace {

using test::contains;
using test::error_of;

SingleJob full_job() {
  MemberRequest cnn;
  cnn.name = "cnn \"0\"\n";
  cnn.model = SmallCnnModel{12};
  cnn.weights = "a b.safetensors";
  cnn.seed = ~std::uint64_t{0};
  cnn.takes = {TakenTensor::unchanged(ImageShape{3, 32, 32}.layout())};
  cnn.batch_images = 20;
  cnn.warm_up_batches = {20, 7};
  cnn.threads = 2;
  MemberRequest fake = cnn;
  fake.name = "fake";
  fake.model = FakeModel{};
  std::get<FakeModel>(fake.model).delay_us = 50;
  return {Strategy::branches, 3,          6000, 500, {CombineRule::weighted, OutputKind::logits, false, true},
          {0.1F, 1.0F / 3},   {cnn, fake}};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a job arrives as it was sent") {
  const SingleJob job = full_job();
  const std::string text = encode(job);
  CHECK(text.find('\n') == text.npos);  // a line of the protocol
  const SingleJob arrived = decode_job(text);
  CHECK(arrived.strategy == job.strategy);
  CHECK(arrived.between == job.between);
  CHECK(arrived.images == job.images);
  CHECK(arrived.segment_images == job.segment_images);
  CHECK(arrived.combine == job.combine);
  CHECK(arrived.weights == job.weights);
  REQUIRE(arrived.members.size() == 2);
  CHECK(arrived.members[0].name == job.members[0].name);
  CHECK(arrived.members[0].model == job.members[0].model);
  CHECK(arrived.members[0].seed == job.members[0].seed);
  CHECK(arrived.members[0].threads == 2);
  CHECK(arrived.members[0].warm_up_batches == job.members[0].warm_up_batches);
  CHECK(arrived.members[1].model == job.members[1].model);
}

TEST_CASE("every strategy has a name that is read back") {
  for (const auto& [strategy, name] : enum_names(Strategy{})) {
    SingleJob job = full_job();
    job.strategy = strategy;
    const SingleJob arrived = decode_job(encode(job));
    CHECK(arrived.strategy == job.strategy);
  }
}

TEST_CASE("a malformed job is rejected with its reason") {
  const std::string good = encode(full_job());
  struct Bad {
    std::string text;
    std::string_view reason;
  };
  for (const Bad& bad :
       {Bad{"[]", "an object is expected"}, Bad{replaced(good, "\"between\"", "\"betwixt\""), "'between' is missing"},
        Bad{replaced(good, "\"branches\"", "\"magic\""), "field 'strategy' has the wrong type"},
        Bad{replaced(good, "\"images\":6000", "\"images\":-1"), "field 'images' has the wrong type or is out of range"},
        Bad{replaced(good, "\"normalize\":false", "\"normalize\":0"), "field 'normalize' has the wrong type"},
        Bad{replaced(good, "\"weights\":[", "\"weights\":[1,"), "1 is not a weight"},
        Bad{replaced(good, "\"weights\":[\"0.1\"", "\"weights\":[\"nan\""), "\"nan\" is not a weight"}}) {
    const auto error = error_of([&] { decode_job(bad.text); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == "a job for tutti-bench-single is malformed");
    CHECK_MESSAGE(contains(error->detail(), bad.reason), error->detail());
  }
  auto error = error_of([] { decode_job("{"); });
  REQUIRE(error);
  CHECK(error->message() == "a job for tutti-bench-single is not valid JSON");
  error = error_of([&] { decode_job(replaced(good, "\"batch_images\":20", "\"batch_images\":\"20\"")); });
  REQUIRE(error);
  CHECK(contains(error->detail(), "batch_images"));
}

template <class Change>
std::string refusal(Change change) {
  SingleJob job = full_job();
  change(job);
  const auto error = error_of([&] { decode_job(encode(job)); });
  REQUIRE(error);
  CHECK(error->message() == "a job for tutti-bench-single is malformed");
  return error->detail();
}

TEST_CASE("what does not fit in a job is rejected") {
  CHECK(refusal([](SingleJob& job) { job.between = 0; }) == "'between' is 0: at least one thread is needed");
  CHECK(refusal([](SingleJob& job) { job.images = 0; }) == "there are no images, or none in a segment");
  CHECK(refusal([](SingleJob& job) { job.segment_images = 0; }) == "there are no images, or none in a segment");
  CHECK(refusal([](SingleJob& job) { job.members.clear(); }) == "there are no members");
  CHECK(refusal([](SingleJob& job) { job.weights.pop_back(); }) == "1 weight for 2 members");
  CHECK(refusal([](SingleJob& job) { job.members[1].threads = 0; }) ==
        "member 'fake' has no threads, or no images in a batch");
  CHECK(refusal([](SingleJob& job) { job.members[1].batch_images = 0; }) ==
        "member 'fake' has no threads, or no images in a batch");
  CHECK(refusal([](SingleJob& job) {
          job.members[1].takes = {TakenTensor::unchanged(ImageShape{1, 2, 3}.layout())};
        }) == "member 'fake' takes images of 1x2x3 (float32), the first one of 3x32x32 (float32)");
  CHECK(refusal([](SingleJob& job) {
          job.members[1].takes = {TakenTensor::unchanged({Dtype::int64, {7}})};
        }) == "member 'fake' does not take images alone");
}

}  // namespace
}  // namespace tutti::bench
