// Runs a pool of four members, or of a graph of all that there is, again and again while a seeded thread kills, stops
// and continues its workers, and checks after each run that every byte is that of an undisturbed one, and after each
// pool that nothing is left behind.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <tutti/ensemble.hpp>

#include "common/log.hpp"
#include "common/random.hpp"
#include "config/workers.hpp"
#include "tests/chaos/graph.hpp"
#include "tests/chaos/strikes.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/census.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kMembers = 4;
constexpr std::size_t kImages = 8 * 60;  // 60 segments
constexpr int kRunsPerPool = 12;
constexpr std::uint64_t kEnough = 10;  // of what is found wrong: more of it says nothing new

struct Order {
  double seconds = 20;
  std::uint64_t seed = 1;
  double rate = 20;
  std::string members = "fake";
  std::string spares = "none";
  std::string sharing = "none";
  std::uint32_t replicas = 1;
  bool cascade = false;
  bool stages = false;
  std::string worker;
  bool verbose = false;
};

/// Counts of the work, and the errors that were found.
struct Tally {
  StrikeCounts strikes;
  std::uint64_t pools = 0;
  std::uint64_t predictions = 0;
  std::uint64_t trainings = 0;
  std::uint64_t segments = 0;
  FaultCounts faults;
  std::uint64_t wrong_bytes = 0;
  std::uint64_t left_behind = 0;
  std::uint64_t errors = 0;
};

void add(FaultCounts& sum, const FaultCounts& more) {
  sum.deaths += more.deaths;
  sum.hangs += more.hangs;
  sum.violations += more.violations;
  sum.restarts += more.restarts;
  sum.handed_out_again += more.handed_out_again;
  sum.taken_over += more.taken_over;
  sum.stale_dropped += more.stale_dropped;
  sum.set_aside += more.set_aside;
  sum.missed_wake_ups += more.missed_wake_ups;
}

/// Four members, each in a worker of its own unless the order says otherwise.
config::EnsembleSpec four_members(const Order& order) {
  config::EnsembleSpec spec = fake_spec(kMembers);
  for (std::size_t rank = 0; rank < kMembers; ++rank) {
    config::MemberSpec& member = spec.members[rank];
    if (order.members == "fake")
      fake_model(spec, rank).delay_us = 300;
    else
      member.model.kind = SmallCnnModel{4};  // its input is fixed
    member.train.epochs = 1;
    member.train.batch_images = 4;
    member.train.learning_rate = 0.125;
  }
  spec.slots = 4;
  spec.input.shape = spec.train_input.shape = order.members == "fake" ? ImageShape{1, 8, 8} : ImageShape{3, 32, 32};
  // While members learn, each has one worker of its own.
  if (order.sharing != "none") spec.workers = {{{0, 1, 2}, from_name<UnitMode>(order.sharing).value()}};
  if (order.replicas > 1) {
    if (spec.workers.empty()) spec.workers = {{.members = {0}}};
    spec.workers.front().replicas = order.replicas;
    spec.slots = config::slots_for(spec.workers);
  }
  if (order.cascade)
    spec.cascade = {{{0, 1}, config::Doubt::confidence_below, 0.33, {2}},
                    {{0, 1, 2}, config::Doubt::margin_below, 0.05, {3}}};
  return spec;
}

/// Restart budget and poison limit are off: they have separate tests.
config::EnsembleSpec spec_for(const Order& order) {
  config::EnsembleSpec spec = order.stages ? graph_spec() : four_members(order);
  spec.threads = 1;
  spec.failure.restart_limit.reset();
  spec.failure.poison_limit.reset();
  spec.failure.back_off = 0.001;
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = order.members == "fake" ? 0.5 : 5;
  spec.failure.spares = from_name<Spares>(order.spares).value();
  return spec;
}

std::vector<std::int64_t> labels() {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < kImages; ++i) labels.push_back(static_cast<std::int64_t>(random_at(9, i) % 4));
  return labels;
}

/// The results of a prediction and a training, as bytes.
class Reference {
 public:
  explicit Reference(const config::EnsembleSpec& spec)
      : pixels_(random_images(kImages, 1, spec.input.shape)), spec_(spec) {}

  std::vector<float> predict(Ensemble& ensemble) const {
    return ensemble.predict({std::span<const float>(pixels_), spec_.input.shape}).values;
  }
  std::string train(Ensemble& ensemble) const {
    const TemporaryFolder folder;
    ListSource source(pixels_, labels(), spec_.input.shape);
    std::string bytes;
    for (const auto& file : ensemble.train(source, folder.path()).weights) {
      std::ifstream in(file, std::ios::binary);
      bytes.append(std::istreambuf_iterator<char>(in), {});
    }
    return bytes;
  }

 private:
  std::vector<float> pixels_;
  const config::EnsembleSpec& spec_;
};

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// What nobody is asked for is not tested.
void check_all_asked(const Ensemble& calm) {
  for (const MemberStatus& member : calm.status().members)
    if (member.images == 0) throw Error(ErrorKind::failed, fmt::format("{} was asked for no image", member.name));
}

