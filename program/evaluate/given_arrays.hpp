// `tutti combine --predictions`: arrays of predictions that something else computed, as the members of an ensemble.
#pragma once

#include <cstdint>
#include <span>

#include "config/spec.hpp"
#include "images/prediction_array.hpp"
#include "program/commands.hpp"
#include "program/evaluate/saved_run.hpp"

namespace tutti::program {

/// An ensemble of arrays: one member for each, with its weight, and what they are combined by.
struct GivenArrays {
  config::EnsembleSpec spec;
  SavedRun run;  ///< with one task
};

/// Reads the command line and opens the arrays, once, to learn their number. Throws Error(usage) if two have the same
/// name, if options do not fit together, or if an array cannot be read.
GivenArrays given_arrays(const CommandLine& line);

/// Makes what is combined of predictions `first`, `first + 1`, ... of `file`: probabilities of logits. Throws
/// Error(usage), which names the file and the prediction, if a value is NaN or infinite without `on_nan: allow`, and if
/// probabilities are not: values that are not from 0 to 1, or classes of which one is right and that do not sum to 1.
void take_array(const ArrayContent& content, const images::PredictionArray& file, std::uint64_t first,
                std::span<float> values);

}  // namespace tutti::program
