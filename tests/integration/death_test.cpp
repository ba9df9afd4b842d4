// Workers that die or break the protocol: one clear message with member, device, segment and cause of death, and
// nothing is left behind.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <future>
#include <thread>

#include "common/build_id.hpp"
#include "common/log.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

/// How the message ends after the place, for each cause of death.
struct Death {
  FaultKind kind;
  const char* words;  ///< of the message
  bool is_death;      ///< died, or failed with a message
};
const Death kDeaths[] = {{FaultKind::exception, "scripted fault: exception", false},
                         {FaultKind::exit, "it exited with code 7", true},
                         {FaultKind::abort, "it was killed by SIGABRT", true},
                         {FaultKind::segfault, "it was killed by SIGSEGV", true},
                         {FaultKind::kill, "it was killed by SIGKILL", true}};

std::string sentence(const Death& death, const std::string& where) {
  return std::string("m1 on cpu ") + (death.is_death ? "died" : "failed") + where + ": " + death.words;
}

config::EnsembleSpec with_fault(FaultKind kind, FaultPhase phase, std::uint64_t at_batch) {
  auto spec = fake_spec(3);
  fake_model(spec, 1).faults = {{kind, phase, at_batch}};
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  return spec;
}

TEST_CASE("a member that fails or dies while it starts is named with the cause") {
  for (const FaultPhase phase : {FaultPhase::load, FaultPhase::warm_up})
    for (const Death& death : kDeaths) {
      CAPTURE(to_name(phase));
      CAPTURE(to_name(death.kind));
      const NothingLeft census;
      const auto error = start_error(with_fault(death.kind, phase, 0));
      REQUIRE(error);
      CHECK(error->kind() == ErrorKind::failed);
      CHECK(error->message() == sentence(death, " while starting"));
    }
}

