// Programs that embed Tutti and use signals themselves.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <vector>

#include "common/unique_fd.hpp"
#include "common/wire/spawn_contract.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

std::atomic<int> g_interrupts = 0;
std::atomic<int> g_children = 0;
std::atomic<bool> g_on_loop = false;

void count_signal(int signal) {
  char name[16] = "";
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  if (std::string_view(name) == "tutti-loop") g_on_loop = true;
  ++(signal == SIGINT ? g_interrupts : g_children);
}

/// A signal's handler, put back at the end.
class Handler {
 public:
  Handler(int signal, void (*handler)(int)) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, &before_);
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { ::sigaction(signal_, &before_, nullptr); }
  bool is_still(void (*handler)(int)) const {
    struct sigaction now {};
    ::sigaction(signal_, nullptr, &now);
    return now.sa_handler == handler;
  }

 private:
  int signal_;
  struct sigaction before_ {};
};

TEST_CASE("a host that ignores SIGCHLD gets its answers and leaves nothing") {
  const Handler ignored(SIGCHLD, SIG_IGN);
  const NothingLeft census;
  const auto spec = fake_spec(2);
  const auto images = random_images(20);
  {
    Ensemble ensemble(published(spec), with_worker());
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  }
  CHECK(ignored.is_still(SIG_IGN));
}

TEST_CASE("a host that ignores SIGCHLD sees a death without its cause") {
  const Handler ignored(SIGCHLD, SIG_IGN);
  const NothingLeft census;
  auto spec = fake_spec(2);
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 0}};
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  CHECK(message_of([&] { ensemble.predict(view(images)); }) ==
        "m1 on cpu died on segment 0: it is gone, status unknown (this program ignores SIGCHLD, or waited for it "
        "elsewhere)");
}

TEST_CASE("a host that ignores SIGCHLD is told when no worker can start") {
  const Handler ignored(SIGCHLD, SIG_IGN);
  const NothingLeft census;
  CHECK(start_error(failing_at_once(1), with_worker("/bin/true"))
            ->message()
            .starts_with("m0 on cpu died while starting: it is gone, status unknown"));
}

TEST_CASE("the handlers of a host run in its own threads and stay") {
  const Handler interrupts(SIGINT, count_signal);
  const Handler children(SIGCHLD, count_signal);
  g_interrupts = g_children = 0;
  const auto spec = fake_spec(2);
  const auto images = random_images(20);
  {
    Ensemble ensemble(published(spec), with_worker());
    for (int i = 0; i < 5; ++i) ::kill(::getpid(), SIGINT);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    CHECK(interrupts.is_still(count_signal));
  }
  CHECK(g_interrupts >= 1);
  CHECK(g_children >= 1);
  CHECK_FALSE(g_on_loop);
  CHECK(interrupts.is_still(count_signal));
  CHECK(children.is_still(count_signal));
}

TEST_CASE("descriptors that a host leaves open do not reach the workers") {
  const UniqueFd left_open(::open("/etc/passwd", O_RDONLY));  // without close-on-exec
  Ensemble ensemble(published(fake_spec(1)), with_worker());
  const auto descriptors = descriptors_of(ensemble.status().members[0].pid);
  CHECK(descriptors.size() == kFirstForeignFd);
  for (const std::string& descriptor : descriptors) CHECK(descriptor != "/etc/passwd");
}

/// A process without standard streams, for as long as the object lives.
class NoStandardStreams {
 public:
  NoStandardStreams() {
    for (int fd = 0; fd <= 2; ++fd) {
      kept_.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
      ::close(fd);
    }
  }
  NoStandardStreams(const NoStandardStreams&) = delete;
  NoStandardStreams& operator=(const NoStandardStreams&) = delete;
  ~NoStandardStreams() {
    for (int fd = 0; fd <= 2; ++fd) ::dup2(kept_[static_cast<std::size_t>(fd)].get(), fd);
  }
  static bool all_free() {
    return std::all_of(kNumbers.begin(), kNumbers.end(), [](int fd) { return ::fcntl(fd, F_GETFD) < 0; });
  }

 private:
  static constexpr std::array<int, 3> kNumbers{0, 1, 2};
  std::vector<UniqueFd> kept_;
};

TEST_CASE("a host that has closed its standard streams finds no descriptor of a pool at their numbers") {
  const auto spec = fake_spec(2);
  const auto images = random_images(20);
  std::vector<bool> free;
  std::vector<float> values;
  {
    const NoStandardStreams closed;
    Ensemble ensemble(published(spec), with_worker());
    free.push_back(NoStandardStreams::all_free());
    values = ensemble.predict(view(images)).values;
    // A replacement brings descriptors while the pool runs.
    ::kill(ensemble.status().members[0].pid, SIGKILL);
    for (int i = 0; i < 3; ++i) ensemble.predict(view(images));
    free.push_back(NoStandardStreams::all_free());
  }
  CHECK(free == std::vector<bool>{true, true});
  CHECK(values == naive_mean(spec, images));
}

TEST_CASE("no process can map the arena writable or resize the memory of a pool") {
  Ensemble ensemble(published(fake_spec(1)), with_worker());
  const auto images = random_images(1);
  ensemble.predict(view(images));
  const std::string folder = "/proc/" + std::to_string(ensemble.status().members[0].pid) + "/fd/";
  const UniqueFd arena(::open((folder + std::to_string(kArenaFd)).c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd channel(::open((folder + std::to_string(kChannelFd)).c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(arena);
  REQUIRE(channel);
  CHECK(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, arena.get(), 0) == MAP_FAILED);
  for (const int fd : {arena.get(), channel.get()}) {
    CHECK(::ftruncate(fd, 0) == -1);
    CHECK(::ftruncate(fd, 1 << 30) == -1);
  }
}

TEST_CASE("a worker sees the arena read-only and its channel writable") {
  Ensemble ensemble(published(fake_spec(2)), with_worker());
  const auto images = random_images(1);
  ensemble.predict(view(images));  // by then both are mapped
  for (const MemberStatus& member : ensemble.status().members) {
    std::ifstream maps("/proc/" + std::to_string(member.pid) + "/maps");
    int arenas = 0;
    int channels = 0;
    for (std::string line; std::getline(maps, line);) {
      if (line.find("memfd:tutti-arena") != std::string::npos) {
        ++arenas;
        CHECK(line.find(" r--s ") != std::string::npos);
      }
      if (line.find("memfd:tutti-channel-" + member.name) != std::string::npos) {
        ++channels;
        CHECK(line.find(" rw-s ") != std::string::npos);
      }
      CHECK((line.find("memfd:tutti-channel") == std::string::npos ||
             line.find("channel-" + member.name) != std::string::npos));
    }
    CHECK(arenas == 1);
    CHECK(channels == 1);
  }
}

TEST_CASE("a host without an environment can start a pool") {
  const pid_t host = ::fork();
  if (host == 0) {
    ::clearenv();
    const auto spec = fake_spec(2);
    const auto images = random_images(20);
    bool right = false;
    if (const auto error = error_of([&] {
          right = Ensemble(published(spec), with_worker()).predict(view(images)).values == naive_mean(spec, images);
        }))
      std::fprintf(stderr, "%s\n", error->what());
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(host, &status, 0) == host);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace tutti::test
