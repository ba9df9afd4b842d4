// Arrays of predictions that something else computed, as the members of an ensemble: what `tutti combine --predictions`
// combines.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tutti/combine.hpp>

#include "config/spec.hpp"
#include "evaluation/saved_run.hpp"
#include "images/prediction_array.hpp"

namespace tutti {

/// An ensemble of arrays: one member for each, with its weight, and what they are combined by.
struct GivenArrays {
  config::EnsembleSpec spec;
  SavedRun run;  ///< with one task
};

/// Opens the arrays, once, to learn their number. `settings` are `key=value` of `combine` and `on_nan`, `weights` as in
/// config::set_weights(). Throws Error(usage) if two have the same name, if options do not fit together, or if an array
/// cannot be read.
GivenArrays given_arrays(const SavedPredictions& given, const std::vector<std::string>& settings,
                         const std::string& weights);

/// Makes what is combined of predictions `first`, `first + 1`, ... of `file`: probabilities of logits. Throws
/// Error(usage), which names the file and the prediction, if a value is NaN or infinite without `on_nan: allow`, and if
/// probabilities are not: values that are not from 0 to 1, or classes of which one is right and that do not sum to 1.
void take_array(const ArrayContent& content, const images::PredictionArray& file, std::uint64_t first,
                std::span<float> values);

}  // namespace tutti
