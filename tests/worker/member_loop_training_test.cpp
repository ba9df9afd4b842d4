// The worker's loop as a thread of this process: training, weights that are saved, and checkpoints.
#include <doctest/doctest.h>
#include <unistd.h>

#include "common/atomic_file.hpp"
#include "common/random.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/worker/hosted.hpp"
#include "tests/worker/rig.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a loss that is not finite is reported") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::nan, FaultPhase::train, 1}}}));
  rig.send(control::BeginTraining{});
  CHECK(std::holds_alternative<control::Done>(rig.reply()));
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8, TaskKind::train);
  CHECK(rig.answer().status == CompletionStatus::done);
  rig.fill(1, random_images(8));
  rig.hand_out(1, 8, TaskKind::train);
  CHECK(rig.answer().status == CompletionStatus::not_finite);
}

TEST_CASE("weights that cannot be written are reported and the member lives on") {
  const TemporaryFolder folder;
  Rig rig(fake_request());
  rig.send(control::Save{folder.path().string()});
  const auto refused = rig.reply();
  REQUIRE(std::holds_alternative<control::Done>(refused));
  CHECK(std::get<control::Done>(refused).problem == "could not write " + folder.path().string() + ": Is a directory");
  CHECK(std::get<control::Done>(refused).hint == "choose another name, or move that folder away");
  rig.send(control::Save{(folder / "m.safetensors").string()});
  const auto done = rig.reply();
  REQUIRE(std::holds_alternative<control::Done>(done));
  CHECK(std::get<control::Done>(done).problem.empty());
  CHECK(std::filesystem::exists(folder / "m.safetensors"));
}

/// A model that only predicts.
class Oracle final : public worker::Model {
 public:
  Dims output() const override { return {4}; }
  std::uint64_t parameters() const override { return 0; }
  void predict(const worker::Samples&, std::uint32_t, std::span<float> output) override {
    std::ranges::fill(output, 0.25F);
  }
  std::span<const float> probe(const worker::Samples&, std::uint32_t) override { return {}; }
};

Rig rig_of_oracle() {
  MemberRequest request = fake_request();
  request.model = AotiModel{{"m.pt2"}};
  return Rig(request, false, std::make_unique<Oracle>());
}

TEST_CASE("a member that only predicts refuses to save and lives on") {
  Rig rig = rig_of_oracle();
  rig.send(control::Save{"m.safetensors"});
  const auto done = std::get<control::Done>(rig.reply());
  CHECK(done.problem == "an aoti member cannot be saved: m.pt2");
  CHECK(done.hint == "train members of kind small-cnn or mlp, and leave this one out");
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  CHECK(rig.answer().status == CompletionStatus::done);
}

TEST_CASE("a member that only predicts ends where it is to learn") {
  Rig beginning = rig_of_oracle();
  beginning.send(control::BeginTraining{});
  CHECK(contains(beginning.end(), "an aoti member cannot be trained"));
  Rig learning = rig_of_oracle();
  learning.fill(0, random_images(8));
  learning.hand_out(0, 8, TaskKind::train);
  CHECK(contains(learning.end(), "an aoti member cannot be trained"));
}

/// Trains on two segments and returns the weights' file; the sums of the completions come along.
struct Trained {
  std::string weights;
  std::uint64_t images = 0;
  double loss = 0;
};
Trained train(MemberRequest request) {
  const TemporaryFolder folder;
  Rig rig(std::move(request));
  rig.send(control::BeginTraining{});
  CHECK(std::holds_alternative<control::Done>(rig.reply()));
  Trained trained;
  for (std::uint32_t segment = 0; segment < 2; ++segment) {
    rig.fill(segment, random_images(8, segment), 8 * segment);
    rig.hand_out(segment, 8, TaskKind::train);
    const CompletionRecord record = rig.answer();
    trained.images += record.trained;
    trained.loss += record.loss_sum;
    CHECK(record.correct <= record.trained);
  }
  rig.send(control::Save{(folder / "m.safetensors").string()});
  CHECK(std::holds_alternative<control::Done>(rig.reply()));
  trained.weights = read_text(folder / "m.safetensors", "weights");
  return trained;
}

TEST_CASE("training takes every image once and gives the same bytes again") {
  MemberRequest request = fake_request();
  request.learning_rate = 0.25;
  const Trained first = train(request);
  CHECK(first.images == 16);
  CHECK(first.weights == train(request).weights);
  request.learning_rate = 0.125;
  CHECK(first.weights != train(request).weights);
}

