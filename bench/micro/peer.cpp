#include "bench/micro/peer.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti::bench::micro {
namespace {

void pin_this_thread(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

[[noreturn]] void be_child(std::optional<int> core, const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int code = 0;
  try {
    if (core) pin_this_thread(*core);
    body();
  } catch (const std::exception& error) {
    fmt::print(stderr, "tutti-bench-micro: a peer: {}\n", error.what());
    code = 1;
  }
  ::_exit(code);
}

}  // namespace

std::vector<int> allowed_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  ::sched_getaffinity(0, sizeof set, &set);
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  return cores;
}

Pinned::Pinned(int core) {
  ::sched_getaffinity(0, sizeof before_, &before_);
  pin_this_thread(core);
}

Pinned::~Pinned() { ::sched_setaffinity(0, sizeof before_, &before_); }

Peer::Peer(PeerKind kind, std::optional<int> core, const std::function<void()>& body) {
  if (kind == PeerKind::thread) {
    thread_ = std::thread([core, body] {
      if (core) pin_this_thread(*core);
      body();
    });
    return;
  }
  pid_ = ::fork();
  if (pid_ < 0) throw Error(ErrorKind::failed, "could not start a process", std::strerror(errno));
  if (pid_ == 0) be_child(core, body);
}

Peer::~Peer() {
  if (thread_.joinable()) thread_.join();
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

}  // namespace tutti::bench::micro
