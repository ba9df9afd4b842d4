#include "bench/comparison/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bench/comparison/comparison.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"

namespace tutti::bench {
namespace {

constexpr int kPasses = 3;
constexpr std::array kContenders{Contender::sequential, Contender::threads, Contender::branches, Contender::fused,
                                 Contender::multiprocess};

/// The description at a point: as many copies of its first member as the point has, each with another seed.
Field field_at(const Field& base, const Point& point) {
  Field field = base;
  field.spec.segment_images = point.segment_images;
  field.spec.batch_images = point.batch_images;
  config::MemberSpec member = base.spec.members.front();
  if (point.fake_us) member.model = {FakeModel{.delay_us = *point.fake_us, .faults = {}}, {}};
  if (!field.cuda) {
    field.cores.resize(std::min<std::size_t>(point.cores, field.cores.size()));
    field.usable_cores = point.cores;
    member.device = config::CpuDevice{field.cores};
  }
  if (point.fake_us) {
    member.device = config::CpuDevice{field.cores};
    field.cuda = false;
  }
  field.spec.members.clear();
  field.spec.workers.clear();
  for (std::uint32_t rank = 0; rank < point.members; ++rank) {
    member.name = fmt::format("m{}", rank);
    member.seed = field.spec.seed + rank;
    field.spec.members.push_back(member);
  }
  return field;
}

/// The threads that fit the cores, without trying: members at once, and the remaining cores inside each.
Setting usual_setting(Contender contender, const Point& point) {
  const std::uint32_t at_once = std::min(point.members, point.cores);
  const std::uint32_t inside = point.cores / at_once;
  switch (contender) {
    case Contender::threads:
    case Contender::branches:
      // Members that sleep need no core.
      return point.fake_us ? Setting{1, point.members, point.batch_images}
                           : Setting{inside, at_once, point.batch_images};
    case Contender::multiprocess:
      return {inside, point.members, point.batch_images};
    default:
      return {point.cores, 1, point.batch_images};
  }
}

std::string model_text(const Field& field, const Point& point) {
  return point.fake_us ? fmt::format("fake {} us", *point.fake_us) : kinds_of(field.spec);
}

/// Images per second of each pass, interleaved.
std::map<Contender, std::vector<double>> measure(const Field& field, const Point& point, const ImageSet& images) {
  std::map<Contender, std::unique_ptr<Contestant>> contestants;
  for (const Contender contender : kContenders) {
    try {
      const Setting setting = field.cuda ? settings_on_gpu(contender, point.members, point.batch_images).back()
                                         : usual_setting(contender, point);
      auto contestant = start(field, contender, setting, images);
      contestant->pass();
      contestants.emplace(contender, std::move(contestant));
    } catch (const Refused&) {
      // The table shows that it did not run. The reason is the same at every point, and the comparison gives it.
    }
  }
  std::map<Contender, std::vector<double>> speeds;
  for (int pass = 0; pass < kPasses; ++pass)
    for (const auto& [contender, contestant] : contestants)
      speeds[contender].push_back(static_cast<double>(images.count()) / contestant->pass());
  return speeds;
}

class Sweep {
 public:
  Sweep(const Field& field, const ImageSet& images, std::chrono::seconds time, Reporter& out)
      : field_(field), images_(images), end_(std::chrono::steady_clock::now() + time), out_(out) {}

  void run() {
    const std::vector<Point> points = sweep_points({static_cast<std::uint32_t>(field_.spec.members.size()),
                                                    field_.spec.batch_images,
                                                    field_.spec.segment_images,
                                                    field_.usable_cores,
                                                    {}});
    head();
    std::size_t done = 0;
    for (; done < points.size() && std::chrono::steady_clock::now() < end_; ++done) look_at(points[done]);
    foot(points.size() - done);
  }

 private:
  void head() {
    fmt::print("\nsweep: images/s, median of {} passes\n{:>7} {:>5} {:>7} {:>5} {:<16}", kPasses, "members", "batch",
               "segment", "cores", "model");
    for (const Contender contender : kContenders) fmt::print(" {:>12}", to_name(contender));
    fmt::print("  winner\n");
    std::fflush(stdout);
  }

  void look_at(const Point& point) {
    const Field field = field_at(field_, point);
    const ImageSet images = images_.first(2ULL * point.segment_images);
    const auto samples = measure(field, point, images);
    Speeds speeds;
    fmt::print("{:>7} {:>5} {:>7} {:>5} {:<16}", point.members, point.batch_images, point.segment_images, point.cores,
               model_text(field, point));
    for (const Contender contender : kContenders) {
      const auto found = samples.find(contender);
      if (found != samples.end()) speeds[contender] = record(field, point, images, contender, found->second);
      fmt::print(" {:>12}", found == samples.end() ? "-" : number_text(speeds[contender]));
    }
    const Verdict verdict = judge(speeds);
    fmt::print("  {} by {:.2f}x\n", to_name(verdict.winner), verdict.lead);
    std::fflush(stdout);
    wins_[verdict.winner].push_back(verdict.lead);
  }

  double record(const Field& field, const Point& point, const ImageSet& images, Contender contender,
                std::vector<double> samples) {
    Row row{.bench = "sweep",
            .name = std::string(to_name(contender)),
            .conditions = conditions_of(field, images, point.batch_images),
            .unit = "images/s",
            .higher_is_better = true,
            .samples = std::move(samples),
            .note = to_text(contender, usual_setting(contender, point))};
    row.conditions["model"] = model_text(field, point);
    out_.record(row);
    return statistics(row.samples).median;
  }

  void foot(std::size_t left) {
    for (const auto& [contender, leads] : wins_)
      fmt::print("{} won at {}, by {:.2f}x to {:.2f}x\n", to_name(contender), counted(leads.size(), "point"),
                 *std::min_element(leads.begin(), leads.end()), *std::max_element(leads.begin(), leads.end()));
    if (left > 0) fmt::print("{} left out because the time was up; raise --sweep-seconds\n", counted(left, "point"));
    std::fflush(stdout);
  }

  const Field& field_;
  const ImageSet& images_;
  const std::chrono::steady_clock::time_point end_;
  Reporter& out_;
  std::map<Contender, std::vector<double>> wins_;
};

}  // namespace

void sweep(const Field& field, const ImageSet& images, std::chrono::seconds time, Reporter& out) {
  Sweep(field, images, time, out).run();
}

}  // namespace tutti::bench
