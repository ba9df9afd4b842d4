// From the arena's images to a member's own: sizes, bytes, mean and standard deviation.
#include "worker/preprocess.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/rig.hpp"

namespace tutti::test {
namespace {

constexpr ImageShape kArenaShape{3, 9, 12};

/// A slot with made-up images.
struct MadeSlot {
  MadeSlot(Dtype type, std::uint32_t images) {
    if (type == Dtype::float32)
      floats = random_images(images, 1, kArenaShape);
    else
      for (std::size_t i = 0; i < images * kArenaShape.elements(); ++i)
        bytes.push_back(static_cast<std::uint8_t>(i * i / 7 + 3 * i));
  }
  SlotView<const std::byte> view() const {
    if (bytes.empty()) return {Dtype::float32, std::as_bytes(std::span(floats)), {}, {}};
    return {Dtype::uint8, std::as_bytes(std::span(bytes)), {}, {}};
  }
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
};

MemberRequest request_of(Dtype type, std::optional<MemberInput> input) {
  MemberRequest request = fake_request();
  TakenTensor taken;
  taken.stored = kArenaShape.layout(type);
  taken.input = std::move(input);
  taken.seen = (taken.input ? resized_shape(taken.input->resize, kArenaShape) : kArenaShape).layout();
  request.takes = {taken};
  return request;
}

std::vector<float> prepared(const MemberRequest& request, const MadeSlot& slot, std::uint32_t first,
                            std::uint32_t count) {
  worker::Preprocess preprocess(request);
  const float* images = preprocess.samples(slot.view(), first, count).floats();
  return {images, images + count * request.seen().elements()};
}

const MemberInput kOwn{
    {ResizeRule::shorter, 6, 6, 5, 6, Interpolation::bicubic}, {0.5F, 0.25F, 0.125F}, {0.3F, 0.7F, 2.0F}};

TEST_CASE("a member that takes the images unchanged reads them in place") {
  const MadeSlot slot(Dtype::float32, 4);
  worker::Preprocess preprocess(request_of(Dtype::float32, std::nullopt));
  CHECK(preprocess.samples(slot.view(), 0, 4).floats() == slot.floats.data());
  CHECK(preprocess.samples(slot.view(), 3, 1).floats() == slot.floats.data() + 3 * kArenaShape.elements());
}

TEST_CASE("bytes become float32 from 0 to 1 and are normalised as a source would do it") {
  const MadeSlot slot(Dtype::uint8, 2);
  const auto plain = prepared(request_of(Dtype::uint8, MemberInput{}), slot, 0, 2);
  const auto normalised = prepared(request_of(Dtype::uint8, MemberInput{{}, kOwn.mean, {0.3F}}), slot, 0, 2);
  const std::size_t plane = 9 * 12;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    REQUIRE(plain[i] == static_cast<float>(slot.bytes[i]) / 255.0F);
    REQUIRE(normalised[i] == (plain[i] - kOwn.mean[i / plane % 3]) / 0.3F);
  }
}

TEST_CASE("an image is resized as bytes and normalised after that") {
  const MadeSlot slot(Dtype::uint8, 3);
  const MemberRequest request = request_of(Dtype::uint8, kOwn);
  CHECK(request.seen() == ImageShape{3, 5, 6}.layout());
  const auto made = prepared(request, slot, 2, 1);
  Resampler resampler(kOwn.resize, kArenaShape);
  std::vector<std::uint8_t> resized(request.seen().elements());
  resampler.apply(std::span(slot.bytes).subspan(2 * kArenaShape.elements()), std::span(resized));
  for (std::size_t i = 0; i < made.size(); ++i)
    REQUIRE(made[i] == (static_cast<float>(resized[i]) / 255.0F - kOwn.mean[i / 30]) / kOwn.std[i / 30]);
}

TEST_CASE("float32 is resized and normalised too") {
  const MadeSlot slot(Dtype::float32, 2);
  const auto made = prepared(request_of(Dtype::float32, kOwn), slot, 1, 1);
  Resampler resampler(kOwn.resize, kArenaShape);
  std::vector<float> resized(90);
  resampler.apply(std::span<const float>(slot.floats).subspan(kArenaShape.elements()), std::span(resized));
  for (std::size_t i = 0; i < made.size(); ++i) REQUIRE(made[i] == (resized[i] - kOwn.mean[i / 30]) / kOwn.std[i / 30]);
  const auto unchanged = prepared(request_of(Dtype::float32, MemberInput{}), slot, 0, 2);
  CHECK(unchanged == slot.floats);
}

TEST_CASE("an image is the same wherever the batch was cut") {
  for (const Dtype type : {Dtype::uint8, Dtype::float32}) {
    const MadeSlot slot(type, 7);
    const MemberRequest request = request_of(type, kOwn);
    const auto whole = prepared(request, slot, 0, 7);
    worker::Preprocess preprocess(request);
    std::vector<float> pieces;
    for (const auto& [first, count] : {std::pair(0U, 3U), std::pair(3U, 1U), std::pair(4U, 3U)}) {
      const float* images = preprocess.samples(slot.view(), first, count).floats();
      CHECK(reinterpret_cast<std::uintptr_t>(images) % 64 == 0);
      pieces.insert(pieces.end(), images, images + count * request.seen().elements());
    }
    CHECK(pieces == whole);
  }
}

TEST_CASE("requests that contradict themselves are rejected") {
  const auto refusal = [](const MemberRequest& request) { return error_of([&] { worker::Preprocess{request}; }); };
  auto request = request_of(Dtype::float32, MemberInput{{}, {1, 2}, {}});
  auto error = refusal(request);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "'mean' of the member's input has 2 values");
  CHECK(error->detail() == "an image has 3 channels");
  request = request_of(Dtype::float32, kOwn);
  request.takes[0].seen.dims[2] = 7;
  error = refusal(request);
  REQUIRE(error);
  CHECK(error->message() == "the member's 'input' gives images of 3x5x6");
  CHECK(error->detail() == "from images of 3x9x12; the member expects 3x5x7");
  error = refusal(request_of(Dtype::uint8, std::nullopt));
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() ==
        "the arena holds uint8 of 3x9x12, the member sees float32 of 3x9x12, and has no 'input' that converts it");
}

/// A member whose input divides by 2.
MemberRequest halving() {
  MemberRequest request = fake_request();
  request.takes[0].input = MemberInput{{}, {}, {2.0F}};
  return request;
}

TEST_CASE("a member with a separate input predicts the images that it makes") {
  Rig rig(halving());
  auto images = random_images(8);
  rig.fill(1, images);
  rig.hand_out(1, 8);
  rig.answer();
  for (float& value : images) value /= 2.0F;
  CHECK(rig.output(1, 8) == naive_answer(fake_spec(1), 0, images));
}

TEST_CASE("a member with a separate input trains on the images that it makes") {
  auto images = random_images(8);
  Rig own(halving());
  own.fill(0, images);
  for (float& value : images) value /= 2.0F;
  Rig plain(fake_request());
  plain.fill(0, images);
  for (Rig* rig : {&own, &plain}) {
    rig->send(control::BeginTraining{});
    rig->reply();
    rig->hand_out(0, 8, TaskKind::train);
  }
  const CompletionRecord learnt = own.answer();
  const CompletionRecord wanted = plain.answer();
  CHECK(learnt.loss_sum == wanted.loss_sum);
  CHECK(learnt.trained == 8);
}

}  // namespace
}  // namespace tutti::test
