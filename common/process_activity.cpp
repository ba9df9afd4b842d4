#include "common/process_activity.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace tutti {
namespace {

/// A line of /proc/<pid>/stat from its third field on, the state: the name before it may hold anything.
std::string stat_of(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stat");
  std::string text;
  std::getline(file, text, '\0');
  const std::size_t end = text.rfind(')');
  return end != std::string::npos && end + 2 < text.size() ? text.substr(end + 2) : "";
}

bool is_runnable(const std::string& stat) { return stat.starts_with('R'); }

std::optional<ProcessActivity> parse(const std::string& stat) {
  std::istringstream in(stat);
  std::string skipped;
  for (int field = 3; field < 12; ++field) in >> skipped;
  ProcessActivity activity;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  in >> activity.major_faults >> skipped >> user >> system;
  if (!in) return std::nullopt;
  activity.cpu_seconds = static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return activity;
}

}  // namespace

std::optional<ProcessActivity> activity_of(int pid) {
  const std::filesystem::path folder = fmt::format("/proc/{}", pid);
  auto activity = parse(stat_of(folder));
  if (!activity) return std::nullopt;
  std::error_code error;
  for (std::filesystem::directory_iterator task(folder / "task", error), end; !error && task != end;
       task.increment(error))
    if (is_runnable(stat_of(task->path()))) ++activity->runnable;
  return activity;
}

}  // namespace tutti
