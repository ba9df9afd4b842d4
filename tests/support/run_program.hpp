// Starts a program as a child, captures what it writes, and waits for it with a deadline. For tests only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/unique_fd.hpp"
#include "coordinator/process/exit_status.hpp"
#include "tests/support/census.hpp"

namespace tutti::test {

struct ProgramOptions {
  std::vector<std::pair<std::string, std::string>> environment;
  std::string folder;          ///< to start in; empty: that of the test
  bool terminal = false;       ///< stderr is a terminal
  unsigned short columns = 0;  ///< of the terminal; 0: it does not say
  std::string out_file;        ///< stdout goes there instead; a device for example
  std::string err_file;        ///< stderr too
  std::vector<int> closed;     ///< of 0, 1 and 2: closed, as by `>&-`
  bool no_proc = false;        ///< nothing is mounted at /proc
  long refused_call = -1;      ///< a system call that fails with refused_with; -1: none
  int refused_with = 0;
  int ignored_signal = 0;                   ///< as nohup leaves SIGHUP; 0: none
  std::optional<std::uint64_t> file_limit;  ///< largest file that it may write, in bytes
};

/// Whether pseudo-terminals exist here; a bare container has none.
bool has_terminals();

/// The exit code if the options are not possible here.
constexpr int kNoSuchPlace = 77;

/// A running program. Killed if a test leaves without waiting for it.
class Program {
 public:
  explicit Program(std::vector<std::string> command, const ProgramOptions& options = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  int pid() const noexcept { return pid_; }
  void signal(int number) const;
  /// Returns the first line of stdout or stderr that contains `part`, waiting for it; empty if the program ended.
  std::string wait_for_line(const std::string& part);
  /// Waits for the end; kills it after kPatience.
  ExitStatus wait();
  /// The exit code, 128 + signal, or -1.
  int code();

  /// All that came so far; complete after wait().
  const std::string& out() const noexcept { return out_; }
  const std::string& err() const noexcept { return err_; }

 private:
  bool read_some(std::chrono::steady_clock::time_point deadline);
  int pid_ = 0;
  UniqueFd out_fd_;
  UniqueFd err_fd_;
  std::string out_;
  std::string err_;
  std::optional<ExitStatus> status_;
};

}  // namespace tutti::test
