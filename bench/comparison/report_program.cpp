#include "bench/comparison/report_program.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <tutti/error.hpp>

#include "coordinator/plan/find_worker.hpp"
#include "coordinator/process/child.hpp"

namespace tutti::bench {
namespace {

/// Waits for its end.
ExitStatus run(const std::filesystem::path& program, std::vector<std::string> arguments) {
  Child child = Child::spawn({program, std::move(arguments), {}, {-1, STDOUT_FILENO, STDERR_FILENO}});
  pollfd ended{child.pidfd(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0) {
  }
  return reap(child.pidfd()).value_or(GoneUnseen{});
}

bool went_well(const ExitStatus& status) {
  const auto* exited = std::get_if<Exited>(&status);
  return exited != nullptr && exited->code == 0;
}

}  // namespace

std::filesystem::path find_report_program() {
  const auto program = find_program("report", "install all of Tutti, or remove --html");
  if (!went_well(run(program, {"--check"})))
    throw Error(ErrorKind::usage, "cannot draw a page on this machine", "the message above says what is missing",
                "install python3-matplotlib, or remove --html");
  return program;
}

void draw_report(const std::filesystem::path& program, const std::filesystem::path& rows,
                 const std::filesystem::path& page, const std::filesystem::path& trace) {
  std::vector<std::string> arguments{rows.string(), "--html", page.string()};
  if (!trace.empty()) arguments.insert(arguments.end(), {"--trace", trace.string()});
  const ExitStatus status = run(program, std::move(arguments));
  if (!went_well(status))
    throw Error(ErrorKind::failed, fmt::format("could not draw '{}'", page.string()),
                fmt::format("{} {}", program.string(), to_text(status)));
}

}  // namespace tutti::bench
