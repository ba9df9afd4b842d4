// The most that the machine can do: one process per core multiplies matrices, all at once, and the rate that this would
// give with the members' arithmetic.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bench/comparison/contestant.hpp"
#include "bench/comparison/image_set.hpp"
#include "bench/comparison/single_process.hpp"

namespace tutti::bench {

/// Multiplications and additions, each counted, that a model's layers need for one image; nothing if that is not
/// known.
std::optional<double> operations_per_image(const ModelKind& model, const ImageShape& shape);
/// The same for all members together.
std::optional<double> operations_per_image(const config::EnsembleSpec& spec, const ImageShape& shape);

class Multipliers {
 public:
  /// Starts a process for each usable core. Throws Refused if the build has no tutti-bench-single.
  Multipliers(const Field& field, const ImageSet& images);
  /// 10^9 operations per second of all processes together, over a third of a second.
  double measure();

 private:
  std::vector<std::unique_ptr<SingleProcess>> processes_;
};

}  // namespace tutti::bench
