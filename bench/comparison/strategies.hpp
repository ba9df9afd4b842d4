// The ways to run an ensemble that are compared, and the settings that each may have. Pure: nothing is started or
// measured here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/protocol.hpp"

namespace tutti::bench {

/// The strategies, with `sequential` twice: on one core it is the reference for the others.
enum class Contender {
  sequential_one,
  sequential,
  threads,
  branches,
  fused,
  multiprocess,
  shared,
  shared_threads,
  shared_fused
};
/// Their names on the command line.
constexpr auto enum_names(Contender) {
  using enum Contender;
  return std::array{EnumName{sequential_one, "sequential-one"},
                    EnumName{sequential, "sequential"},
                    EnumName{threads, "threads"},
                    EnumName{branches, "branches"},
                    EnumName{fused, "fused"},
                    EnumName{multiprocess, "multiprocess"},
                    EnumName{shared, "shared"},
                    EnumName{shared_threads, "shared-threads"},
                    EnumName{shared_fused, "shared-fused"}};
}
/// Whether it is Tutti's pool, in one of its forms.
constexpr bool is_pool(Contender contender) { return contender >= Contender::multiprocess; }
/// Their names in tables and rows: "single graph, branches".
std::string_view title(Contender contender);
/// The strategy within one process. Not for the pool.
Strategy strategy_of(Contender contender);

/// Names with commas between them, in the order of the enumeration, each once; empty: all but the pools whose members
/// share workers. Throws Error(usage) with the nearest name.
std::vector<Contender> parse_contenders(std::string_view names);

struct Setting {
  std::uint32_t within = 1;   ///< threads inside an operation; of each worker in the pool
  std::uint32_t between = 1;  ///< members computed at once; in the pool the workers
  std::uint32_t batch_images = 1;
  friend bool operator==(const Setting&, const Setting&) = default;
};
/// "2 at once, 1 thread each", on a GPU "2 streams"; the batch is not in it.
std::string to_text(Contender contender, const Setting& setting, bool cuda = false);

/// The settings to try on `cores` cores: threads inside times threads between, up to the cores, in powers of two and
/// the most that fits; also one thread per member, for any number of cores.
std::vector<Setting> settings_to_try(Contender contender, std::uint32_t cores, std::uint32_t members,
                                     std::uint32_t batch_images);

/// The same if the members are on a GPU: threads only launch work, so there is one within, and `between` is the number
/// of streams.
std::vector<Setting> settings_on_gpu(Contender contender, std::uint32_t members, std::uint32_t batch_images);

/// Whether a strategy is the same as another one on a GPU, and so has no row there: `sequential` with all cores.
bool is_repeated_on_gpu(Contender contender);

/// The setting with the fewest seconds, the first of equal ones; measures only if there is a choice.
Setting fastest(const std::vector<Setting>& settings, const std::function<double(const Setting&)>& seconds);

/// The batches of which each strategy takes its own best: those that the user gave; with `batch_images: auto`, which
/// only the pool would measure for itself, those that the pool tries. Empty: that of the description is the only one.
std::vector<std::uint32_t> batches_to_try(const config::EnsembleSpec& spec, std::vector<std::uint32_t> given,
                                          bool cuda);

}  // namespace tutti::bench
