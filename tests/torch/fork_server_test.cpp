// Workers that are forked from a process with LibTorch loaded: they answer, die and are replaced as spawned ones do,
// and the ensemble continues whatever happens to the fork server.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/atomic_file.hpp"
#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/random.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/census.hpp"
#include "tests/support/places.hpp"
#include "tests/support/run_program.hpp"

namespace {

using namespace tutti;
using namespace tutti::test;

constexpr ImageShape kShape{3, 32, 32};

std::string yaml_of(const std::string& start_method, const std::string& assignment = "cpu") {
  return fmt::format(R"(
members:
  - {{name: a, model: {{kind: small-cnn}}, seed: 11}}
  - {{name: b, model: {{kind: mlp, layers: [32, 10]}}, seed: 12}}
  - {{name: c, model: {{kind: small-cnn}}, seed: 13}}
assignment: {}
threads: 1
input: {{shape: [3, 32, 32]}}
segment_images: 10
batch_images: 6
restarts: {{back_off_s: 0.001}}
start_method: {}
)",
                     assignment, start_method);
}

std::vector<float> answer(Ensemble& ensemble) {
  std::vector<float> pixels(33 * kShape.elements());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(99, i));
  return ensemble.predict({std::span<const float>(pixels), kShape}).values;
}

std::vector<float> expected() {
  Ensemble spawned(parse_spec(yaml_of("spawn")));
  CHECK(spawned.status().fork_server_pid == 0);
  return answer(spawned);
}

void kill_worker(const Ensemble& ensemble, std::size_t rank) {
  const MemberStatus before = ensemble.status().members[rank];
  ::kill(before.pid, SIGKILL);
  REQUIRE(happens([&] {
    const MemberStatus now = ensemble.status().members[rank];
    return now.generation != before.generation && now.state == WorkerState::running;
  }));
}

TEST_CASE("forked towers of CLIP answer as spawned ones and so do their replacements") {
  const auto yaml = [](const char* start_method) {
    return fmt::format(R"(
members:
  - {{name: a, model: {{kind: clip-vit, path: "{0}/bare"}}}}
  - {{name: b, model: {{kind: clip-vit, path: "{0}/sharded"}}}}
assignment: cpu
threads: 1
combine: {{over: features}}
input: {{shape: [3, 32, 32]}}
segment_images: 10
batch_images: 6
restarts: {{back_off_s: 0.001}}
start_method: {1}
)",
                       test::in_sources("tests/torch/data/clip").string(), start_method);
  };
  Ensemble spawned(parse_spec(yaml("spawn")));
  const std::vector<float> wanted = answer(spawned);
  CHECK(wanted.size() == 33 * 32);
  Ensemble forked(parse_spec(yaml("forkserver")));
  REQUIRE(forked.status().fork_server_pid != 0);
  CHECK(answer(forked) == wanted);
  kill_worker(forked, 1);
  CHECK(answer(forked) == wanted);
}

TEST_CASE("forked workers answer as spawned ones to the last bit and so do their replacements") {
  const std::vector<float> wanted = expected();
  settle_threads();
  const Census before = Census::now();
  {
    Ensemble ensemble(parse_spec(yaml_of("forkserver")));
    REQUIRE(ensemble.status().fork_server_pid != 0);
    CHECK(answer(ensemble) == wanted);
    kill_worker(ensemble, 0);
    kill_worker(ensemble, 2);
    CHECK(answer(ensemble) == wanted);
  }
  CHECK(Census::now() == before);
}

TEST_CASE("a forked worker is a child and leads a separate group and keeps to its cores") {
  const Ensemble ensemble(parse_spec(yaml_of("forkserver", "cpu:0")));
  const Status status = ensemble.status();
  const std::vector<int> children = children_of(::getpid());
  CHECK(std::count(children.begin(), children.end(), status.fork_server_pid) == 1);
  for (const MemberStatus& member : status.members) {
    CHECK(std::count(children.begin(), children.end(), member.pid) == 1);
    CHECK(::getpgid(member.pid) == member.pid);
    cpu_set_t cores;
    REQUIRE(::sched_getaffinity(member.pid, sizeof cores, &cores) == 0);
    CHECK(CPU_COUNT(&cores) == 1);
    CHECK(CPU_ISSET(0, &cores));
    CHECK(read_text(fmt::format("/proc/{}/oom_score_adj", member.pid), "a score") == "500\n");
    const std::string command = read_text(fmt::format("/proc/{}/cmdline", member.pid), "a command");
    CHECK(command.find(fmt::format("--member={}", member.name)) != command.npos);
  }
}