/// One pool: trained or asked several times under fire.
void run_pool(const Order& order, const config::EnsembleSpec& spec, bool training, std::uint64_t& drawn,
              const std::function<bool()>& over, Tally& tally) {
  const Reference reference(spec);
  Options options;
  options.worker = order.worker;
  options.training = training;
  std::vector<float> values;
  std::string weights;
  {
    Ensemble calm(published(spec), options);
    if (training) {
      weights = reference.train(calm);
    } else {
      values = reference.predict(calm);
      check_all_asked(calm);
    }
  }
  Ensemble ensemble(published(spec), options);
  {
    const Strikes strikes(ensemble, {order.seed, order.rate}, drawn, tally.strikes);
    for (int run = 0; run < kRunsPerPool && !over(); ++run) {
      if (training) {
        ++tally.trainings;
        // Further trainings would continue from the first one's weights.
        if (reference.train(ensemble) != weights) ++tally.wrong_bytes;
        break;
      }
      ++tally.predictions;
      if (!same_bytes(reference.predict(ensemble), values)) ++tally.wrong_bytes;
    }
  }
  const Status status = ensemble.status();
  add(tally.faults, status.faults);
  for (const MemberStatus& member : status.members) tally.segments += member.segments_answered;
}

std::string text_of(const Order& order) {
  const std::string what = order.stages
                               ? "a graph with stages"
                               : fmt::format("{} members, sharing {}, replicas {}{}", order.members, order.sharing,
                                             order.replicas, order.cascade ? ", a cascade" : "");
  return fmt::format("seed {}, {}, spares {}", order.seed, what, order.spares);
}

void print(const Order& order, const Tally& tally, double seconds) {
  fmt::print(
      "chaos: {:.0f} s, {}: {} kills, {} stops ({} never continued); {} pools, {} predictions, {} trainings, {} "
      "segments answered\n"
      "  {} deaths ({} hangs, {} violations), {} restarts, {} tasks handed out again, {} taken over, {} stale answers "
      "dropped\n"
      "  wrong bytes {}, left behind {}, errors {}, segments set aside {}, missed wake-ups {}\n",
      seconds, text_of(order), tally.strikes.kills, tally.strikes.stops, tally.strikes.forgotten, tally.pools,
      tally.predictions, tally.trainings, tally.segments, tally.faults.deaths, tally.faults.hangs,
      tally.faults.violations, tally.faults.restarts, tally.faults.handed_out_again, tally.faults.taken_over,
      tally.faults.stale_dropped, tally.wrong_bytes, tally.left_behind, tally.errors, tally.faults.set_aside,
      tally.faults.missed_wake_ups);
  std::fflush(stdout);
}

int run(const Order& order) {
  using Clock = std::chrono::steady_clock;
  log::set_level(order.verbose ? log::Level::warning : log::Level::error);
  adopt_orphans();
  settle_threads();
  const auto begin = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const config::EnsembleSpec spec = spec_for(order);
  Tally tally;
  std::uint64_t drawn = 0;
  double told = 0;
  Census before;
  for (; passed() < order.seconds; ++tally.pools) {
    if (tally.pools == 1) before = Census::now();  // the first pool has brought what stays: the log's thread
    try {
      const bool training = !order.stages && tally.pools % 3 == 2;  // stages do not learn
      run_pool(
          order, spec, training, drawn, [&] { return passed() >= order.seconds; }, tally);
    } catch (const std::exception& error) {
      ++tally.errors;
      fmt::print("pool {}: {}\n", tally.pools, error.what());
    }
    if (tally.pools > 0 && !happens([&] { return Census::now() == before; })) {
      ++tally.left_behind;
      fmt::print("pool {}: before: {}\nafter: {}\n", tally.pools, before.text(), Census::now().text());
    }
    if (tally.errors + tally.left_behind + tally.wrong_bytes >= kEnough) break;
    if (passed() - told > 60) {
      told = passed();
      print(order, tally, told);
    }
  }
  print(order, tally, passed());
  const bool sound = tally.wrong_bytes + tally.left_behind + tally.errors + tally.faults.set_aside +
                         tally.faults.missed_wake_ups + tally.faults.violations ==
                     0;
  if (!sound) fmt::print("FAILED\n");
  // A driver that never strikes would find nothing.
  if (tally.strikes.kills == 0) fmt::print("FAILED: not a single worker was killed\n");
  return sound && tally.strikes.kills > 0 ? 0 : 1;
}

}  // namespace
}  // namespace tutti::test

int main(int argc, char** argv) {
  tutti::test::Order order;
  order.worker = tutti::test::kWorkerProgram;
  CLI::App app("Kills workers at random and checks that no bit changes", "tutti-chaos");
  app.add_option("--seconds", order.seconds, "how long")->capture_default_str();
  app.add_option("--seed", order.seed, "of the random moments")->capture_default_str();
  app.add_option("--rate", order.rate, "strikes per second")->capture_default_str();
  app.add_option("--members", order.members, "fake or small-cnn")
      ->check(CLI::IsMember({"fake", "small-cnn"}))
      ->capture_default_str();
  app.add_option("--spares", order.spares, "none, process or member")
      ->check(CLI::IsMember({"none", "process", "member"}))
      ->capture_default_str();
  app.add_option("--sharing", order.sharing, "three of the members share a worker: none, loop, threads or fused")
      ->check(CLI::IsMember({"none", "loop", "threads", "fused"}))
      ->capture_default_str();
  app.add_option("--replicas", order.replicas, "workers that those who share one have, or else the first member")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_flag("--cascade", order.cascade,
               "two of the members are asked only for doubtful samples, one after the other");
  CLI::Option* const stages = app.add_flag(
      "--stages", order.stages,
      "a graph that has all of it: members that share workers, replicas, stages with steps and rows, and a "
      "cascade");
  for (const char* other : {"--members", "--sharing", "--replicas", "--cascade"})
    stages->excludes(app.get_option(other));
  app.add_option("--worker", order.worker, "the program tutti-worker")->capture_default_str();
  app.add_flag("--verbose", order.verbose, "show what the pool says");
  CLI11_PARSE(app, argc, argv);
  return tutti::test::run(order);
}
