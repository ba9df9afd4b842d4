#include "bench/comparison/strategies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/nearest.hpp"
#include "coordinator/plan/batches.hpp"

namespace tutti::bench {
namespace {

/// 1, 2, 4 ... below `most`, and `most`.
std::vector<std::uint32_t> steps_to(std::uint32_t most) {
  std::vector<std::uint32_t> steps;
  for (std::uint32_t step = 1; step < most; step *= 2) steps.push_back(step);
  steps.push_back(std::max(1U, most));
  return steps;
}

/// All ways to share `cores`, without the one that uses a single thread if there are more cores.
std::vector<Setting> ways_to_share(std::uint32_t cores, std::uint32_t members, std::uint32_t batch) {
  std::vector<Setting> settings;
  for (const std::uint32_t between : steps_to(std::min(members, cores)))
    for (const std::uint32_t within : steps_to(cores / between))
      if (within * between > 1 || cores == 1) settings.push_back({within, between, batch});
  if (members > cores) settings.push_back({1, members, batch});
  return settings;
}

std::vector<Setting> threads_inside(std::uint32_t cores, std::uint32_t between, std::uint32_t batch) {
  std::vector<Setting> settings;
  for (const std::uint32_t within : steps_to(cores)) settings.push_back({within, between, batch});
  return settings;
}

std::string threads_text(std::uint32_t threads) { return counted(threads, "thread"); }

Contender parse_contender(std::string_view name) {
  if (const auto found = from_name<Contender>(name)) return *found;
  std::vector<std::string> names;
  for (const auto& entry : enum_names(Contender{})) names.emplace_back(entry.name);
  const std::string near = nearest(std::string(name), names);
  std::string all;
  for (const std::string& known : names) all += (all.empty() ? "" : ", ") + known;
  throw Error(ErrorKind::usage, fmt::format("there is no strategy '{}'", name), {},
              near.empty() ? fmt::format("--strategies takes {}", all) : fmt::format("did you mean '{}'?", near));
}

}  // namespace

std::string_view title(Contender contender) {
  switch (contender) {
    case Contender::sequential_one:
      return "sequential, one thread";
    case Contender::sequential:
      return "sequential, all cores";
    case Contender::threads:
      return "threads";
    case Contender::branches:
      return "single graph, branches";
    case Contender::fused:
      return "single graph, fused";
    case Contender::multiprocess:
      return "multiprocess (the pool)";
    case Contender::shared:
      return "the pool, workers shared";
    case Contender::shared_threads:
      return "the pool, one worker, threads";
    case Contender::shared_fused:
      return "the pool, workers shared, fused";
  }
  return "?";
}

Strategy strategy_of(Contender contender) {
  switch (contender) {
    case Contender::threads:
      return Strategy::threads;
    case Contender::branches:
      return Strategy::branches;
    case Contender::fused:
      return Strategy::fused;
    default:
      return Strategy::sequential;
  }
}

std::vector<Contender> parse_contenders(std::string_view names) {
  std::vector<Contender> chosen;
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    chosen.push_back(parse_contender(names.substr(0, comma)));
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  if (chosen.empty())
    for (const auto& entry : enum_names(Contender{}))
      if (entry.value <= Contender::multiprocess) chosen.push_back(entry.value);
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

std::string to_text(Contender contender, const Setting& setting, bool cuda) {
  const std::string inside = threads_text(setting.within);
  if (cuda && !is_pool(contender)) return counted(setting.between, "stream");
  switch (contender) {
    case Contender::threads:
    case Contender::branches:
      return fmt::format("{} at once, {} each", setting.between, inside);
    case Contender::multiprocess:
      return fmt::format("{} per worker", inside);
    case Contender::shared:
    case Contender::shared_threads:
    case Contender::shared_fused:
      return fmt::format("{}, {} each", counted(setting.between, "worker"), inside);
    default:
      return inside;
  }
}

std::vector<Setting> settings_to_try(Contender contender, std::uint32_t cores, std::uint32_t members,
                                     std::uint32_t batch_images) {
  switch (contender) {
    case Contender::sequential_one:
      return {{1, 1, batch_images}};
    case Contender::sequential:
      return {{cores, 1, batch_images}};
    case Contender::threads:
    case Contender::branches:
      return ways_to_share(cores, members, batch_images);
    case Contender::fused:
      return threads_inside(cores, 1, batch_images);
    case Contender::multiprocess:
      return threads_inside(cores, members, batch_images);
    case Contender::shared:
    case Contender::shared_fused:
      return {{1, std::min(cores, members), batch_images}};
    case Contender::shared_threads:
      return {{1, 1, batch_images}};
  }
  return {};
}

std::vector<Setting> settings_on_gpu(Contender contender, std::uint32_t members, std::uint32_t batch_images) {
  switch (contender) {
    case Contender::threads: {
      std::vector<Setting> settings;
      for (const std::uint32_t streams : steps_to(members)) settings.push_back({1, streams, batch_images});
      return settings;
    }
    case Contender::branches:
    case Contender::multiprocess:
      return {{1, members, batch_images}};
    default:
      return {{1, 1, batch_images}};
  }
}

bool is_repeated_on_gpu(Contender contender) { return contender == Contender::sequential; }

Setting fastest(const std::vector<Setting>& settings, const std::function<double(const Setting&)>& seconds) {
  if (settings.size() == 1) return settings.front();
  Setting best = settings.front();
  double least = std::numeric_limits<double>::infinity();
  for (const Setting& setting : settings) {
    const double taken = seconds(setting);
    if (taken >= least) continue;
    least = taken;
    best = setting;
  }
  return best;
}

std::vector<std::uint32_t> batches_to_try(const config::EnsembleSpec& spec, std::vector<std::uint32_t> given,
                                          bool cuda) {
  if (!given.empty() || !spec.measure_batch_images) return given;
  return batches_to_measure(spec.segment_images, cuda);
}

}  // namespace tutti::bench