/// A member in training, whose checkpoints go to two nameless files.
struct TrainingRig {
  TrainingRig() : rig(fake_request()) {
    rig.keep_checkpoints_in(0, files.first);
    rig.keep_checkpoints_in(1, files.second);
    for (std::uint32_t slot = 0; slot < 4; ++slot) rig.fill(slot, random_images(8, slot));
  }
  std::string tell(const control::Message& message) {
    rig.send(message);
    return std::get<control::Done>(rig.reply()).problem;
  }
  void train(std::uint32_t slot, std::uint32_t images, std::uint32_t checkpoint) {
    rig.hand_out(slot, images, TaskKind::train, checkpoint);
    rig.answer();
  }
  static std::string segment_in(const UniqueFd& fd) {
    return merge::Safetensors::read(fd.get(), "the file").metadata().at("trained up to segment");
  }
  Checkpoints files;
  Rig rig;
};

TEST_CASE("a checkpoint is there when its task is completed and only in the file that was named") {
  TrainingRig member;
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 8, 2);
  CHECK(TrainingRig::segment_in(member.files.second) == "10");
  CHECK(::lseek(member.files.first.get(), 0, SEEK_END) == 0);
  member.train(1, 8, 1);
  CHECK(TrainingRig::segment_in(member.files.first) == "11");
  CHECK(TrainingRig::segment_in(member.files.second) == "10");
  member.train(2, 8, 0);
  CHECK(TrainingRig::segment_in(member.files.first) == "11");
  CHECK(TrainingRig::segment_in(member.files.second) == "10");
}

TEST_CASE("a checkpoint is progress") {
  TrainingRig member;
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 8, 0);
  CHECK(member.rig.progress() == 1);
  member.train(1, 8, 1);
  CHECK(member.rig.progress() == 3);
}

TEST_CASE("a segment without images may carry a checkpoint") {
  TrainingRig member;
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 0, 1);
  CHECK(TrainingRig::segment_in(member.files.first) == "10");
}

TEST_CASE("a checkpoint that cannot be written ends the member with words") {
  Rig rig(fake_request());
  rig.send(control::BeginTraining{});
  rig.reply();
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8, TaskKind::train, 1);
  CHECK(rig.end().starts_with("could not write a checkpoint of 'm0'"));
}

TEST_CASE("a member that was restored takes the segments after its checkpoint and no other") {
  TrainingRig member;
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 8, 1);
  member.train(1, 8, 2);
  member.train(2, 8, 0);
  CHECK(member.tell(control::Restore{0}).empty());  // up to segment 10
  member.train(3, 8, 0);                            // 13
  CHECK(member.tell(control::Restore{1}).empty());  // up to segment 11
  member.rig.start_from(1);
  member.rig.hand_out(0, 8, TaskKind::train);
  CHECK(member.rig.end() == "segment 11 came for training after segment 11");
}

TEST_CASE("training that starts again takes any segment") {
  TrainingRig member;
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 8, 1);
  CHECK(member.tell(control::Restore{0}).empty());
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.rig.start_from(0);
  member.train(1, 8, 0);
}

TEST_CASE("a checkpoint that cannot be used is reported and the member lives on") {
  TrainingRig member;
  CHECK(member.tell(control::Restore{0}) ==
        "cannot continue from a checkpoint of 'm0': the file is not a valid safetensors file: it has 0 bytes, and the "
        "header's length needs 8");
  CHECK(member.tell(control::Restore{2}) == "there is no checkpoint file 2");
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 8, 1);
  CHECK(member.tell(control::Restore{0}).empty());
}

TEST_CASE("a bootstrap takes each image as often as its number says and gives the same bytes again") {
  MemberRequest request = fake_request();
  request.bootstrap = true;
  std::uint64_t expected = 0;
  for (std::uint64_t number = 0; number < 16; ++number) expected += poisson_one(request.seed, number);
  const Trained first = train(request);
  CHECK(first.images == expected);
  const Trained again = train(request);
  CHECK(first.weights == again.weights);
  CHECK(first.loss == again.loss);
  request.bootstrap = false;
  CHECK(first.weights != train(request).weights);
}

}  // namespace
}  // namespace tutti::test
