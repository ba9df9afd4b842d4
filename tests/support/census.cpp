#include "tests/support/census.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/log.hpp"
#include "common/unique_fd.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

std::string field(const fs::path& status, const std::string& key) {
  std::ifstream in(status);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key + ":")) return line.substr(line.find_first_not_of(" \t", key.size() + 1));
  return {};
}

}  // namespace

std::vector<int> children_of(int pid) {
  std::vector<int> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (field(entry.path() / "status", "PPid") == std::to_string(pid)) children.push_back(std::stoi(name));
  }
  std::sort(children.begin(), children.end());
  return children;
}

std::vector<std::string> descriptors_of(int pid) {
  std::vector<std::string> links;
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
    std::error_code gone;
    std::string link = fs::read_symlink(entry.path(), gone).string();
    if (gone || link.find("/proc/") != std::string::npos) continue;  // the listing's own
    // Numbers of sockets and pipes differ from one to the next.
    links.push_back(link.substr(0, link.find(":[")));
  }
  std::sort(links.begin(), links.end());
  return links;
}

Census Census::now() {
  Census census;
  census.children = children_of(::getpid());
  census.descriptors = descriptors_of(::getpid());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("memfd:tutti") != std::string::npos) census.mapped_memory.push_back(line);
  const fs::directory_iterator threads("/proc/self/task");
  census.threads = static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
  return census;
}

std::string Census::text() const {
  return fmt::format("children {} descriptors {} mapped {} threads {}", children, descriptors, mapped_memory, threads);
}

void settle_threads() {
  // The log's own thread comes with its first line and stays.
  static const bool logged = [] {
    log::warning("a test counts threads; warnings of workers that die may follow");
    log::flush();  // afterwards the log thread opens no further files
    return true;
  }();
  (void)logged;
  std::string task;
  std::thread([&] { task = fmt::format("/proc/self/task/{}", ::syscall(SYS_gettid)); }).join();
  happens([&] { return !fs::exists(task); });
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

bool happens(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

bool ends(int pid, std::chrono::milliseconds patience) {
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return errno == ESRCH;
  pollfd end{pidfd.get(), POLLIN, 0};
  return ::poll(&end, 1, static_cast<int>(patience.count())) == 1;
}

std::uint64_t voluntary_switches(int pid) {
  return std::stoull(field(fmt::format("/proc/{}/status", pid), "voluntary_ctxt_switches"));
}

std::uint64_t voluntary_switches_of_thread(const std::string& name) {
  std::uint64_t sum = 0;
  for (const auto& task : fs::directory_iterator("/proc/self/task"))
    if (field(task.path() / "status", "Name") == name)
      sum += std::stoull(field(task.path() / "status", "voluntary_ctxt_switches"));
  return sum;
}

std::optional<double> next_timer() {
  std::optional<double> next;
  for (const auto& entry : fs::directory_iterator("/proc/self/fdinfo")) {
    const std::string left = field(entry.path(), "it_value");  // "(0, 499957000)": seconds, nanoseconds
    if (left.empty()) continue;
    const std::size_t comma = left.find(',');
    const double seconds = std::stod(left.substr(1, comma - 1)) + std::stod(left.substr(comma + 1)) * 1e-9;
    if (seconds > 0) next = std::min(next.value_or(seconds), seconds);
  }
  return next;
}

}  // namespace tutti::test