TEST_CASE("a member that dies while it predicts is named with segment and cause") {
  const auto images = random_images(80);
  for (const Death& death : kDeaths) {
    CAPTURE(to_name(death.kind));
    const NothingLeft census;
    Ensemble ensemble(published(with_fault(death.kind, FaultPhase::predict, 10)), with_worker());
    const auto error = error_of([&] { ensemble.predict(view(images)); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == sentence(death, " on segment 3"));  // three batches a segment
    CHECK(message_of([&] { ensemble.predict(view(images)); }) == error->message());
    CHECK(message_of([&] { ensemble.submit(view(images)).get(); }) == error->message());
    const Status status = ensemble.status();
    CHECK(status.state == PoolState::failed);
  }
}

TEST_CASE("a member that dies while it trains is named with segment and cause") {
  for (const Death& death : kDeaths) {
    CAPTURE(to_name(death.kind));
    const NothingLeft census;
    const TemporaryFolder folder;
    auto spec = with_fault(death.kind, FaultPhase::train, 1);
    for (auto& member : spec.members) member.train.batch_images = 8;
    Ensemble ensemble(published(spec), with_worker());
    ListSource source(random_images(40), std::vector<std::int64_t>(40, 1));
    const auto error = error_of([&] { ensemble.train(source, folder.path()); });
    REQUIRE(error);
    CHECK(error->message() == sentence(death, " on segment 1"));
    CHECK(folder.names().empty());
  }
}

TEST_CASE("all threads that wait get the error of the death") {
  auto spec = with_fault(FaultKind::kill, FaultPhase::predict, 30);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(400);
  std::vector<std::string> messages(3);
  std::vector<std::thread> threads;
  for (auto& message : messages)
    threads.emplace_back([&] { message = message_of([&] { ensemble.predict(view(images)); }); });
  auto future = ensemble.submit(view(images));
  const std::string submitted = message_of([&] { future.get(); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& message : messages) CHECK(message == submitted);
  CHECK(submitted.starts_with("m1 on cpu died on segment "));
  CHECK(submitted.ends_with(": it was killed by SIGKILL"));
}

TEST_CASE("an output that is not finite names member and segment and image") {
  const NothingLeft census;
  Ensemble ensemble(published(with_fault(FaultKind::nan, FaultPhase::predict, 4)), with_worker());
  const auto images = random_images(80);
  const auto error = error_of([&] { ensemble.predict(view(images)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "m1 on cpu predicted NaN or infinity on segment 1");
  CHECK(error->detail() == "first in image 3 of the segment");
  CHECK(contains(error->hint(), "on_nan: allow"));
}

TEST_CASE("an output that is not finite is accepted if that is allowed") {
  auto spec = with_fault(FaultKind::nan, FaultPhase::predict, 4);
  spec.failure.on_nan = OnNan::allow;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  const auto values = ensemble.predict(view(images)).values;
  std::size_t nan = 0;
  for (const float value : values) nan += value != value ? 1 : 0;
  CHECK(nan == 1);
  CHECK(values[11 * 4] != values[11 * 4]);
}

TEST_CASE("a member that is not ready in time is named") {
  const NothingLeft census;
  auto spec = with_fault(FaultKind::hang, FaultPhase::load, 0);
  spec.start_deadline = 0.5;
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message().starts_with("not ready within 0.5 s: "));
  CHECK(contains(error->message(), "m1 on cpu"));
  CHECK(contains(error->hint(), "start_deadline_s"));
}

TEST_CASE("a member that hangs is ended with the ensemble") {
  const NothingLeft census;
  auto spec = with_fault(FaultKind::hang, FaultPhase::predict, 2);
  std::future<Predictions> future;
  const auto images = random_images(80);
  {
    Ensemble ensemble(published(spec), with_worker());
    future = ensemble.submit(view(images));
    REQUIRE(happens([&] { return ensemble.status().members[0].segments_answered >= 1; }));
  }
  CHECK(message_of([&] { future.get(); }) == "the ensemble was closed before this call finished");
}

TEST_CASE("members that cannot be combined are refused with both widths") {
  const NothingLeft census;
  auto spec = fake_spec(3);
  fake_model(spec, 2).classes = 5;
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the members cannot be combined: m0 outputs 4 values per image, but m2 outputs 5");
  CHECK(contains(error->hint(), "rule: none"));
}

TEST_CASE("a worker program that is missing or not a program is refused") {
  const NothingLeft census;
  CHECK(start_error(fake_spec(1), with_worker("/nonexistent"))->message() == "no worker program at '/nonexistent'");
  CHECK(start_error(fake_spec(1), with_worker("/etc/passwd"))->message() == "no worker program at '/etc/passwd'");
}

TEST_CASE("a program that is not a worker and exits at once is reported with its exit code") {
  const NothingLeft census;
  CHECK(start_error(failing_at_once(2), with_worker("/bin/true"))
            ->message()
            .ends_with("died while starting: it exited with code 0"));
  CHECK(start_error(failing_at_once(1), with_worker("/bin/false"))->message() ==
        "m0 on cpu died while starting: it exited with code 1");
}

TEST_CASE("a file that the kernel cannot execute is named with the reason") {
  const NothingLeft census;
  const TemporaryFolder folder;
  const auto file = folder / "worker";
  std::FILE* const out = std::fopen(file.c_str(), "w");
  std::fputs("\x7f\x45LF nonsense", out);
  std::fclose(out);
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  const auto error = start_error(failing_at_once(2), with_worker(file.string()));
  REQUIRE(error);
  CHECK(error->message() == "could not start " + file.string());
  CHECK(error->detail() == "Exec format error");
}

TEST_CASE("a description that does not fit into memory starts nothing") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  spec.slots = 1'000'000;
  spec.segment_images = 1'000'000'000;
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->message() == "the ensemble does not fit into memory");
}

/// A worker that breaks the protocol in one way.
std::optional<Error> rogue(const std::string& how, double start_deadline = 60) {
  ::setenv("TUTTI_ROGUE", how.c_str(), 1);
  auto spec = fake_spec(1);
  spec.start_deadline = start_deadline;
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  const auto images = random_images(40);
  return error_of([&] {
    Ensemble ensemble(published(spec), with_worker(test::kRogueWorker));
    ensemble.predict(view(images));
  });
}

TEST_CASE("a worker from another build is refused with both builds") {
  const NothingLeft census;
  const auto error = rogue("another-build");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(
      error->message() ==
      std::string("m0 on cpu failed while starting: tutti-worker is from another build: 0.0.0-anotherbuild, this is ") +
          build_id());
  CHECK(contains(error->hint(), "TUTTI_WORKER"));
}

TEST_CASE("a worker that breaks the protocol while starting is killed and named with what it did") {
  const std::pair<const char*, const char*> ways[] = {
      {"garbage", "control message is not valid JSON"},
      {"no-hello", "it did not say hello"},
      {"order-of-coordinator", "it sent a control message that only the coordinator sends"},
      {"no-width", "it says that it outputs 0 values per image"},
      {"huge-width", "it says that it outputs 16777217 values per image"},
      {"other-parts", "it says that it joins 5 values per image, and that it outputs 4"},
      {"ready-twice", "it said twice that it is ready"},
      {"done-unasked", "it answered a command that it was not given"}};
  for (const auto& [key, words] : ways) {
    const auto how = key;  // clang 14 cannot capture a binding
    CAPTURE(how);
    const NothingLeft census;
    const auto error = rogue(how);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message().starts_with(std::string("m0 on cpu broke the protocol: ") + words));
    CHECK(error->detail() == "the worker was killed");
  }
}

