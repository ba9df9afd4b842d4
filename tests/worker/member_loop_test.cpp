// The worker's loop as a thread of this process, against the coordinator's ends of rings, bells and socket. One mapping
// serves both sides, so that ThreadSanitizer sees every access.
#include "worker/member_loop.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <optional>
#include <string>
#include <thread>

#include "common/atomic_file.hpp"
#include "common/random.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/hosted.hpp"
#include "worker/fake.hpp"

namespace tutti::test {
namespace {

constexpr ArenaLayout kArena{4, 8, kShape};

/// A member in a thread, and the coordinator's side of it.
class Rig {
 public:
  explicit Rig(MemberRequest request, bool allow_nan = false, std::array<int, 2> checkpoints = {-1, -1})
      : checkpoints_(checkpoints),
        request_(std::move(request)),
        start_{0, 4, kArena, allow_nan},
        model_(worker::make_fake_model(request_)),
        arena_(kArena.bytes() / sizeof(Page) + 1),
        channel_(memory_of(layout()), layout()),
        tasks_(channel_.tasks()),
        completions_(channel_.completions()) {
    Sockets sockets = Sockets::make();
    control_.emplace(std::move(sockets.coordinator));
    client_.emplace(std::move(sockets.worker));
    thread_ = std::thread([this] { run(); });
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  ~Rig() {
    control_.reset();  // end of file ends the loop, whatever a test left
    if (thread_.joinable()) thread_.join();
  }

  void fill(std::uint32_t slot, const std::vector<float>& images, std::uint64_t first_number = 0) {
    const auto count = static_cast<std::uint32_t>(images.size() / kShape.elements());
    const auto view = slot_view(arena(), kArena, slot, count);
    std::copy(images.begin(), images.end(), view.pixels.begin());
    for (std::uint32_t i = 0; i < count; ++i) {
      view.labels[i] = i % 4;
      view.numbers[i] = first_number + i;
    }
  }
  void hand_out(std::uint32_t slot, std::uint32_t images, TaskKind kind = TaskKind::predict,
                std::uint32_t checkpoint = 0) {
    REQUIRE(tasks_.push({sequence_, 10 + sequence_, 0, slot, images, kind, checkpoint}) == RingStatus::ok);
    ++sequence_;
    if (tasks_.consumer_is_parked()) task_bell_.ring();
  }
  /// Waits for the next completion.
  CompletionRecord answer() {
    for (;;) {
      CompletionRecord record;
      completions_.unpark();
      if (completions_.pop(record) == RingStatus::ok) return record;
      completions_.park();
      if (completions_.pop(record) == RingStatus::ok) return record;
      pollfd end{completion_bell_.fd(), POLLIN, 0};
      if (::poll(&end, 1, 30'000) != 1) throw std::runtime_error("no answer came");
      completion_bell_.silence();
    }
  }
  /// Waits without parking for the next completion; false where none comes.
  bool answer_without_sleep() {
    CompletionRecord record;
    return spin_until([&] { return completions_.pop(record) == RingStatus::ok; });
  }
  bool reaches_progress(std::uint64_t batches) {
    return spin_until([&] { return progress() >= batches; });
  }
  std::vector<float> output(std::uint32_t slot, std::uint32_t images) const {
    const auto span = channel_.output(slot, images);
    return {span.begin(), span.end()};
  }
  void send(const control::Message& message) { control_->send(message); }
  control::Message reply() {
    auto message = control_->receive();
    REQUIRE(message);
    return *message;
  }
  /// The next tasks have segments from 10 + `sequence` on.
  void start_from(std::uint64_t sequence) { sequence_ = sequence; }
  void close_ring() {
    tasks_.close();
    task_bell_.ring();
  }
  void hang_up() { control_.reset(); }
  /// What the loop threw, or "left".
  std::string end() {
    thread_.join();
    return end_;
  }
  std::uint64_t progress() const { return channel_.status().progress; }
  void falsify_tail() { channel_.tasks().header->tail = 1000; }
  void ring_for_nothing() { task_bell_.ring(); }

 private:
  struct alignas(kPageBytes) Page {
    std::byte bytes[kPageBytes];
  };
  template <class Condition>
  static bool spin_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition())
      if (std::chrono::steady_clock::now() > deadline) return false;
    return true;
  }
  static ChannelLayout layout() { return {kArena.slots, kArena.images, 4}; }
  static MemoryFile memory_of(const ChannelLayout& layout) {
    MemoryFile file = MemoryFile::create("test");
    file.allocate(layout.bytes(), "a test");
    return file;
  }
  std::byte* arena() { return arena_.front().bytes; }
  void run() {
    try {
      worker::MemberLoop(
          {*model_, request_, start_, arena(), channel_, task_bell_, completion_bell_, *client_, checkpoints_})
          .run();
      end_ = "left";
    } catch (const std::exception& error) {
      end_ = error.what();
    }
  }

  std::array<int, 2> checkpoints_;
  MemberRequest request_;
  control::Start start_;
  std::unique_ptr<worker::Model> model_;
  std::vector<Page> arena_;
  Channel channel_;
  RingProducer<TaskRecord> tasks_;
  RingConsumer<CompletionRecord> completions_;
  Doorbell task_bell_ = Doorbell::create();
  Doorbell completion_bell_ = Doorbell::create();
  std::optional<worker::ControlClient> control_;
  std::optional<worker::ControlClient> client_;
  std::uint64_t sequence_ = 0;
  std::string end_;
  std::thread thread_;
};

TEST_CASE("a segment is answered with the numbers of its task") {
  Rig rig(fake_request());
  const auto images = random_images(8);
  rig.fill(2, images);
  rig.hand_out(2, 8);
  const CompletionRecord record = rig.answer();
  CHECK(record.sequence == 0);
  CHECK(record.segment == 10);
  CHECK(record.generation == 0);
  CHECK(record.slot == 2);
  CHECK(record.images == 8);
  CHECK(record.status == CompletionStatus::done);
  CHECK(rig.output(2, 8) == naive_answer(fake_spec(1), 0, images));
}

TEST_CASE("segments of every length are cut into batches and answered image by image") {
  Rig rig(fake_request());
  std::uint64_t batches = 0;
  for (std::uint32_t count = 1; count <= 8; ++count) {
    const auto images = random_images(count, count);
    rig.fill(count % 4, images);
    rig.hand_out(count % 4, count);
    CHECK(rig.answer().images == count);
    CHECK(rig.output(count % 4, count) == naive_answer(fake_spec(1), 0, images));
    batches += (count + 2) / 3;
    CHECK(rig.progress() == batches);
  }
}

TEST_CASE("many segments pass with all slots in use and none is lost") {
  Rig rig(fake_request());
  constexpr std::uint64_t kSegments = 4000;
  for (std::uint32_t slot = 0; slot < 4; ++slot) rig.fill(slot, random_images(8, slot));
  for (std::uint32_t slot = 0; slot < 4; ++slot) rig.hand_out(slot, 8);
  std::uint64_t handed_out = 4;
  for (std::uint64_t n = 0; n < kSegments; ++n) {
    const CompletionRecord record = rig.answer();
    REQUIRE(record.sequence == n);
    REQUIRE(record.slot == n % 4);
    if (handed_out < kSegments) {
      rig.fill(record.slot, random_images(8, record.slot));
      rig.hand_out(record.slot, 8);
      ++handed_out;
    }
  }
  for (std::uint32_t slot = 0; slot < 4; ++slot)
    CHECK(rig.output(slot, 8) == naive_answer(fake_spec(1), 0, random_images(8, slot)));
}

TEST_CASE("a member that sleeps between single tasks wakes for each of them") {
  Rig rig(fake_request());
  rig.fill(0, random_images(1));
  for (std::uint64_t n = 0; n < 3000; ++n) {
    rig.hand_out(0, 1);
    REQUIRE(rig.answer().sequence == n);
  }
}

// The second task comes a little after the member has stamped the progress of the first, so that some come between its
// last look and its sleep; no third one would wake it.
TEST_CASE("a task that comes while the member goes to sleep is found") {
  Rig rig(fake_request());
  rig.fill(0, random_images(1));
  rig.fill(1, random_images(1));
  for (std::uint32_t n = 0; n < 60'000; ++n) {
    rig.hand_out(0, 1);
    REQUIRE(rig.reaches_progress(2 * n + 1));
    for (std::uint32_t i = 0; i < n % 300; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    rig.hand_out(1, 1);
    REQUIRE(rig.answer_without_sleep());
    REQUIRE(rig.answer_without_sleep());
  }
}

TEST_CASE("a bell that rings for nothing does no harm") {
  Rig rig(fake_request());
  rig.ring_for_nothing();
  rig.fill(0, random_images(1));
  rig.hand_out(0, 1);
  rig.ring_for_nothing();
  CHECK(rig.answer().sequence == 0);
}

TEST_CASE("a closed ring ends the loop after what was in it") {
  Rig rig(fake_request());
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  rig.hand_out(0, 4);
  rig.close_ring();
  CHECK(rig.end() == "left");
  CHECK(rig.answer().sequence == 0);
  CHECK(rig.answer().sequence == 1);
}

TEST_CASE("the message stop ends the loop") {
  Rig rig(fake_request());
  rig.send(control::Stop{});
  CHECK(rig.end() == "left");
}

TEST_CASE("the end of the control socket ends the loop") {
  Rig rig(fake_request());
  rig.hang_up();
  CHECK(rig.end() == "left");
}

TEST_CASE("a control message that does not belong there ends the member with words") {
  Rig rig(fake_request());
  rig.send(control::Hello{});
  CHECK(rig.end() == "a control message came that does not belong here");
}

TEST_CASE("a task ring that makes no sense ends the member with words") {
  Rig rig(fake_request());
  rig.falsify_tail();
  rig.ring_for_nothing();
  CHECK(rig.end() == "the task ring is corrupt");
}

TEST_CASE("what the model throws ends the member with its words") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::exception, FaultPhase::predict, 1}}}));
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  CHECK(rig.end() == "scripted fault: exception");
}

