// The command line of `tutti bench`.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/comparison/strategies.hpp"

namespace tutti::bench {

struct CommandLine {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::vector<std::string> assign;
  std::filesystem::path worker;
  std::filesystem::path single;
  std::vector<Contender> contenders;
  std::vector<std::uint32_t> batches;
  int repeats = 5;
  double seconds = 120;  ///< aimed at for the comparison; 0: no bound
  std::filesystem::path json_lines;
  std::filesystem::path page;
  std::filesystem::path trace;
  bool training = false;
  bool interference = false;
  bool sweep = false;
  std::chrono::seconds sweep_time{180};
  bool cache = true;  ///< choices of forms are looked up and kept
  bool quiet = false;
  std::string text;  ///< all of it, for the rows
};

/// Returns nothing after it has printed the help. Throws Error(usage).
std::optional<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace tutti::bench
