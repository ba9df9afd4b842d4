// The commands of the program `tutti`, called with a parsed command line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "program/interruption.hpp"
#include "results/run_folder.hpp"

namespace tutti::program {

struct CommandLine {
  std::filesystem::path file;
  std::vector<std::string> overrides;  ///< key=value
  std::vector<std::string> assign;     ///< member=device
  std::filesystem::path worker;
  std::string debug_worker;
  std::filesystem::path trace;
  std::string rules;                     ///< "mean,vote": evaluated side by side; empty: the rule of the description
  std::string weights;                   ///< "1,0.5": instead of the members' weights
  std::filesystem::path output;          ///< the run folder of `combine`; empty: a new one
  std::vector<std::string> predictions;  ///< arrays that `combine` combines, FILE or NAME=FILE, and settings
  std::filesystem::path labels;          ///< of these arrays
  std::optional<std::int64_t> ignore_index;  ///< of these labels
  bool logits = false;                       ///< these arrays hold logits
  std::string csv;                           ///< "id,label": columns of predictions.csv; empty: the usual ones
  std::vector<std::string> merged;  ///< weights of merged models, evaluated next to the members: FILE or NAME=FILE
  std::filesystem::path picture;    ///< an SVG file
  bool cascade_sweep = false;       ///< `evaluate` shows what other thresholds of the cascade would do
  // For models that are named instead of a description (quick_start.hpp).
  std::filesystem::path images;  ///< a folder of pictures, or an .npy file
  std::string preprocess;        ///< "imagenet"
  std::string rule;              ///< "vote"
  std::filesystem::path save;    ///< where the description that they stand for goes
  // For `init`, which also has `preprocess`, `rule` and `save`.
  std::vector<std::filesystem::path> places;  ///< where models and images are
  bool force = false;                         ///< an existing file is replaced
  bool start = true;                          ///< the models are started once
  bool quiet = false;
  bool resume = false;
  bool cache = true;     ///< choices by measuring are looked up and kept (coordinator/plan/choice_cache.hpp)
  bool dot = false;      ///< `plan` prints a graph for Graphviz instead
  bool measure = false;  ///< `plan` starts the workers and measures their memory
};

/// How a command ended that did not throw.
enum class Outcome {
  complete,
  incomplete,  ///< done, but a member is absent or some segments lack members
};

/// Each throws Error.
Outcome run(const CommandLine& line, Interruption& interruption);
Outcome evaluate(const CommandLine& line, Interruption& interruption);
/// The same, into a folder that this program has locked already.
Outcome evaluate(const CommandLine& line, Interruption& interruption, images::RunFolder folder);
/// `line.file` is a run folder, or a description that names it; or `line.predictions` names arrays.
Outcome combine(const CommandLine& line, Interruption& interruption);
Outcome train(const CommandLine& line, Interruption& interruption);
void plan(const CommandLine& line, Interruption& interruption);
void validate(const CommandLine& line);

}  // namespace tutti::program
