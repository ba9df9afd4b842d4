// Merges checkpoints into one: averages, task vectors, interpolation. It streams: memory is a few chunks per thread,
// however large the checkpoints are. It knows no models: tensors are numbers with names. Formulas and sources:
// docs/merging.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/values.hpp"
#include "merge/checkpoint.hpp"

namespace tutti::merge {

/// One of the checkpoints, and its name in messages. Copies share the open files.
struct MergeInput {
  std::string name;
  std::shared_ptr<const Checkpoint> checkpoint;
  /// The name under which a tensor of this file is compared with those of the others; empty: it is left out.
  /// Null: every tensor under its own name.
  std::string (*alias)(std::string_view tensor) = nullptr;
};

/// The method decides which fields are used.
struct MergeSettings {
  MergeMethod method = MergeMethod::average;  ///< greedy_soup: the average of those that were chosen before
  std::vector<double> weights;                ///< weighted: one per input
  bool normalize = true;                      ///< weighted: divided by their sum
  double scaling = 0.3;                       ///< task_arithmetic, ties
  double density = 0.2;                       ///< ties: above 0, at most 1
  Disjoint disjoint = Disjoint::sum;          ///< ties
  double t = 0.5;                             ///< slerp
  bool accumulate_f64 = false;                ///< compute in float64 instead of float32
  bool statistics_follow = false;             ///< those of BatchNorm are estimated later, so no warning is needed
  unsigned threads = 0;                       ///< 0: the usable cores, at most kMaxMergeThreads
};
inline constexpr unsigned kMaxMergeThreads = 4;

struct MergeOutcome {
  std::vector<std::string> notes;  ///< decisions and warnings, for the user
  std::size_t tensors = 0;         ///< in the result
  std::uint64_t values = 0;        ///< computed
  std::uint64_t bytes_read = 0;    ///< over all passes
  std::uint64_t bytes_written = 0;
};

/// Reports that `done` of `total` bytes have been read. Called on any thread, one call at a time.
using MergeProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Writes the merged checkpoint to `file`, atomically. Names, order of names and dtypes of its tensors are those of the
/// first input; integers and booleans are kept, never averaged (see docs/merging.md). The same inputs give the same
/// bytes with any number of threads. task_arithmetic and ties need `base`; for the others it only decides which
/// integers are kept. Throws Error(usage), before anything is written: tensors that do not match (all differences are
/// listed), integers that differ, a number of inputs, weights or settings that the method cannot take. Throws
/// Error(failed) if a file cannot be read or written, or if finite values give one that is NaN, or too large for the
/// type of the result. Blocks; its threads have ended when it returns.
MergeOutcome merge_checkpoints(const MergeSettings& settings, std::span<const MergeInput> inputs,
                               const MergeInput* base, const std::filesystem::path& file,
                               const std::map<std::string, std::string>& metadata = {},
                               const MergeProgress& progress = {});

/// Gives the same bytes, piece by piece and in order, to `sink`, which is called on any thread, one call at a time.
MergeOutcome merge_checkpoints(const MergeSettings& settings, std::span<const MergeInput> inputs,
                               const MergeInput* base, const ByteSink& sink,
                               const std::map<std::string, std::string>& metadata = {},
                               const MergeProgress& progress = {});

/// Throws the same Error(usage), and computes nothing.
void check_merge(const MergeSettings& settings, std::span<const MergeInput> inputs, const MergeInput* base);

/// The name of a tensor of CLIP's image tower, without the prefix `vision_model.` that some layouts of transformers
/// have; empty for the text tower. For MergeInput::alias.
std::string clip_tower_alias(std::string_view tensor);

/// The factors of a weighted sum. Throws Error(usage) if the weights cannot be normalized (their sum, in the type that
/// the merge computes in, is only a rounding error or not finite) or one is not finite.
std::vector<double> weight_factors(const MergeSettings& settings);

}  // namespace tutti::merge
