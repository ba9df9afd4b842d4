#include "bench/comparison/interference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <tutti/ensemble.hpp>

#include "bench/comparison/comparison.hpp"
#include "common/log.hpp"
#include "coordinator/plan/plan.hpp"
#include "images/sources.hpp"

namespace tutti::bench {
namespace {

/// Records for every segment how long each member has computed.
class SegmentTimes final : public Sink {
 public:
  explicit SegmentTimes(Ensemble& ensemble) : ensemble_(ensemble), seconds_(ensemble.status().members.size()) {
    look();
  }
  void write(const SegmentResult&) override {
    const std::vector<double> before = busy_;
    look();
    for (std::size_t rank = 0; rank < busy_.size(); ++rank) seconds_[rank].push_back(busy_[rank] - before[rank]);
  }
  /// By member, then by segment.
  const std::vector<std::vector<double>>& seconds() const { return seconds_; }

 private:
  void look() {
    busy_.clear();
    for (const MemberStatus& member : ensemble_.status().members) busy_.push_back(member.busy_seconds);
  }

  Ensemble& ensemble_;
  std::vector<double> busy_;
  std::vector<std::vector<double>> seconds_;
};

/// The measurements of a member, one value per repeat.
struct Speed {
  std::vector<double> images_per_second;
  std::vector<double> p50;  ///< milliseconds of a segment
  std::vector<double> p99;
};

/// A pool of some of the members.
class Group {
 public:
  Group(const Field& field, const ImageSet& images, config::EnsembleSpec spec)
      : ensemble_(Spec(std::make_shared<config::EnsembleSpec>(std::move(spec))), pool_options(field)),
        source_(images::make_memory(images.view())),
        images_(images.count()) {}

  void warm_up() {
    SegmentTimes sink(ensemble_);
    ensemble_.run(*source_, sink);
  }

  /// Adds a repeat to each member's speeds.
  void measure(std::span<Speed* const> speeds) {
    SegmentTimes sink(ensemble_);
    ensemble_.run(*source_, sink);
    for (std::size_t rank = 0; rank < speeds.size(); ++rank) {
      const std::vector<double>& seconds = sink.seconds()[rank];
      double sum = 0;
      for (const double segment : seconds) sum += segment;
      speeds[rank]->images_per_second.push_back(static_cast<double>(images_) / sum);
      speeds[rank]->p50.push_back(percentile(seconds, 50) * 1e3);
      speeds[rank]->p99.push_back(percentile(seconds, 99) * 1e3);
    }
  }

 private:
  Ensemble ensemble_;
  std::unique_ptr<Source> source_;
  std::uint64_t images_;
};

/// A member with its setting in the ensemble, alone on the machine.
config::EnsembleSpec alone(const config::EnsembleSpec& whole, std::size_t rank, std::uint32_t threads) {
  config::EnsembleSpec spec = whole;
  spec.members = {whole.members[rank]};
  spec.workers.clear();
  spec.threads = threads;
  return spec;
}

void add_rows(std::vector<Row>& rows, const std::string& name, const Speed& speed, const json::object& conditions,
              const std::string& note) {
  const auto add = [&](const std::string& what, const std::string& unit, const std::vector<double>& samples,
                       const std::string& remark) {
    rows.push_back({.bench = "interference",
                    .name = name + what,
                    .conditions = conditions,
                    .unit = unit,
                    .higher_is_better = unit == "images/s",
                    .samples = samples,
                    .note = remark});
  };
  add("", "images/s", speed.images_per_second, note);
  add(": segment, p50", "ms", speed.p50, {});
  add(": segment, p99", "ms", speed.p99, {});
}

}  // namespace

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::vector<Row> interference_rows(const Field& field, const ImageSet& images, int repeats) {
  config::EnsembleSpec whole = field.spec;
  whole.slots = 1;
  whole.checkpoint_segments = 1;
  const Plan plan = make_plan(whole, field.machine, {images.shape(), images.count()}, {field.worker, {}, false});
  std::vector<std::unique_ptr<Group>> groups;
  for (std::size_t rank = 0; rank < whole.members.size(); ++rank)
    groups.push_back(std::make_unique<Group>(field, images, alone(whole, rank, plan.members[rank].request.threads)));
  Group together(field, images, whole);
  std::vector<Speed> apart(groups.size());
  std::vector<Speed> beside(groups.size());
  std::vector<Speed*> all;
  for (Speed& speed : beside) all.push_back(&speed);
  for (const auto& group : groups) group->warm_up();
  together.warm_up();
  for (int round = 0; round < repeats; ++round) {
    log::info("interference, {} of {}", round + 1, repeats);
    for (std::size_t rank = 0; rank < groups.size(); ++rank) {
      Speed* const one = &apart[rank];
      groups[rank]->measure(std::span(&one, 1));
    }
    together.measure(all);
  }
  std::vector<Row> rows;
  const json::object conditions = conditions_of(field, images, field.spec.batch_images);
  for (std::size_t rank = 0; rank < groups.size(); ++rank) {
    const std::string& name = whole.members[rank].name;
    const double ratio =
        statistics(beside[rank].images_per_second).median / statistics(apart[rank].images_per_second).median;
    add_rows(rows, name + " alone", apart[rank], conditions, {});
    add_rows(rows, name + " beside the others", beside[rank], conditions, fmt::format("{:.2f}x of alone", ratio));
  }
  return rows;
}

}  // namespace tutti::bench
