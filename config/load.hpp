// Reads an ensemble's YAML into an EnsembleSpec. The only place that knows yaml-cpp. It looks at the configuration
// alone: whether a file exists, a device is there or memory suffices is asked later, by those who use them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.hpp"

namespace tutti::config {

/// What the command line adds to the file.
struct Overrides {
  std::vector<std::string> assignments;  ///< `key=value`, applied after the file: "members.0.weight=2"
  std::vector<std::string> devices;      ///< `member=device`, from --assign: "cnn-0=cpu:1"
};

/// Reads `file`, its includes, and the overrides. Throws Error(usage) whose text lists every violation, one per line,
/// as `file:line:column: what is wrong`, with the nearest valid key where a key is unknown.
EnsembleSpec load_file(const std::filesystem::path& file, const Overrides& overrides = {});

/// The same for text; `name` stands for the file in messages, relative includes are looked up in the current folder.
EnsembleSpec load_text(std::string_view yaml, std::string_view name, const Overrides& overrides = {});

}  // namespace tutti::config
