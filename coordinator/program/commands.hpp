// The commands of the program `tutti`, after the command line was read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/program/interruption.hpp"

namespace tutti::program {

struct CommandLine {
  std::filesystem::path file;
  std::vector<std::string> overrides;  ///< key=value
  std::vector<std::string> assign;     ///< member=device
  std::filesystem::path worker;
  std::string debug_worker;
  std::filesystem::path trace;
  bool quiet = false;
  bool resume = false;
};

/// How a command ended that did not throw.
enum class Outcome {
  complete,
  incomplete,  ///< done, but a member is absent or a segment is not that of all members
};

/// Each throws Error.
Outcome run(const CommandLine& line, Interruption& interruption);
Outcome train(const CommandLine& line, Interruption& interruption);
void plan(const CommandLine& line);
void validate(const CommandLine& line);

}  // namespace tutti::program