TEST_CASE("forked workers share the memory that loading LibTorch takes") {
  const auto memory_of = [](const std::string& start_method) {
    const Ensemble ensemble(parse_spec(yaml_of(start_method)));
    return ensemble.status(StatusDetail::memory).pss_bytes.value();
  };
  CHECK(memory_of("forkserver") < memory_of("spawn"));
}

TEST_CASE("after the death of the fork server workers are spawned and it is said once") {
  const std::vector<float> wanted = expected();
  settle_threads();
  const Census before = Census::now();
  std::vector<std::string> lines;
  Mutex mutex;
  log::set_output([&](log::Level, std::string_view line) {
    const MutexLock lock(mutex);
    lines.emplace_back(line);
  });
  {
    Ensemble ensemble(parse_spec(yaml_of("auto")));
    REQUIRE(ensemble.status().fork_server_pid != 0);
    ::kill(ensemble.status().fork_server_pid, SIGKILL);
    kill_worker(ensemble, 1);
    CHECK(answer(ensemble) == wanted);
    kill_worker(ensemble, 0);
    CHECK(answer(ensemble) == wanted);
    CHECK(ensemble.status().fork_server_pid == 0);
  }
  log::flush();
  log::set_output({});
  CAPTURE(fmt::format("{}", fmt::join(lines, "\n")));
  // How it is noticed depends on what comes first: that it ended, or that it does not take a request.
  CHECK(std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
          return line.find("workers are started one by one because their fork server failed: ") != line.npos;
        }) == 1);
  CHECK(Census::now() == before);
}

TEST_CASE("a fork server that hangs is ended and its worker spawned") {
  const std::vector<float> wanted = expected();
  settle_threads();
  const Census before = Census::now();
  {
    Ensemble ensemble(parse_spec(yaml_of("forkserver")));
    const int server = ensemble.status().fork_server_pid;
    ::kill(server, SIGSTOP);
    kill_worker(ensemble, 2);
    CHECK(ends(server));
    CHECK(answer(ensemble) == wanted);
  }
  CHECK(Census::now() == before);
}

#ifdef TUTTI_KILL_POINTS
TEST_CASE("a fork server that is killed at any of its own steps leaves no worker unknown") {
  const std::vector<float> wanted = expected();
  settle_threads();
  const Census before = Census::now();
  for (const char* point : {"fork_server.ready", "fork_server.request_received", "fork_server.forked"})
    for (const int visit : {1, 3}) {
      CAPTURE(std::string(point));
      CAPTURE(visit);
      const TemporaryFolder folder;
      std::ofstream(folder / "token") << "x";
      const std::string fault = fmt::format("{}:{}:{}", point, visit, (folder / "token").string());
      ::setenv("TUTTI_KILL_POINT", fault.c_str(), 1);
      {
        Ensemble ensemble(parse_spec(yaml_of("forkserver")));
        ::unsetenv("TUTTI_KILL_POINT");
        CHECK(answer(ensemble) == wanted);
        kill_worker(ensemble, 1);
        CHECK(answer(ensemble) == wanted);
      }
      ::unsetenv("TUTTI_KILL_POINT");
      CHECK(Census::now() == before);
    }
}
#endif

TEST_CASE("if the backend cannot be loaded the worker says so and not the fork server") {
  // The worker's program alone, without its plugins.
  const TemporaryFolder folder;
  std::filesystem::copy_file(test::kWorkerProgram, folder / "tutti-worker");
  Options options;
  options.worker = folder / "tutti-worker";
  std::string message;
  try {
    const Ensemble ensemble(parse_spec(yaml_of("forkserver")), options);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("libtutti-torch.so is not installed") != message.npos);
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE("forked workers and their fork server die with their coordinator") {
  adopt_orphans();
  const TemporaryFolder folder;
  std::ofstream(folder / "e.yaml") << yaml_of("forkserver") << "progress_deadline_s: off\n";
  std::ofstream(folder / "more.yaml") << "include: [e.yaml]\n"
                                         "input: {dataset: random, count: 100000000, shape: [3, 32, 32]}\n";
  ProgramOptions options;
  options.folder = folder.path().string();
  Program program({test::kProgram, "run", "more.yaml", "-v"}, options);
  REQUIRE_FALSE(program.wait_for_line("3 workers ready").empty());
  const std::vector<int> family = children_of(program.pid());
  CHECK(family.size() == 4);
  program.signal(SIGKILL);
  program.wait();
  for (const int pid : family) CHECK(ends(pid));
}

}  // namespace
