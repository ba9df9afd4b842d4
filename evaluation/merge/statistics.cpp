#include "evaluation/merge/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include <tutti/ensemble.hpp>

#include "common/clock.hpp"
#include "coordinator/plan/input.hpp"
#include "images/planes.hpp"

namespace tutti {
namespace {

/// The images of another source; shows progress as they are read.
class ShownSource final : public images::Forwarding {
 public:
  ShownSource(Source& source, ShownImages& shown) : Forwarding(source), shown_(shown) {}

 protected:
  void after_read(std::size_t samples, std::span<std::int64_t> /*labels*/) override { shown_.show(read_ += samples); }

 private:
  ShownImages& shown_;
  std::uint64_t read_ = 0;
};

/// The file that the worker writes; removed with this value.
class ShortLived {
 public:
  explicit ShortLived(std::filesystem::path path) : path_(std::move(path)) {}
  ~ShortLived() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ShortLived(const ShortLived&) = delete;
  ShortLived& operator=(const ShortLived&) = delete;

 private:
  std::filesystem::path path_;
};

}  // namespace

StatisticsEstimation::StatisticsEstimation(const config::EnsembleSpec& spec, std::filesystem::path worker,
                                           MergeWatcher& watcher)
    : spec_(spec),
      worker_(std::move(worker)),
      watcher_(watcher),
      source_(open_source(alone({}, {}), *spec.merge->input)) {
  if (source_->count() == 0)
    throw Error(ErrorKind::usage,
                fmt::format("{} has no images to estimate BatchNorm statistics over", source_->name()), {},
                "name others in the 'input' of 'merge'");
  say_skipped(*source_);
}

/// One member that trains for one epoch: it starts from `weights` and saves to `result`. All batches count equally, so
/// segments are whole batches, and only the last one may be shorter.
config::EnsembleSpec StatisticsEstimation::alone(const std::filesystem::path& weights,
                                                 const std::filesystem::path& result) const {
  config::EnsembleSpec alone(spec_);
  config::MemberSpec member = spec_.members[spec_.merge->over.front()];
  member.name = "merged";
  member.model.weights = result;
  member.train = {};
  member.views.clear();  // the statistics are those of the images
  member.train.batch_images = std::min(spec_.batch_images, spec_.segment_images);
  member.train.init = weights;
  member.train.learns = Learns::statistics;
  alone.choose_segment_images = false;
  alone.segment_images -= alone.segment_images % member.train.batch_images;
  alone.batch_images = member.train.batch_images;
  alone.measure_batch_images = false;
  alone.members = {std::move(member)};
  alone.workers.clear();
  alone.ask_all();
  alone.input = alone.train_input = *spec_.merge->input;
  alone.combine = {};
  alone.combine.rule = CombineRule::none;
  alone.combine.over = spec_.combine.over;
  alone.tasks.clear();
  // Statistics over some of the images would not be what the user asked for.
  alone.failure.on_poison = OnPoison::fail;
  if (alone.failure.on_worker_failure == OnWorkerFailure::degrade)
    alone.failure.on_worker_failure = OnWorkerFailure::restart;
  return alone;
}

Statistics StatisticsEstimation::operator()(const std::filesystem::path& weights, const std::filesystem::path& folder) {
  const auto begin = std::chrono::steady_clock::now();
  const std::filesystem::path file = folder / ".statistics.safetensors";
  config::EnsembleSpec described = alone(weights, file);
  described.train_input.found = found_in(*source_);
  const auto spec = std::make_shared<const config::EnsembleSpec>(std::move(described));
  Options options;
  options.worker = worker_;
  options.stop = watcher_.stop();
  options.training = true;
  Ensemble ensemble(Spec(spec), options);
  const std::shared_ptr<void> guard = watcher_.guard(ensemble);
  const ShortLived result(file);  // removed before the guard ends: after that, a signal ends the program at once
  {
    const std::unique_ptr<ShownImages> images = watcher_.show_images(ensemble, {"statistics", source_->count()});
    ShownSource shown(*source_, *images);
    ensemble.train(shown, folder);
  }
  Statistics statistics{merge::Safetensors::read(file)};
  statistics.images = source_->count();
  statistics.batch_images = spec->batch_images;
  statistics.batches = (statistics.images + spec->batch_images - 1) / spec->batch_images;
  statistics.seconds = seconds_since(begin);
  return statistics;
}

}  // namespace tutti
