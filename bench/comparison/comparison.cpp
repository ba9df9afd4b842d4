#include "bench/comparison/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

#include <tutti/error.hpp>

#include "bench/comparison/multiplication.hpp"
#include "bench/comparison/noise.hpp"
#include "bench/comparison/time_bound.hpp"
#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"

namespace tutti::bench {
namespace {

using Clock = std::chrono::steady_clock;

class Comparison {
 public:
  Comparison(const Field& field, const ImageSet& images, const ComparisonChoices& choices)
      : field_(field),
        images_(images),
        choices_(choices),
        begin_(Clock::now()),
        short_(images.first(images_to_try(workload(seconds_of_one())))),
        members_(static_cast<std::uint32_t>(field.spec.members.size())) {}

  ComparisonResult run() {
    if (choices_.seconds > 0)
      log::info(
          "comparing {} in about {:g} s, or longer if starting each of them twice and computing one batch with each in "
          "every round takes that long; --seconds changes that, and 0 takes as long as it needs",
          strategies_text(), choices_.seconds);
    for (const Contender contender : choices_.contenders) enter(contender);
    weigh();
    race();
    return std::move(result_);
  }

 private:
  // The shares of the time after which a step is cut short; the rounds get the rest.
  static constexpr double kUntilTried = 0.4;
  static constexpr double kUntilWeighed = 0.6;
  /// A pass that takes longer is not repeated in a trial: its own scatter is small.
  static constexpr double kSlowPass = 1;

  double left_until(double share) const {
    return choices_.seconds > 0 ? share * choices_.seconds - seconds_since(begin_)
                                : std::numeric_limits<double>::infinity();
  }

  std::string strategies_text() const {
    return choices_.contenders.size() == 1 ? "1 strategy" : fmt::format("{} strategies", choices_.contenders.size());
  }

  Workload workload(double seconds_per_image) const {
    return {seconds_per_image, images_.count(), field_.spec.segment_images, field_.spec.batch_images, choices_.repeats};
  }

  /// Seconds per image of `sequential, one thread`, from one batch, so that no step begins with minutes of large
  /// models; 0 if it cannot run.
  double seconds_of_one() const {
    const ImageSet batch = images_.first(field_.spec.batch_images);
    try {
      const auto one = start(field_, Contender::sequential_one, {1, 1, field_.spec.batch_images}, batch);
      return one->pass() / static_cast<double>(batch.count());
    } catch (const Refused&) {
      return 0;
    }
  }

  void enter(Contender contender) {
    if (field_.cuda && is_repeated_on_gpu(contender)) return;
    Entry entry{.contender = contender, .setting = {1, 1, field_.spec.batch_images}};
    attempt(entry, [&] { settle(entry); });
    result_.entries.push_back(entry);
    if (choices_.batches.empty()) return;
    entry.own_batch = true;
    attempt(entry, [&] { settle_batch(entry); });
    result_.entries.push_back(std::move(entry));
  }

  /// A strategy that cannot run these members is left out from then on, and its row says why.
  template <class Step>
  void attempt(Entry& entry, Step step) {
    if (!entry.skipped.empty()) return;
    try {
      step();
    } catch (const Refused& refused) {
      entry.skipped = refused.message();
      log::info("{}: skipped: {}", entry.name(), entry.skipped);
    }
  }

  double trial(Contender contender, const Setting& setting) {
    if (left_until(kUntilTried) <= 0) {
      log::info("{}: {}, batch {}: not tried, because the time for trying settings is up", title(contender),
                to_text(contender, setting, field_.cuda), setting.batch_images);
      return std::numeric_limits<double>::infinity();
    }
    const auto contestant = start(field_, contender, setting, short_);
    double seconds = contestant->pass();
    if (seconds < kSlowPass) seconds = std::min(contestant->pass(), contestant->pass());
    log::info("{}: {}, batch {}: {:.3f} s for {} images", title(contender), to_text(contender, setting, field_.cuda),
              setting.batch_images, seconds, short_.count());
    return seconds;
  }

  void settle(Entry& entry) {
    const std::uint32_t batch = field_.spec.batch_images;
    const auto settings = field_.cuda ? settings_on_gpu(entry.contender, members_, batch)
                                      : settings_to_try(entry.contender, field_.usable_cores, members_, batch);
    entry.setting = fastest(settings, [&](const Setting& setting) { return trial(entry.contender, setting); });
  }

  // Not every pair is tried: first the threads, then the batch with the best threads.
  void settle_batch(Entry& entry) {
    std::vector<Setting> settings{entry.setting};
    for (const std::uint32_t batch : choices_.batches) {
      Setting setting = entry.setting;
      setting.batch_images = batch;
      if (std::find(settings.begin(), settings.end(), setting) == settings.end()) settings.push_back(setting);
    }
    entry.setting = fastest(settings, [&](const Setting& setting) { return trial(entry.contender, setting); });
  }

  // One at a time, because a page that two processes map counts half for each.
  void weigh() {
    for (int repeat = 0; repeat < choices_.repeats; ++repeat) {
      if (repeat > 0 && left_until(kUntilWeighed) <= 0)
        return log::info("start-up and memory: {} of {} rounds, because their time is up", repeat, choices_.repeats);
      for (Entry& entry : result_.entries) {
        attempt(entry, [&] { weigh(entry); });
        if (entry.skipped.empty())
          log::info("start-up and memory, {} of {}: {}: {:.2f} s", repeat + 1, choices_.repeats, entry.name(),
                    entry.start_up.back());
      }
    }
  }

