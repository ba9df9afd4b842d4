// The comparison itself: finds each strategy's best setting, measures its memory while nothing else runs, then runs all
// interleaved and compares their predictions. Results are rows; printing happens elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/comparison/agreement.hpp"
#include "bench/comparison/contestant.hpp"
#include "bench/comparison/image_set.hpp"
#include "bench/rows.hpp"

namespace tutti::bench {

struct ComparisonChoices {
  std::vector<Contender> contenders;
  std::vector<std::uint32_t> batches;  ///< tried for each strategy besides the description's; empty: that one only
  int repeats = 5;
  double seconds = 120;  ///< aimed at for all steps, which take longer if the starts do; 0: as long as it takes
};

/// One strategy, and what was measured of it.
struct Entry {
  Contender contender{};
  bool own_batch = false;  ///< at its best batch instead of the description's
  Setting setting = {};
  std::string skipped = {};  ///< the reason if it does not run
  std::string backend = {};
  std::vector<double> start_up = {};  ///< seconds from the start until it is warm
  std::vector<double> memory = {};    ///< MiB
  std::vector<double> seconds = {};   ///< of each pass
  double per_image = 0;               ///< seconds, as far as known before the rounds
  std::optional<Agreement> agreement = {};

  std::string name() const;
};

struct ComparisonResult {
  std::vector<Entry> entries;
  std::vector<double> noise;     ///< milliseconds of fixed arithmetic on all cores, between the rounds
  std::vector<double> multiply;  ///< 10^9 operations per second of matrices on all cores, between the rounds
  Tolerance tolerance;
  int rounds = 0;                      ///< as many as were asked for, or fewer
  std::optional<ImageSet> fewer = {};  ///< the images of the rounds if all would take too long

  const ImageSet& images(const ImageSet& all) const { return fewer ? *fewer : all; }
  /// "torch 2.11.0"; empty if none ran.
  std::string backend() const;
  /// Names of the strategies whose predictions differ beyond the tolerance.
  std::vector<std::string> disagreeing() const;
};

/// Runs all steps, which takes minutes. Throws Error if something broke, or no strategy can run these members.
ComparisonResult compare_strategies(const Field& field, const ImageSet& images, const ComparisonChoices& choices);

/// The conditions that every row of a description has; without `batch` the strategy's batch.
json::object conditions_of(const Field& field, const ImageSet& images, std::optional<std::uint32_t> batch_images);
/// "small-cnn", "small-cnn, mlp".
std::string kinds_of(const config::EnsembleSpec& spec);

/// Sentences above the table: which strategy is fastest and by how much, at the batch of the description and at each
/// one's own; or that the lead is within the noise. A last one warns if the machine was not steady.
std::vector<std::string> verdict_of(const ComparisonResult& result);

/// The rows of times, then of start-up, memory and noise.
std::vector<Row> strategy_rows(const ComparisonResult& result, const Field& field, const ImageSet& images);
std::vector<Row> other_rows(const ComparisonResult& result, const Field& field, const ImageSet& images);

}  // namespace tutti::bench