TEST_CASE("an answer that is not finite is reported with its image") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::nan, FaultPhase::predict, 2}}}));
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  const CompletionRecord record = rig.answer();
  CHECK(record.status == CompletionStatus::not_finite);
  CHECK(record.detail == 6);  // the third batch of three begins there
}

TEST_CASE("an answer that is not finite passes where it is allowed") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::nan, FaultPhase::predict, 0}}}), true);
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  CHECK(rig.answer().status == CompletionStatus::done);
  CHECK(std::isnan(rig.output(0, 8)[0]));
}

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

TEST_CASE("weights that cannot be written are answered with words and the member lives on") {
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

/// A member that has begun to train, whose checkpoints go to two nameless files.
struct TrainingRig {
  TrainingRig() : rig(fake_request(), false, {files.first.get(), files.second.get()}) {
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
  CheckpointFiles files;
  Rig rig;
};

TEST_CASE("a checkpoint is there when its task is answered and only in the file that was named") {
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

TEST_CASE("training that begins anew takes any segment") {
  TrainingRig member;
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.train(0, 8, 1);
  CHECK(member.tell(control::Restore{0}).empty());
  CHECK(member.tell(control::BeginTraining{}).empty());
  member.rig.start_from(0);
  member.train(1, 8, 0);
}

TEST_CASE("a checkpoint that cannot be used is answered with words and the member lives on") {
  TrainingRig member;
  CHECK(member.tell(control::Restore{0}) ==
        "cannot go on from a checkpoint of 'm0': the file is not a valid safetensors file: it has 0 bytes, and the "
        "length of the header alone takes 8");
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
