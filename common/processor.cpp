#include "common/processor.hpp"

#include <algorithm>
#include <fstream>

namespace tutti {

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  return {};
}

}  // namespace tutti
