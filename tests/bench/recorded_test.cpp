// Tests of the strategies that are recorded on a GPU, here on the CPU: with simulated streams that log their order, and
// a recording that computes again when it is replayed. Their CUDA code is not tested here.
#include "bench/single/torch/recorded.hpp"

#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "bench/single/torch/streams.hpp"
#include "common/build_id.hpp"
#include "tests/bench/recorded_ensembles.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"

namespace tutti::bench {
namespace {

using test::contains;
using test::error_of;
using namespace recorded;  // NOLINT: a header of these tests

const c10::Device kCpu(c10::kCPU);

/// Streams and events of the CPU, by number. They order nothing: all is computed when it is handed over.
class LentStreams final : public c10::impl::NoOpDeviceGuardImpl<c10::kCPU> {
 public:
  static LentStreams& instance() {
    static auto* const lent = [] {
      auto* made = new LentStreams;  // LibTorch never lets go of it
      const c10::impl::DeviceGuardImplRegistrar registrar(c10::kCPU, made);
      return made;
    }();
    return *lent;
  }

  /// The log since the last call.
  std::vector<std::string> take_log() { return std::exchange(log_, {}); }
  void note(const std::string& text) const { log_.push_back(text); }
  c10::StreamId current() const { return current_.id(); }
  int events_alive() const { return events_alive_; }

  c10::Stream getStream(c10::Device /*device*/) const noexcept override { return current_; }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool /*high*/) const override {
    return c10::Stream(c10::Stream::UNSAFE, device, ++streams_);
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return std::exchange(current_, stream); }
  void record(void** event, const c10::Stream& stream, const c10::DeviceIndex /*device*/,
              const c10::EventFlag /*flag*/) const override {
    if (*event == nullptr) {
      *event = new int(++events_);
      ++events_alive_;
    }
    log_.push_back(fmt::format("{} after {}", number(*event), name(stream)));
  }
  void block(void* event, const c10::Stream& stream) const override {
    log_.push_back(fmt::format("{} waits for {}", name(stream), number(event)));
  }
  void destroyEvent(void* event, const c10::DeviceIndex /*device*/) const noexcept override {
    delete static_cast<int*>(event);
    --events_alive_;
  }
  void synchronizeStream(const c10::Stream& stream) const override {
    log_.push_back(fmt::format("the host waits for {}", name(stream)));
  }

  /// The next stream is number 0, the next event a.
  void restart() {
    first_ = streams_ + 1;
    events_ = 0;
    log_.clear();
  }

 private:
  static char number(void* event) { return static_cast<char>('a' - 1 + *static_cast<int*>(event)); }

  std::string name(const c10::Stream& stream) const {
    return stream.id() == 0 ? "default" : std::to_string(stream.id() - first_);
  }

  // LibTorch's interface is const throughout.
  mutable std::vector<std::string> log_;
  mutable c10::Stream current_{c10::Stream::DEFAULT, c10::Device(c10::kCPU, -1)};
  mutable c10::StreamId streams_ = 0;
  mutable int events_ = 0;
  mutable int events_alive_ = 0;
  c10::StreamId first_ = 1;
};

/// Computes again, and counts.
struct Again {
  int recorded = 0;
  int replayed = 0;

  class Copy final : public Recording {
   public:
    Copy(Again& counts, std::function<void()> work) : counts_(counts), work_(std::move(work)) {}
    void replay() override {
      CHECK(LentStreams::instance().current() == stream_);  // else images and answers are copied in another order
      ++counts_.replayed;
      work_();
    }

   private:
    Again& counts_;
    std::function<void()> work_;
    c10::StreamId stream_ = LentStreams::instance().current();
  };

