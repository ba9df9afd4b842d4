#include "coordinator/process/oom.hpp"

#include <fstream>
#include <string>
#include <utility>

namespace tutti {

OutOfMemoryWatch::OutOfMemoryWatch(std::filesystem::path vmstat) : vmstat_(std::move(vmstat)), seen_(kills()) {}

bool OutOfMemoryWatch::look() {
  const auto now = kills();
  return now && seen_ && *now > *std::exchange(seen_, now);
}

std::optional<std::uint64_t> OutOfMemoryWatch::kills() const {
  std::ifstream file(vmstat_);
  std::string key;
  for (std::uint64_t value = 0; file >> key >> value;)
    if (key == "oom_kill") return value;
  return std::nullopt;
}

}  // namespace tutti
