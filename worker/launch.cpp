#include "worker/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <tutti/error.hpp>

#include "common/program_folder.hpp"

namespace tutti::worker {
namespace {

void tie_to_parent(int parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died between the spawn and the line above: then that signal is never sent.
  if (::getppid() != parent) ::_exit(kOrphaned);
}

void take_cores(const std::vector<int>& cores) {
  if (cores.empty()) return;
  cpu_set_t* const set = CPU_ALLOC(cores.back() + 1);
  const std::size_t bytes = CPU_ALLOC_SIZE(cores.back() + 1);
  CPU_ZERO_S(bytes, set);
  for (const int core : cores) CPU_SET_S(core, bytes, set);
  const int result = ::sched_setaffinity(0, bytes, set) == 0 ? 0 : errno;
  CPU_FREE(set);
  if (result != 0)
    throw Error(ErrorKind::failed, fmt::format("could not run on cores {}", fmt::join(cores, ",")),
                std::strerror(result), "see 'tutti plan': the cores may no longer be available");
}

void close_foreign_descriptors() {
  // This process would keep alive every descriptor that a host program left inheritable.
  if (::syscall(SYS_close_range, kFirstForeignFd, ~0U, 0U) == 0) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = kFirstForeignFd; fd < static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 65536)); ++fd) ::close(fd);
}

void be_chosen_when_memory_runs_out() {
  // Best effort: a process may always raise its score, but /proc may be read-only.
  std::ofstream("/proc/self/oom_score_adj") << 500;
}

// If core_pattern is a pipe, the kernel ignores the limit, except that 1 means a crash of the program at the pipe's
// other end, for which it dumps nothing (fs/coredump.c). A core in a file needs at least a page.
void leave_no_core_file() {
  const rlimit one_byte{1, 1};
  if (::setrlimit(RLIMIT_CORE, &one_byte) == 0) return;
  // The limit was 0, and only root may raise it: core files are impossible, and this also excludes the pipe.
  ::prctl(PR_SET_DUMPABLE, 0);
}

bool debugger_is_attached() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("TracerPid:")) return std::stoi(line.substr(10)) != 0;
  return false;
}

}  // namespace

void take_place(const LaunchOptions& options, ForeignFds foreign) {
  tie_to_parent(options.parent);
  ::signal(SIGXFSZ, SIG_IGN);  // writing weights beyond the file size limit must fail with an error, not kill
  if (foreign == ForeignFds::close) close_foreign_descriptors();
  // The inherited descriptors are for this process, not for its children.
  for (int fd = kControlFd; fd < kFirstForeignFd; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  take_cores(options.cores);
  be_chosen_when_memory_runs_out();
  if (!options.debug && !options.core_files) leave_no_core_file();
}

void become_python(const LaunchOptions& options) {
  const std::filesystem::path script = find_plugin(program_folder(), kPythonScript);
  if (script.empty())
    throw Error(ErrorKind::failed, fmt::format("cannot run a python member: {} is not installed", kPythonScript), {},
                "install Tutti again: the folder belongs next to its worker");
  LaunchOptions rest = options;
  rest.python.clear();
  std::vector<std::string> words{options.python, script.lexically_normal().string()};
  for (std::string& word : to_arguments(rest)) words.push_back(std::move(word));
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  // Sets of texts have the same order in every process, so that a replacement makes the same model.
  ::setenv("PYTHONHASHSEED", "0", /*overwrite=*/0);
  for (int fd = kControlFd; fd < kFirstForeignFd; ++fd) ::fcntl(fd, F_SETFD, 0);
  ::execv(options.python.c_str(), pointers.data());
  throw Error(ErrorKind::usage, fmt::format("cannot start the Python interpreter '{}'", options.python),
              std::strerror(errno), "correct 'python' in 'model' of this member");
}

void wait_for_debugger(const std::string& member) {
  // Yama's ptrace_scope 1 lets only an ancestor attach; allow the user's debugger.
#ifdef PR_SET_PTRACER
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
#endif
  fmt::print(stderr, "{} waits for a debugger: gdb -p {}\n", member, ::getpid());
  while (!debugger_is_attached()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

}  // namespace tutti::worker
