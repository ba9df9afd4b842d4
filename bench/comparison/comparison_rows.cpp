// What a comparison found, as rows.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench/comparison/comparison.hpp"
#include "bench/comparison/multiplication.hpp"

namespace tutti::bench {
namespace {

std::optional<double> median_of(const ComparisonResult& result, Contender contender) {
  for (const Entry& entry : result.entries)
    if (entry.contender == contender && !entry.own_batch && !entry.seconds.empty())
      return statistics(entry.seconds).median;
  return std::nullopt;
}

/// "2 at once, 1 thread each; 4567 images/s; 1.95x sequential, one thread; 0.98x the pool; same bits"
std::string note_of(const ComparisonResult& result, const Entry& entry, std::uint64_t images, bool cuda) {
  const double seconds = statistics(entry.seconds).median;
  std::string note = to_text(entry.contender, entry.setting, cuda);
  if (entry.own_batch) note += fmt::format(", batch {}", entry.setting.batch_images);
  if (!entry.backend.empty() && !entry.backend.starts_with("torch ")) note += ", by " + entry.backend;
  note += fmt::format("; {:.0f} images/s", static_cast<double>(images) / seconds);
  if (const auto one = median_of(result, Contender::sequential_one))
    note += fmt::format("; {:.2f}x sequential one-thread", *one / seconds);
  if (const auto pool = median_of(result, Contender::multiprocess))
    note += fmt::format("; {:.2f}x the pool", *pool / seconds);
  if (entry.agreement) note += "; " + to_text(*entry.agreement, result.tolerance);
  return note;
}

json::object conditions_of(const Entry& entry, const Field& field, const ImageSet& images) {
  return conditions_of(field, images, entry.own_batch ? std::nullopt : std::optional(field.spec.batch_images));
}

/// From here on a machine is not steady enough for the usual leads between strategies.
constexpr double kMuchNoise = 0.1;

struct Ranked {
  std::string name;
  double median = 0;
  double mad = 0;
};

/// The measured strategies, the fastest first.
std::vector<Ranked> ranking_of(const ComparisonResult& result, bool own_batch) {
  std::vector<Ranked> ranked;
  for (const Entry& entry : result.entries) {
    if (entry.own_batch != own_batch || entry.seconds.empty()) continue;
    const Statistics found = statistics(entry.seconds);
    ranked.push_back({entry.name(), found.median, found.mad});
  }
  std::ranges::sort(ranked, {}, &Ranked::median);
  return ranked;
}

/// One process per core that multiplies matrices, all at once: nobody can be faster with the same arithmetic.
Row limit_row(const ComparisonResult& result, const Field& field, const ImageSet& images) {
  Row row{.bench = "limit",
          .name = "limit: matrices multiplied, one process per core at once",
          .conditions = {{"cores", field.usable_cores}},
          .unit = "GFLOP/s",
          .higher_is_better = true,
          .samples = result.multiply};
  const auto operations = operations_per_image(field.spec, images.shape());
  if (!operations) return row;
  const double seconds = *operations * static_cast<double>(images.count()) / (statistics(result.multiply).median * 1e9);
  row.note = fmt::format("the members' arithmetic would take {:.3f} s", seconds);
  if (const auto pool = median_of(result, Contender::multiprocess))
    row.note += fmt::format("; the pool takes {:.2f} times as long", *pool / seconds);
  return row;
}

}  // namespace

std::string kinds_of(const config::EnsembleSpec& spec) {
  std::vector<std::string_view> kinds;
  std::string text;
  for (const config::MemberSpec& member : spec.members) {
    const std::string_view kind = kind_name(member.model.kind);
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) continue;
    kinds.push_back(kind);
    text += fmt::format("{}{}", text.empty() ? "" : ", ", kind);
  }
  return text;
}

json::object conditions_of(const Field& field, const ImageSet& images, std::optional<std::uint32_t> batch_images) {
  return {{"members", field.spec.members.size()},
          {"model", kinds_of(field.spec)},
          {"input", images.name()},
          {"images", images.count()},
          {"shape", images.shape().text()},
          {"segment_images", field.spec.segment_images},
          {"batch_images", batch_images ? json::value(*batch_images) : json::value("own")},
          {"rule", to_name(field.spec.combine.rule)},
          {"device", field.cuda ? "cuda" : "cpu"},
          {"cores", field.usable_cores}};
}

std::vector<Row> strategy_rows(const ComparisonResult& result, const Field& field, const ImageSet& images) {
  std::vector<Row> rows;
  for (const Entry& entry : result.entries) {
    Row row{.bench = "strategies", .name = entry.name(), .unit = "s", .samples = entry.seconds};
    row.conditions = conditions_of(entry, field, images);
    row.skipped = entry.skipped;
    if (entry.skipped.empty()) row.note = note_of(result, entry, images.count(), field.cuda);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> verdict_of(const ComparisonResult& result) {
  const Statistics noise = statistics(result.noise);
  const double spread = noise.max / noise.min - 1;
  std::vector<std::string> lines;
  for (const bool own_batch : {false, true}) {
    const std::vector<Ranked> ranked = ranking_of(result, own_batch);
    if (ranked.size() < 2) continue;
    const Ranked& first = ranked[0];
    const Ranked& second = ranked[1];
    const double lead = second.median / first.median - 1;
    const bool clear = lead > std::max(spread, 3 * (first.mad + second.mad) / first.median);
    lines.push_back(
        clear
            ? fmt::format("'{}' is fastest: {} s, {:.0f} % less than '{}' ({} s)", first.name,
                          number_text(first.median), 100 * (1 - first.median / second.median), second.name,
                          number_text(second.median))
            : fmt::format("no strategy is clearly the fastest: '{}' leads '{}' by {:.1f} %, which is within the noise",
                          first.name, second.name, 100 * lead));
  }
  if (spread >= kMuchNoise)
    lines.push_back(
        fmt::format("warning: the machine was not steady: the same arithmetic took {:.0f} % longer in one "
                    "round than in another, so differences below that mean nothing",
                    100 * spread));
  return lines;
}

std::vector<Row> other_rows(const ComparisonResult& result, const Field& field, const ImageSet& images) {
  std::vector<Row> rows;
  const auto add = [&](const std::string& bench, const Entry& entry, const std::string& unit,
                       const std::vector<double>& samples) {
    if (samples.empty()) return;
    rows.push_back({.bench = bench,
                    .name = fmt::format("{}: {}", bench, entry.name()),
                    .conditions = conditions_of(entry, field, images),
                    .unit = unit,
                    .samples = samples});
  };
  for (const Entry& entry : result.entries) add("start-up", entry, "s", entry.start_up);
  for (const Entry& entry : result.entries) add("memory", entry, "MiB", entry.memory);
  if (!result.multiply.empty()) rows.push_back(limit_row(result, field, images));
  const Statistics noise = statistics(result.noise);
  rows.push_back({.bench = "noise",
                  .name = "noise: the same arithmetic on all cores",
                  .conditions = {{"cores", field.usable_cores}},
                  .unit = "ms",
                  .samples = result.noise,
                  .note = fmt::format("the slowest took {:.0f} % longer than the fastest",
                                      100 * (noise.max - noise.min) / noise.min)});
  return rows;
}

}  // namespace tutti::bench
