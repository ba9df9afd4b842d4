// What `--predictions` takes: files, and settings of the combination. It opens nothing.
#pragma once

#include <string>
#include <vector>

#include <tutti/combine.hpp>

#include "program/commands.hpp"

namespace tutti::program {

struct ArrayWords {
  SavedPredictions predictions;
  std::vector<std::string> settings;  ///< key=value
};

/// Throws Error(usage) if the folder of a run is named as well, or a word is neither FILE nor NAME=FILE.
ArrayWords array_words(const CommandLine& line);

}  // namespace tutti::program
