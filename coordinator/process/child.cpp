#include "coordinator/process/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include <tutti/error.hpp>

#include "common/system_limits.hpp"

extern char** environ;  // NOLINT: POSIX

namespace tutti {
namespace {

#ifndef P_PIDFD
constexpr auto P_PIDFD = static_cast<idtype_t>(3);
#endif

[[noreturn]] void fail(const std::string& what, int error) {
  throw Error(ErrorKind::failed, what, std::strerror(error), refusal_hint(error));
}

/// File actions and attributes, freed in every case.
struct SpawnAttributes {
  SpawnAttributes() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // The host may ignore or block signals; the child would inherit that through exec.
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    // A Ctrl-C in the terminal must reach the coordinator only, which then ends its workers in order. The
    // group is set here and not by the child, so that there is no moment at which the child would get the signal.
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnAttributes() {
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

/// Puts descriptors[i] at number i. The sources are first copied to numbers above all targets, so that a dup2 does not
/// overwrite a source that is still needed.
std::vector<UniqueFd> place_descriptors(const std::vector<int>& descriptors, posix_spawn_file_actions_t& actions) {
  std::vector<UniqueFd> copies;
  const int above = static_cast<int>(descriptors.size());
  for (int target = 0; target < above; ++target) {
    const int source = descriptors[static_cast<std::size_t>(target)];
    if (source < 0) {
      ::posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0);
      continue;
    }
    UniqueFd copy(::fcntl(source, F_DUPFD_CLOEXEC, above));
    if (!copy) fail("could not prepare a worker's descriptors", errno);
    ::posix_spawn_file_actions_adddup2(&actions, copy.get(), target);
    copies.push_back(std::move(copy));
  }
  return copies;
}

std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::none_of(changes.begin(), changes.end(), [&](const auto& change) { return change.first == name; }))
      result.emplace_back(text);
  }
  for (const auto& [name, value] : changes) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Child Child::spawn(const SpawnRequest& request) {
  SpawnAttributes spawn;
  const auto copies = place_descriptors(request.descriptors, spawn.actions);
  std::vector<std::string> arguments{request.program.string()};
  arguments.insert(arguments.end(), request.arguments.begin(), request.arguments.end());
  std::vector<std::string> environment = merged_environment(request.environment);
  pid_t pid = 0;
  const int result = ::posix_spawn(&pid, request.program.c_str(), &spawn.actions, &spawn.attributes,
                                   pointers(arguments).data(), pointers(environment).data());
  if (result != 0) fail(fmt::format("could not start {}", request.program.string()), result);
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int error = errno;
  if (!pidfd && error != ESRCH) {
    Child(pid, {}).end();
    fail("could not watch a worker through a pidfd", error);
  }
  return Child(pid, std::move(pidfd));
}

Child Child::adopt(int pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int error = errno;
  if (!pidfd && error != ESRCH) fail("could not watch a worker through a pidfd", error);
  siginfo_t info{};
  if (pidfd && ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    throw Error(ErrorKind::failed, fmt::format("process {} is not a child of this one", pid));
  return Child(pid, std::move(pidfd));
}

// It has not been reaped, so no other process has its number.
bool Child::end(std::chrono::milliseconds patience) noexcept {
  ::kill(pid_, SIGKILL);
  const auto last = std::chrono::steady_clock::now() + patience;
  int result = 0;
  while ((result = ::waitpid(pid_, nullptr, WNOHANG)) == 0 || (result < 0 && errno == EINTR)) {
    if (std::chrono::steady_clock::now() > last) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::optional<ExitStatus> reap(int pidfd) {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return GoneUnseen{};  // ECHILD: reaped elsewhere
  if (info.si_pid == 0) return std::nullopt;
  if (info.si_code == CLD_EXITED) return Exited{info.si_status};
  return Signaled{info.si_status};
}

void kill_group(int pid, int pidfd) noexcept {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
    ::kill(-pid, SIGKILL);
}

bool is_stopped(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  // The state follows the name in parentheses.
  const std::size_t end = text.rfind(')');
  return end != text.npos && end + 2 < text.size() && (text[end + 2] == 'T' || text[end + 2] == 't');
}

void send_signal(int pidfd, int signal) noexcept { ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0); }

}  // namespace tutti
