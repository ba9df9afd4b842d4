#include "common/process_memory.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>

namespace tutti {
namespace {

/// "7f00-7f10 rw-s 00000000 00:01 12  /memfd:name (deleted)"; a line of figures begins with a word and a colon.
bool opens_mapping(const std::string& line) {
  const std::string first = line.substr(0, line.find(' '));
  return first.find('-') != std::string::npos && first.find(':') == std::string::npos;
}

std::optional<std::uint64_t> sum_of_process(int pid, std::string_view but, std::string_view figure) {
  std::ifstream smaps(fmt::format("/proc/{}/{}", pid, but.empty() ? "smaps_rollup" : "smaps"));
  if (!smaps || smaps.peek() == std::ifstream::traits_type::eof()) return std::nullopt;
  return sum_pss(smaps, but, figure);
}

}  // namespace

std::uint64_t sum_pss(std::istream& smaps, std::string_view but, std::string_view figure) {
  std::uint64_t kibibytes = 0;
  bool counts = true;
  for (std::string line; std::getline(smaps, line);) {
    if (opens_mapping(line)) counts = but.empty() || line.find(but) == std::string::npos;
    if (!counts || !line.starts_with(figure)) continue;
    std::istringstream rest(line.substr(figure.size()));
    std::uint64_t value = 0;
    if (rest >> value) kibibytes += value;
  }
  return kibibytes * 1024;
}

std::optional<std::uint64_t> pss_bytes(int pid, std::string_view but) { return sum_of_process(pid, but, "Pss:"); }

std::optional<std::uint64_t> anonymous_bytes(int pid) { return sum_of_process(pid, {}, "Pss_Anon:"); }

}  // namespace tutti
