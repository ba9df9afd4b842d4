// A fork server that is stopped, killed, or does not answer delays only the members whose workers it should have made,
// and those only until their workers are spawned. tests/torch/fork_server_test.cpp is about forked workers themselves.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>
#include <utility>

#include "common/atomic_file.hpp"
#include "coordinator/api/prediction.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/pool.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/coordinator/pool/segments.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

constexpr std::chrono::hours kNever{1};
constexpr std::size_t kImages = 80;  // ten segments

/// Three fake members, of which the first is spawned and the others are forked.
config::EnsembleSpec forked_spec() {
  config::EnsembleSpec spec = fake_spec(3);
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  return spec;
}

Plan forked_plan(const config::EnsembleSpec& spec, std::chrono::duration<double> fork_deadline) {
  Plan plan = make_plan(spec, look_at_machine(test::kWorkerProgram, GpuSearch::no), input_form(spec, spec.input), {});
  plan.workers[1].forked = plan.workers[2].forked = true;
  plan.fork_deadline = fork_deadline;
  return plan;
}

std::vector<float> answer_of(Pool& pool, const config::EnsembleSpec& spec, const std::vector<float>& images) {
  ListSource source(images, {});
  ListSink sink;
  const Accumulator accumulator(spec.combine, pool.plan().weights);
  Prediction prediction(source, sink, lineup_of(accumulator, pool.outputs(), ClassAxis::of_row(4)));
  pool.exchange().drive(std::make_shared<Stream>(prediction, TaskKind::predict, ByRank<bool>(3, true)));
  return sink.values;
}

MemberStatus member_of(const Pool& pool, std::size_t rank) { return pool.status(StatusDetail::counters).members[rank]; }

int server_of(const Pool& pool) { return pool.status(StatusDetail::counters).fork_server_pid; }

/// Stops the fork server, kills a forked worker, and returns when its replacement has been requested.
int stop_server_and_kill_worker(const Pool& pool) {
  const int server = server_of(pool);
  REQUIRE(server != 0);
  ::kill(server, SIGSTOP);
  ::kill(member_of(pool, 2).pid, SIGKILL);
  REQUIRE(happens([&] {
    const MemberStatus now = member_of(pool, 2);
    return now.generation == 1 && now.state == WorkerState::starting;
  }));
  return server;
}

/// The fork server among our children, once it has stopped itself.
int stopped_server() {
  int server = 0;
  REQUIRE(happens([&] {
    for (const int child : children_of(::getpid()))
      if (is_stopped(child)) server = child;
    return server != 0;
  }));
  return server;
}

TEST_CASE("members of any kind are forked and replaced by the fork server") {
  const auto spec = forked_spec();
  const std::vector<float> images = random_images(kImages);
  const NothingLeft nothing_left;
  Pool pool(forked_plan(spec, kNever), test::kWorkerProgram, "");
  CHECK(answer_of(pool, spec, images) == naive_mean(spec, images));
  for (const int killed : {1, 2}) ::kill(member_of(pool, static_cast<std::size_t>(killed)).pid, SIGKILL);
  CHECK(happens([&] { return member_of(pool, 1).generation == 1 && member_of(pool, 2).generation == 1; }));
  CHECK(answer_of(pool, spec, images) == naive_mean(spec, images));
  CHECK(server_of(pool) != 0);
}

// Such a timer would wake a pool that is idle by then.
TEST_CASE("the deadline of a fork server that has answered is taken back") {
  constexpr double kDeadline = 100;  // longer than this test waits
  config::EnsembleSpec spec = forked_spec();
  spec.start_deadline = 250;
  const NothingLeft nothing_left;
  Pool pool(forked_plan(spec, std::chrono::duration<double>(kDeadline)), test::kWorkerProgram, "");
  CHECK(happens([] { return next_timer().value_or(250) > kDeadline; }));
}

TEST_CASE("while the fork server is stopped at a restart the other members continue") {
  const auto spec = forked_spec();
  const std::vector<float> images = random_images(kImages);
  const NothingLeft nothing_left;
  const Lines lines;
  Pool pool(forked_plan(spec, kNever), test::kWorkerProgram, "");
  const int server = stop_server_and_kill_worker(pool);
  auto answer = std::async(std::launch::async, [&] { return answer_of(pool, spec, images); });
  // As many segments as there are slots; the next one waits for the member that is being started.
  CHECK(
      happens([&] { return member_of(pool, 0).segments_answered == 2 && member_of(pool, 1).segments_answered == 2; }));
  CHECK(member_of(pool, 2).segments_answered == 0);
  CHECK(member_of(pool, 2).pid == 0);
  CHECK_FALSE(member_of(pool, 2).alive);
  CHECK(server_of(pool) == server);
  ::kill(server, SIGKILL);
  CHECK(answer.get() == naive_mean(spec, images));
  CHECK(happens([&] { return server_of(pool) == 0; }));
  CHECK(pool.status(StatusDetail::counters).faults.stalls == 0);
  CHECK(
      lines.with("workers are started one by one because their fork server failed: it was killed by SIGKILL").size() ==
      1);
}

