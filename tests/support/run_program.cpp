#include "tests/support/run_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "tests/common/refused_call.hpp"
#include "tests/common/small_disk.hpp"

namespace tutti::test {
namespace {

struct Ends {
  UniqueFd ours;
  UniqueFd theirs;
};

Ends make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Ends make_terminal(unsigned short columns) {
  UniqueFd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!ours || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0) throw std::runtime_error("posix_openpt");
  std::array<char, 64> name{};
  if (::ptsname_r(ours.get(), name.data(), name.size()) != 0) throw std::runtime_error("ptsname_r");
  UniqueFd theirs(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs) throw std::runtime_error("open a terminal");
  const winsize size{24, columns, 0, 0};
  if (::ioctl(theirs.get(), TIOCSWINSZ, &size) != 0) throw std::runtime_error("TIOCSWINSZ");
  return {std::move(ours), std::move(theirs)};
}

void put_in_place(const std::string& file, int target) {
  if (file.empty()) return;
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::dup2(fd, target) < 0) ::_exit(126);
}

}  // namespace

bool has_terminals() {
  try {
    make_terminal(80);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

namespace {

// Runs in the forked child. Test programs fork while they have one thread, or touch nothing that needs a lock.
[[noreturn]] void become(std::vector<char*>& arguments, const ProgramOptions& options, int out, int err) {
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  put_in_place(options.out_file, STDOUT_FILENO);
  put_in_place(options.err_file, STDERR_FILENO);
  for (const int number : options.closed) ::close(number);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(number, SIG_DFL);
  if (options.ignored_signal != 0) ::signal(options.ignored_signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  if (options.file_limit) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{*options.file_limit, *options.file_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  if (options.no_proc && !mount_small_disk("/proc")) ::_exit(kNoSuchPlace);
  if (options.refused_call >= 0 && !refuse_call(options.refused_call, options.refused_with)) ::_exit(kNoSuchPlace);
  ::execv(arguments.front(), arguments.data());
  ::_exit(127);
}

}  // namespace

Program::Program(std::vector<std::string> command, const ProgramOptions& options) {
  Ends out = make_pipe();
  Ends err = options.terminal ? make_terminal(options.columns) : make_pipe();
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) become(arguments, options, out.theirs.get(), err.theirs.get());
  out_fd_ = std::move(out.ours);
  err_fd_ = std::move(err.ours);
}

Program::~Program() {
  if (status_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Program::signal(int number) const { ::kill(pid_, number); }

// False at the end of both streams, or past the deadline.
bool Program::read_some(std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  if ((!out_fd_ && !err_fd_) || left <= 0) return false;
  std::array<pollfd, 2> ends{{{out_fd_.get(), POLLIN, 0}, {err_fd_.get(), POLLIN, 0}}};  // -1 is left out
  ::poll(ends.data(), ends.size(), static_cast<int>(left));
  const auto read_end = [](const pollfd& end, UniqueFd& fd, std::string& text) {
    if (end.revents == 0) return;
    std::array<char, 4096> buffer;
    const ssize_t length = ::read(fd.get(), buffer.data(), buffer.size());
    if (length > 0)
      text.append(buffer.data(), static_cast<std::size_t>(length));
    else
      fd.reset();  // also EIO, which is how a terminal says that the other side is gone
  };
  read_end(ends[0], out_fd_, out_);
  read_end(ends[1], err_fd_, err_);
  return true;
}

std::string Program::wait_for_line(const std::string& part) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    for (const std::string* text : {&out_, &err_}) {
      const std::size_t found = text->find(part);
      if (found == std::string::npos) continue;
      const std::size_t begin = text->rfind('\n', found);
      const std::size_t end = text->find('\n', found);
      if (end != std::string::npos) return text->substr(begin + 1, end - begin - 1);
    }
    if (!read_some(deadline)) return {};
  }
}

ExitStatus Program::wait() {
  if (status_) return *status_;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (read_some(deadline)) {
  }
  if (!ends(pid_)) ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  status_ = WIFEXITED(status) ? ExitStatus(Exited{WEXITSTATUS(status)}) : ExitStatus(Signaled{WTERMSIG(status)});
  return *status_;
}

int Program::code() {
  const ExitStatus status = wait();
  if (const auto* exited = std::get_if<Exited>(&status)) return exited->code;
  if (const auto* signaled = std::get_if<Signaled>(&status)) return 128 + signaled->signal;
  return -1;
}

}  // namespace tutti::test