TEST_CASE("outputs that cannot fit into memory are refused before anything is allocated") {
  const NothingLeft census;
  ::setenv("TUTTI_ROGUE", "largest-width", 1);
  auto spec = fake_spec(1);
  spec.segment_images = 60'000;
  const auto error = start_error(spec, with_worker(test::kRogueWorker));
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message().starts_with("the outputs of 'm0' do not fit into memory: 8.1 TB needed, "));
  CHECK(contains(error->hint(), "segment_images"));
}

TEST_CASE("a worker that breaks the protocol while working is killed and named with what it did") {
  const std::pair<const char*, const char*> ways[] = {
      {"wrong-slot", "it answered a task that it was not given"},
      {"wrong-seat", "it answered for a member that it does not host"},
      {"wrong-images", "it answered a task that it was not given"},
      {"later-generation", "it answered a task that it was not given"},
      {"twice", "it answered a task that it was not given"},
      {"nonsense-completions", "it wrote nonsense into its completion ring"},
      {"nonsense-tasks", "it wrote nonsense into its task ring"},
      {"closes-ring", "it closed its completion ring"}};
  for (const auto& [key, words] : ways) {
    const auto how = key;  // clang 14 cannot capture a binding
    CAPTURE(how);
    const NothingLeft census;
    const auto error = rogue(how);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == std::string("m0 on cpu broke the protocol: ") + words);
  }
}

// A line of the worker keeps the loop busy until the worker is gone, so that it then finds everything at once.
TEST_CASE("the first message of a worker that ends at once is not lost") {
  log::set_output([](log::Level, std::string_view line) {
    const std::size_t pid = line.find("pid ");
    if (pid != line.npos) ends(std::stoi(std::string(line.substr(pid + 4))));
  });
  log::set_level(log::Level::info);
  const auto error = rogue("words-and-exit");
  log::set_level(log::Level::warning);
  log::set_output({});
  REQUIRE(error);
  CHECK(error->message() == "m0 on cpu failed while starting: the first words");
}

TEST_CASE("answers of a worker before its death count") {
  const auto error = rogue("answers-and-exits");
  REQUIRE(error);
  CHECK(error->message() == "m0 on cpu died on segment 1: it exited with code 5");
}

TEST_CASE("a worker that hangs up and stays is ended long before the deadline") {
  // The second leaves a message unread, so its end of the socket reports an error before the end.
  for (const std::string how : {"closes-socket", "closes-socket-unread"}) {
    CAPTURE(how);
    const NothingLeft census;
    const auto error = rogue(how, 600);
    REQUIRE(error);
    CHECK(error->message() == "m0 on cpu broke the protocol: it closed its control socket");
  }
}

TEST_CASE("a worker that says why it fails and stays is ended and its message arrives") {
  const NothingLeft census;
  const auto error = rogue("fails-and-stays", 600);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m0 on cpu failed while starting: its own words");
  CHECK(error->hint() == "its own hint");
}

/// The process that a rogue worker leaves behind; the worker logs its number.
int grandchild_of(const std::string& how) {
  int pid = 0;
  log::set_output([&](log::Level, std::string_view line) {
    constexpr std::string_view kBefore = "[m0] grandchild ";
    if (line.starts_with(kBefore)) pid = std::stoi(std::string(line.substr(kBefore.size())));
  });
  log::set_level(log::Level::info);
  const auto error = rogue(how, 600);
  log::set_level(log::Level::warning);
  log::set_output({});
  REQUIRE(error);
  CHECK(error->message() == "m0 on cpu died while starting: it exited with code 9");
  return pid;
}

TEST_CASE("a process that a worker leaves in its group is ended with it") {
  const NothingLeft census;
  const int pid = grandchild_of("leaves-grandchild");
  REQUIRE(pid > 0);
  CHECK(ends(pid));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);  // the test has adopted it
}

TEST_CASE("a process that left the worker's group and writes without end does not hold the pool up") {
  const NothingLeft census;
  const int pid = grandchild_of("leaves-writer");
  REQUIRE(pid > 0);
  CHECK_FALSE(ends(pid, std::chrono::milliseconds(0)));  // the pool must not end it
  ::kill(pid, SIGKILL);
  CHECK(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("what a worker prints is logged with the member's name and nothing of it is lost") {
  const NothingLeft census;
  std::vector<std::string> lines;
  log::set_output([&](log::Level level, std::string_view line) {
    lines.push_back((level == log::Level::info ? "info " : "warning ") + std::string(line));
  });
  log::set_level(log::Level::info);
  const auto error = rogue("writes-lines");
  log::set_level(log::Level::warning);
  log::set_output({});
  REQUIRE(error);
  CHECK(error->message() == "m0 on cpu died while starting: it exited with code 9");
  std::sort(lines.begin(), lines.end());
  CHECK(lines == std::vector<std::string>{"info [m0] hello out", "info [m0] rest", "warning [m0] hello err"});
}

}  // namespace
}  // namespace tutti::test
