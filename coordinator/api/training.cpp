#include "coordinator/api/training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/random.hpp"
#include "coordinator/plan/input.hpp"

namespace tutti {

void check_trains(const Plan& plan, Learns learns, const Source& source) {
  if (source.count() == 0) throw Error(ErrorKind::usage, "there are no images to train on", source.name());
  if (!plan.may_learn())
    throw Error(ErrorKind::usage, "members that are fused or have several workers cannot be trained",
                "the ensemble was made for predictions, with the 'workers' of its description",
                "make it with Options::training: each member then has one worker, and computes by itself");
  if (!plan.cascade.empty() || plan.quorum)
    throw Error(ErrorKind::usage, "an ensemble with a 'cascade' or a 'quorum' cannot be trained",
                "it was made for predictions, in which members are not always asked or waited for",
                "make it with Options::training: every member is then asked for everything, and waited for");
  if (learns == Learns::weights && !source.labelled())
    throw Error(
        ErrorKind::usage, fmt::format("{} has no labels to train on", source.name()),
        source.label_layout() ? "members are trained on one class per image, and its labels are of another form" : "",
        "give 'train.input' labels ('labels' for npy, 'classes' for random), or use a data set that has them");
}

Epoch::Epoch(Source& source, Learns learns, std::uint64_t seed, std::uint32_t number, std::uint32_t classes,
             ByRank<bool> asked, bool final_for_some)
    : source_(source),
      labelled_(learns == Learns::weights),
      number_(number),
      classes_(classes),
      asked_(std::move(asked)),
      final_for_some_(final_for_some),
      sums_(asked_.size()) {
  order_.resize(source.count());
  std::iota(order_.begin(), order_.end(), std::uint64_t{0});
  if (learns == Learns::weights) shuffle(std::span(order_), random_at(seed, number));
}

std::uint32_t Epoch::fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) {
  const auto images = static_cast<std::uint32_t>(std::min<std::uint64_t>(layout.images, order_.size() - next_));
  const auto chosen = std::span(order_).subspan(next_, images);
  read_images(source_, chosen, {arena, layout, slot}, labelled_);
  const auto view = slot_view(arena, layout, slot, images);
  std::copy(chosen.begin(), chosen.end(), view.numbers.begin());
  for (std::uint32_t i = 0; labelled_ && i < images; ++i)
    if (view.labels[i] < 0 || view.labels[i] >= static_cast<std::int64_t>(classes_))
      throw Error(ErrorKind::usage,
                  fmt::format("image {} of {} has the label {}, but the members have only {}", chosen[i],
                              source_.name(), view.labels[i], counted(classes_, "class")),
                  {}, "labels count from 0; give the models as many classes as the data has");
  next_ += images;
  return images;
}

void Epoch::deliver(const FinishedSegment& finished) {
  for (const Rank rank : sums_.ids()) {
    const Ledger::Row& row = finished.segment.rows[rank];
    if (!asked_[rank]) continue;
    if (!row.present) {
      sums_[rank].complete = false;
      continue;
    }
    sums_[rank].loss += row.completion.loss_sum;
    sums_[rank].correct += row.completion.correct;
    sums_[rank].images += row.completion.trained;
    sums_[rank].nanoseconds += row.completion.busy_nanoseconds;
  }
}

std::vector<EpochResult> Epoch::results() const {
  std::vector<EpochResult> results;
  for (const Rank rank : sums_.ids()) {
    if (!asked_[rank] || !sums_[rank].complete) continue;
    const Sums& sums = sums_[rank];
    const double images = std::max(1.0, static_cast<double>(sums.images));
    results.push_back({rank.value(), number_, sums.loss / images, static_cast<double>(sums.correct) / images,
                       sums.images, static_cast<double>(sums.nanoseconds) * 1e-9});
  }
  return results;
}

}  // namespace tutti
