// A training of some segments in a worker program that may die at any moment and is then replaced, as a coordinator
// would do it: from the last checkpoint that it had accepted, with every later segment again in order. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "tests/worker/hosted.hpp"

namespace tutti::test {

struct Training {
  std::string program;
  MemberRequest member;
  ArenaLayout arena;
  std::uint32_t width = 0;
  std::vector<std::vector<float>> segments;
  std::uint32_t checkpoint_every = 1;
  Hosted::Environment environment = {};
};

struct Trained {
  std::string weights;         ///< the bytes that were saved
  std::vector<float> answers;  ///< the predictions for the first segment, after the training
  std::uint32_t deaths = 0;
};

/// The coordinator's side; `kill_in` is the segment during which the first worker is killed from outside.
class Replacing {
 public:
  explicit Replacing(const Training& training) : training_(training) {}

  Trained run(const std::filesystem::path& weights, std::optional<std::size_t> kill_in = {}) {
    for (Trained result;; ++result.deaths) {
      REQUIRE(result.deaths < 3);
      try {
        Hosted worker(training_.program, training_.arena, training_.width, files_, {}, training_.environment);
        live(worker, weights, result.deaths == 0 ? kill_in : std::nullopt, result);
        return result;
      } catch (const Died& died) {
        CHECK(died.words.empty());
      }
    }
  }

 private:
  void live(Hosted& worker, const std::filesystem::path& weights, std::optional<std::size_t> kill_in, Trained& result) {
    worker.receive<control::Hello>();
    worker.load(training_.member);
    worker.start();
    const control::Message prepare =
        committed_ ? control::Message(control::Restore{*committed_}) : control::Message(control::BeginTraining{});
    tell(worker, prepare);
    for (std::size_t segment = done_; segment < training_.segments.size(); ++segment) {
      hand_out(worker, segment, TaskKind::train);
      if (kill_in == segment) ::kill(worker.pid(), SIGKILL);
      accept(worker.answer());
    }
    tell(worker, control::Save{weights.string()});
    hand_out(worker, 0, TaskKind::predict);
    worker.answer();
    result.answers = worker.output(0, static_cast<std::uint32_t>(images_of(0)));
    result.weights = read_text(weights, "weights");
    worker.send(control::Stop{});
    if (const ExitStatus status = worker.end(); !std::holds_alternative<Exited>(status)) throw Died{};
  }

  std::size_t images_of(std::size_t segment) const {
    return training_.segments[segment].size() / training_.arena.arrays.front().elements();
  }
  static void tell(Hosted& worker, const control::Message& command) {
    const control::Done done = worker.ask<control::Done>(command);  // may throw, and CHECK would swallow that
    CHECK(done.problem.empty());
  }
  void hand_out(Hosted& worker, std::size_t segment, TaskKind kind) {
    const std::uint64_t number = kind == TaskKind::train ? segment : training_.segments.size();
    const bool checkpoint = kind == TaskKind::train && (segment + 1) % training_.checkpoint_every == 0;
    worker.fill(0, training_.segments[segment], 100 * segment);
    worker.hand_out({sequence_,
                     SegmentId(number),
                     0,
                     0,
                     static_cast<std::uint32_t>(images_of(segment)),
                     kind,
                     {},
                     checkpoint ? 1 + next_file_ : 0,
                     training_.member.batch_images});
    ++sequence_;
  }
  void accept(const CompletionRecord& completion) {
    const std::size_t done = completion.segment.value() + 1;
    if (done % training_.checkpoint_every != 0) return;
    committed_ = next_file_;
    next_file_ = 1 - next_file_;
    done_ = done;
  }

  const Training& training_;
  Checkpoints files_;
  std::optional<std::uint32_t> committed_;
  std::uint32_t next_file_ = 0;
  std::size_t done_ = 0;
  Sequence sequence_;
};

}  // namespace tutti::test
