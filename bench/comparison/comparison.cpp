#include "bench/comparison/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <tutti/error.hpp>

#include "bench/comparison/multiplication.hpp"
#include "bench/comparison/noise.hpp"
#include "common/clock.hpp"
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
        short_(images.first(2ULL * field.spec.segment_images)),
        members_(static_cast<std::uint32_t>(field.spec.members.size())) {}

  ComparisonResult run() {
    for (const Contender contender : choices_.contenders) enter(contender);
    weigh();
    race();
    return std::move(result_);
  }

 private:
  void enter(Contender contender) {
    Entry entry{.contender = contender, .setting = {1, 1, field_.spec.batch_images}};
    if (field_.cuda) entry.skipped = left_out_on_gpu(contender);
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
    const auto contestant = start(field_, contender, setting, short_);
    contestant->pass();
    const double seconds = std::min(contestant->pass(), contestant->pass());
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
      log::info("start-up and memory, {} of {}", repeat + 1, choices_.repeats);
      for (Entry& entry : result_.entries) attempt(entry, [&] { weigh(entry); });
    }
  }

  void weigh(Entry& entry) {
    const auto begin = Clock::now();
    const auto contestant = start(field_, entry.contender, entry.setting, short_);
    entry.start_up.push_back(seconds_since(begin));
    entry.backend = contestant->backend();
    contestant->pass();
    if (const auto bytes = contestant->pss_bytes()) entry.memory.push_back(static_cast<double>(*bytes) / (1 << 20));
  }

  void race() {
    std::vector<std::unique_ptr<Contestant>> contestants;
    for (Entry& entry : result_.entries) {
      contestants.push_back(nullptr);
      attempt(entry, [&] { contestants.back() = start(field_, entry.contender, entry.setting, images_); });
    }
    warm_up(contestants);
    start_multipliers();
    note_noise();
    for (int round = 0; round < choices_.repeats; ++round) {
      log::info("round {} of {}", round + 1, choices_.repeats);
      for (std::size_t i = 0; i < contestants.size(); ++i)
        if (contestants[i]) result_.entries[i].seconds.push_back(contestants[i]->pass());
      note_noise();
    }
  }

  /// One pass of each strategy that is not timed; its predictions are compared with those of `sequential`, which is
  /// started only for this if it was not chosen.
  void warm_up(const std::vector<std::unique_ptr<Contestant>>& contestants) {
    std::vector<float> reference = sequential_answer(contestants);
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      if (!contestants[i]) continue;
      contestants[i]->pass();
      const std::vector<float> answer = contestants[i]->answer();
      if (reference.empty()) reference = answer;  // nothing else runs here: a build without LibTorch
      result_.tolerance = tolerance_for(field_.spec.combine, reference, images_.count());
      result_.entries[i].agreement = compare(reference, answer, images_.count(), result_.tolerance);
    }
    if (reference.empty())
      throw Error(ErrorKind::failed, "no strategy can run these members", result_.entries.front().skipped);
  }

  std::vector<float> sequential_answer(const std::vector<std::unique_ptr<Contestant>>& contestants) {
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      const Entry& entry = result_.entries[i];
      if (!contestants[i] || entry.contender != Contender::sequential_one || entry.own_batch) continue;
      contestants[i]->pass();
      return contestants[i]->answer();
    }
    Entry alone{.contender = Contender::sequential_one, .setting = {1, 1, field_.spec.batch_images}};
    std::vector<float> answer;
    attempt(alone, [&] {
      const auto sequential = start(field_, alone.contender, alone.setting, images_);
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
  const ImageSet short_;  ///< two segments, on which settings are tried
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
