// The commands of the program `tutti` and their options. It says what can be typed, and does nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "program/commands.hpp"

namespace tutti::program {

struct LogOptions {
  bool verbose = false;
  std::string level = "info";
};

/// The options fill the values next to them. Not copied or moved: the options point there.
struct CommandTree {
  CommandTree();
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  CommandLine line;
  LogOptions logs;
  bool dry_run = false;
  std::string shell;  ///< of `completion`
  CLI::App app{"Tutti runs an ensemble of models, each in its own worker process, as one.", "tutti"};
  CLI::App* run = nullptr;
  CLI::App* evaluate = nullptr;
  CLI::App* combine = nullptr;
  CLI::App* train = nullptr;
  CLI::App* plan = nullptr;
  CLI::App* validate = nullptr;
  CLI::App* merge = nullptr;
  CLI::App* init = nullptr;
  CLI::App* schema = nullptr;
  CLI::App* completion = nullptr;

 private:
  void add_commands();
  void add_options();
};

}  // namespace tutti::program