  void weigh(Entry& entry) {
    const auto begin = Clock::now();
    const auto contestant = start(field_, entry.contender, entry.setting, short_);
    entry.start_up.push_back(seconds_since(begin));
    entry.backend = contestant->backend();
    entry.per_image = contestant->pass() / static_cast<double>(short_.count());
    if (const auto bytes = contestant->pss_bytes()) entry.memory.push_back(static_cast<double>(*bytes) / (1 << 20));
  }

  /// Decides over how many images and how often, and says how long that takes.
  int plan_rounds() {
    double per_image = 0;
    double starts = 0;
    for (const Entry& entry : result_.entries) {
      if (!entry.skipped.empty()) continue;
      per_image += entry.per_image;
      starts += entry.start_up.back();
    }
    const Rounds fitting = rounds_that_fit(workload(per_image), left_until(1) - starts);
    if (fitting.images < images_.count()) result_.fewer = images_.first(fitting.images);
    const bool less = fitting.images < images_.count() || fitting.rounds < choices_.repeats;
    log::info("{} over {}{}: about {:.0f} s{}", counted(static_cast<std::uint64_t>(fitting.rounds), "round"),
              fitting.images < images_.count() ? fmt::format("the first {} of ", fitting.images) : "",
              counted(images_.count(), "image"), fitting.seconds,
              less ? fmt::format(", because {:g} s are aimed at; --seconds 0 takes {} over all", choices_.seconds,
                                 counted(static_cast<std::uint64_t>(choices_.repeats), "round"))
                   : "");
    return fitting.rounds;
  }

  const ImageSet& raced() const { return result_.images(images_); }

  void race() {
    const int rounds = plan_rounds();
    result_.rounds = rounds;
    Contestants contestants;
    for (Entry& entry : result_.entries) {
      contestants.push_back(nullptr);
      if (entry.skipped.empty()) log::info("starting '{}'", entry.name());
      attempt(entry, [&] { contestants.back() = start(field_, entry.contender, entry.setting, raced()); });
    }
    warm_up(contestants);
    start_multipliers();
    note_noise();
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < contestants.size(); ++i) {
        if (!contestants[i]) continue;
        log::info("round {} of {}: '{}'", round + 1, rounds, result_.entries[i].name());
        result_.entries[i].seconds.push_back(contestants[i]->pass());
      }
      note_noise();
    }
  }

  using Contestants = std::vector<std::unique_ptr<Contestant>>;

  /// One pass of each strategy that is not timed; its predictions are compared with those of `sequential`, which is
  /// started only for this if it was not chosen.
  void warm_up(const Contestants& contestants) {
    const std::optional<std::size_t> sequential = sequential_of(contestants);
    std::vector<float> reference = sequential ? warmed(*contestants[*sequential], *sequential) : sequential_answer();
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      if (!contestants[i]) continue;
      const std::vector<float> answer = i == sequential ? reference : warmed(*contestants[i], i);
      if (reference.empty()) reference = answer;  // nothing else runs here: a build without LibTorch
      result_.tolerance = tolerance_for(field_.spec.combine, reference, raced().count());
      result_.entries[i].agreement = compare(reference, answer, raced().count(), result_.tolerance);
    }
    if (reference.empty())
      throw Error(ErrorKind::failed, "no strategy can run these members", result_.entries.front().skipped);
  }

  std::vector<float> warmed(Contestant& contestant, std::size_t number) const {
    log::info("warming up '{}'", result_.entries[number].name());
    contestant.pass();
    return contestant.answer();
  }

  /// The one with which the others are compared, if it was chosen.
  std::optional<std::size_t> sequential_of(const Contestants& contestants) const {
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      const Entry& entry = result_.entries[i];
      if (contestants[i] && entry.contender == Contender::sequential_one && !entry.own_batch) return i;
    }
    return std::nullopt;
  }

  /// Nothing if it does not run here.
  std::vector<float> sequential_answer() {
    Entry alone{.contender = Contender::sequential_one, .setting = {1, 1, field_.spec.batch_images}};
    std::vector<float> answer;
    attempt(alone, [&] {
      const auto sequential = start(field_, alone.contender, alone.setting, raced());
      sequential->pass();
      answer = sequential->answer();
    });
    return answer;
  }

  /// Only if the members' arithmetic is known and can be compared with it.
  void start_multipliers() {
    if (field_.cuda || field_.single.empty() || !operations_per_image(field_.spec, images_.shape())) return;
    multipliers_.emplace(field_, images_);
    multipliers_->measure();
  }

  void note_noise() {
    result_.noise.push_back(time_fixed_arithmetic(field_.usable_cores) * 1e3);
    if (multipliers_) result_.multiply.push_back(multipliers_->measure());
  }

  const Field& field_;
  const ImageSet& images_;
  const ComparisonChoices& choices_;
  const Clock::time_point begin_;
  const ImageSet short_;  ///< on which settings are tried
  const std::uint32_t members_;
  std::optional<Multipliers> multipliers_;
  ComparisonResult result_;
};

}  // namespace

std::string Entry::name() const { return fmt::format("{}{}", title(contender), own_batch ? ", its own batch" : ""); }

std::string ComparisonResult::backend() const {
  for (const Entry& entry : entries)
    if (!entry.backend.empty()) return entry.backend;
  return {};
}

std::vector<std::string> ComparisonResult::disagreeing() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries)
    if (entry.agreement && !entry.agreement->within) names.push_back(entry.name());
  return names;
}

ComparisonResult compare_strategies(const Field& field, const ImageSet& images, const ComparisonChoices& choices) {
  return Comparison(field, images, choices).run();
}

}  // namespace tutti::bench