  GraphDevice device() {
    LentStreams::instance();
    return {kCpu, [this](const std::function<void()>& work) {
              REQUIRE(LentStreams::instance().current() != 0);  // CUDA records on no default stream
              ++recorded;
              work();
              return std::make_unique<Copy>(*this, work);
            }};
  }
};

TEST_CASE("what is recorded answers what each member answers alone") {
  for (const Strategy strategy : {Strategy::branches, Strategy::fused})
    for (const ModelKind& kind :
         {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{16, 12, 10}}), ModelKind(MlpModel{{10}})})
      for (const OutputKind over : {OutputKind::probabilities, OutputKind::logits}) {
        SingleJob job = job_of(strategy, kind, 4, {2, 3});
        for (MemberRequest& member : job.members) member.over = over;
        CAPTURE(to_name(strategy));
        Again again;
        const auto computation = made(job, again.device());
        CHECK(computation->width() == 10);
        const MemberAnswers wanted = expected(job);
        CHECK(worst_difference(answers_of(*computation), wanted) <= kTolerance);
        CHECK(worst_difference(answers_of(*computation), wanted) <= kTolerance);
      }
}

TEST_CASE("members as branches may differ") {
  SingleJob job = job_of(Strategy::branches, SmallCnnModel{}, 4, {2, 3});
  job.members[1].model = MlpModel{{8, 10}};
  Again again;
  CHECK(worst_difference(answers_of(*make_recorded_branches(job, again.device())), expected(job)) <= kTolerance);
}

TEST_CASE("each size of batch is recorded once and replayed for each batch") {
  for (const Strategy strategy : {Strategy::branches, Strategy::fused}) {
    Again again;
    const auto computation = made(job_of(strategy, MlpModel{{10}}, 4, {2, 3, 4}), again.device());
    CHECK(again.recorded == 3);
    again.replayed = 0;
    answers_of(*computation);
    CHECK(again.replayed == 7);
    CHECK(again.recorded == 3);
  }
}

TEST_CASE("a batch of a size that was not foreseen is computed without a recording") {
  for (const Strategy strategy : {Strategy::branches, Strategy::fused}) {
    const SingleJob job = job_of(strategy, SmallCnnModel{}, 4, {2});
    Again again;
    const auto computation = made(job, again.device());
    CHECK(again.recorded == 2);
    again.replayed = 0;
    CHECK(worst_difference(answers_of(*computation), expected(job)) <= kTolerance);
    CHECK(again.replayed == 6);
  }
}

TEST_CASE("lanes start after the main stream and that after the one before and it waits for them") {
  LentStreams& lent = LentStreams::instance();
  lent.restart();
  Streams streams(kCpu, 2);
  const c10::StreamId before = lent.current();
  std::vector<c10::StreamId> seen;
  streams.on_main([&] {
    seen.push_back(lent.current());
    streams.side_by_side([&](std::size_t lane) {
      seen.push_back(lent.current());
      lent.note(fmt::format("work {}", lane));
    });
    seen.push_back(lent.current());
  });
  streams.wait();
  CHECK(lent.current() == before);
  REQUIRE(seen.size() == 4);
  CHECK(seen[1] == seen[0] + 1);
  CHECK(seen[2] == seen[0] + 2);
  CHECK(seen[3] == seen[0]);
  CHECK(lent.take_log() == std::vector<std::string>{"a after default", "0 waits for a", "b after 0", "1 waits for b",
                                                    "c after 0", "2 waits for c", "work 0", "work 1", "d after 1",
                                                    "0 waits for d", "e after 2", "0 waits for e",
                                                    "the host waits for 0"});
  CHECK(lent.events_alive() == 0);
}

TEST_CASE("the current stream is the former one when work throws") {
  LentStreams& lent = LentStreams::instance();
  Streams streams(kCpu, 1);
  const c10::StreamId before = lent.current();
  CHECK_THROWS_AS(
      streams.on_main([&] { streams.side_by_side([](std::size_t) { throw std::runtime_error("broken"); }); }),
      std::runtime_error);
  CHECK(lent.current() == before);
}

