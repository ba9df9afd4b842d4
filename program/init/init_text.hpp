// The description that `tutti init` writes: what it found, and comments that say what to write where it found nothing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "program/init/found.hpp"
#include "program/init/trial.hpp"

namespace tutti::program {

struct InitText {
  const Found& found;
  const std::vector<Trial>& trials;         ///< one for each model; with nothing in it if it was not tried
  const std::vector<std::string>& devices;  ///< one for each model
  std::string machine;                      ///< a sentence about what there is
  std::string rule;                         ///< of --rule; empty: mean
  std::filesystem::path file;               ///< where it will be
};

/// A sentence if the pictures have more classes than the models output, so that no run is possible; else empty.
std::string too_many_classes(const Found& found, const std::vector<Trial>& trials);

/// YAML with comments, which load_text() accepts.
std::string init_text(const InitText& init);

}  // namespace tutti::program