TEST_CASE("while the fork server is stopped at the start the other members start") {
  const auto spec = forked_spec();
  const std::vector<float> images = random_images(kImages);
  const NothingLeft nothing_left;
  auto starting = std::async(std::launch::async, [&] {
    return std::make_unique<Pool>(forked_plan(spec, kNever), test::kRogueForkServer, "");
  });
  const int server = stopped_server();
  // The channel of a member is made when it is ready.
  CHECK(happens([] {
    const auto mapped = Census::now().mapped_memory;
    return std::any_of(mapped.begin(), mapped.end(),
                       [](const std::string& line) { return contains(line, "channel-m0"); });
  }));
  ::kill(server, SIGKILL);
  const std::unique_ptr<Pool> pool = starting.get();
  CHECK(answer_of(*pool, spec, images) == naive_mean(spec, images));
}

TEST_CASE("a fork server that does not answer in time is ended with the worker that it has not reported") {
  const auto spec = forked_spec();
  const std::vector<float> images = random_images(kImages);
  const NothingLeft nothing_left;
  const Lines lines;
  Pool pool(forked_plan(spec, std::chrono::milliseconds(50)), test::kRogueForkServer, "");
  CHECK(answer_of(pool, spec, images) == naive_mean(spec, images));
  CHECK(happens([&] { return server_of(pool) == 0; }));
  CHECK(children_of(::getpid()).size() == 3);
  CHECK(lines.with("workers are started one by one because their fork server failed: it does not answer").size() == 1);
}

/// What the rogue fork server answers to its first request.
class ForkAnswer {
 public:
  explicit ForkAnswer(const char* text) { ::setenv("TUTTI_FORK_ANSWER", text, 1); }
  ForkAnswer(const ForkAnswer&) = delete;
  ForkAnswer& operator=(const ForkAnswer&) = delete;
  ~ForkAnswer() { ::unsetenv("TUTTI_FORK_ANSWER"); }
};

TEST_CASE("a fork server that makes no worker is ended and the log says what it answered") {
  const auto spec = forked_spec();
  const std::vector<float> images = random_images(kImages);
  const std::pair<const char*, const char*> answers[] = {
      {"-11", "it could not make a worker (Resource temporarily unavailable)"},  // EAGAIN
      {"0", "it gave an answer that makes no sense"},
      {"11 workers", "it gave an answer that makes no sense"},
      {"1", "process 1 is not a child of this one"}};
  for (const auto& [text, words] : answers) {
    const auto answered = text;  // clang 14 cannot capture a binding
    CAPTURE(answered);
    const ForkAnswer answer(answered);
    const NothingLeft nothing_left;
    const Lines lines;
    Pool pool(forked_plan(spec, kNever), test::kRogueForkServer, "");
    CHECK(answer_of(pool, spec, images) == naive_mean(spec, images));
    CHECK(happens([&] { return server_of(pool) == 0; }));
    CHECK(children_of(::getpid()).size() == 3);
    const std::string line = std::string("workers are started one by one because their fork server failed: ") + words;
    CHECK(lines.with(line).size() == 1);
  }
}

TEST_CASE("a pool ends while a worker is being started") {
  const auto spec = forked_spec();
  const NothingLeft nothing_left;
  Pool pool(forked_plan(spec, kNever), test::kWorkerProgram, "");
  stop_server_and_kill_worker(pool);
}

TEST_CASE("a worker that comes after its pool has failed is not left behind") {
  const auto spec = forked_spec();
  const NothingLeft nothing_left;
  Pool pool(forked_plan(spec, kNever), test::kWorkerProgram, "");
  const int server = stop_server_and_kill_worker(pool);
  pool.fail(Error(ErrorKind::interrupted, "interrupted"));
  ::kill(server, SIGCONT);
  CHECK(message_of([&] { answer_of(pool, spec, random_images(kImages)); }) == "interrupted");
}

TEST_CASE("if neither the fork server nor a spawn makes a worker the next attempt follows") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(test::kWorkerProgram, folder / "tutti-worker");
  const auto spec = forked_spec();
  const std::vector<float> images = random_images(kImages);
  const NothingLeft nothing_left;
  const Lines lines;
  Pool pool(forked_plan(spec, kNever), folder / "tutti-worker", "");
  const int server = stop_server_and_kill_worker(pool);
  std::filesystem::rename(folder / "tutti-worker", folder / "away");
  ::kill(server, SIGKILL);
  CHECK(happens([&] { return !lines.with("could not start").empty(); }));
  std::filesystem::rename(folder / "away", folder / "tutti-worker");
  CHECK(answer_of(pool, spec, images) == naive_mean(spec, images));
}

}  // namespace
}  // namespace tutti::test