// Otherwise CUDA would reject the recording, or repeat the work of a first call at each replay.
TEST_CASE("all has been computed and waited for on the same streams before it is recorded") {
  LentStreams& lent = LentStreams::instance();
  lent.restart();
  Again again;
  std::vector<std::string> before;
  std::vector<std::string> while_recording;
  const GraphDevice device{kCpu, [&](const std::function<void()>& work) {
                             before = lent.take_log();
                             work();
                             while_recording = lent.take_log();
                             return std::make_unique<Again::Copy>(again, work);
                           }};
  make_recorded_branches(job_of(Strategy::branches, MlpModel{{10}}, 4, {}), device);
  const auto waits = [](const std::vector<std::string>& log, const std::string& of) {
    return std::count_if(log.begin(), log.end(), [&](const std::string& line) { return line.starts_with(of); });
  };
  REQUIRE_FALSE(before.empty());
  CHECK(before.back() == "the host waits for 0");
  CHECK(while_recording.size() == 12);  // three lanes forked and joined
  CHECK(waits(while_recording, "the host") == 0);
  CHECK(waits(while_recording, "0 waits") == 3);
  for (const char* lane : {"1 waits", "2 waits", "3 waits"}) {
    CHECK(waits(while_recording, lane) == 1);
    CHECK(waits(before, lane) >= 1);
  }
}

TEST_CASE("a recording that fails reports the error of the device") {
  const GraphDevice device{kCpu, [](const std::function<void()>&) -> std::unique_ptr<Recording> {
                             throw std::runtime_error("operation not permitted when stream is capturing");
                           }};
  LentStreams::instance();
  for (const Strategy strategy : {Strategy::branches, Strategy::fused}) {
    const auto error = error_of([&] { made(job_of(strategy, MlpModel{{10}}, 4, {}), device); });
    REQUIRE(error);
    CHECK(error->message() == "LibTorch could not record the members as one graph");
    CHECK(error->detail() == "operation not permitted when stream is capturing");
  }
}

TEST_CASE("models that copy their images themselves are not recorded") {
  Again again;
  SingleJob job = job_of(Strategy::branches, MlpModel{{10}}, 4, {});
  job.members[1].model = FakeModel{.faults = {}};
  const auto error = error_of([&] { make_recorded_branches(job, again.device()); });
  REQUIRE(error);
  CHECK(error->message() == "'branches' on a GPU holds only members of the kind small-cnn or mlp");
  CHECK(contains(error->hint(), "'threads'"));
}

TEST_CASE("a plugin that is missing or no recorder or of another build is named") {
  const test::TemporaryFolder folder;
  const auto missing = error_of([&] { open_recorder(folder.path(), "libnone.so"); });
  REQUIRE(missing);
  CHECK(missing->message() == "cannot record graphs of a GPU: libnone.so is not installed");
  CHECK(contains(missing->hint(), "CUDA toolkit"));

  std::ofstream(folder / "libtext.so") << "no library";
  const auto text = error_of([&] { open_recorder(folder.path(), "libtext.so"); });
  REQUIRE(text);
  CHECK(text->message() == fmt::format("cannot open {}", (folder / "libtext.so").string()));
  CHECK_FALSE(text->detail().empty());

  const std::filesystem::path foreign(test::kForeignRecorder);
  const auto other = error_of([&] { open_recorder(foreign.parent_path(), foreign.filename().string()); });
  REQUIRE(other);
  CHECK(contains(other->message(), " belongs to another build of Tutti"));
  CHECK(other->detail() == fmt::format("plugin 0.0.0-anotherbuild, program {}", build_id()));

  const std::filesystem::path none(test::kNoRecorder);
  const auto no_recorder = error_of([&] { open_recorder(none.parent_path(), none.filename().string()); });
  REQUIRE(no_recorder);
  CHECK(contains(no_recorder->message(), " cannot record graphs"));
}

}  // namespace
}  // namespace tutti::bench
