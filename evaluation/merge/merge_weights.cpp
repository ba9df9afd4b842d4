// tutti::merge_weights(): a MergeRun that a program watches.
#include <tutti/merging.hpp>

#include <memory>
#include <stop_token>
#include <utility>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "evaluation/merge/merge_run.hpp"

namespace tutti {
namespace {

using OnProgress = std::function<void(const MergeState&)>;

class ToldImages final : public ShownImages {
 public:
  ToldImages(const OnProgress& tell, std::string step, std::uint64_t total)
      : tell_(tell), step_(std::move(step)), total_(total) {}
  void show(std::uint64_t done) override {
    if (tell_) tell_({step_, done, total_});
  }

 private:
  const OnProgress& tell_;
  const std::string step_;
  const std::uint64_t total_;
};

/// The options of the caller.
class Caller final : public MergeWatcher {
 public:
  explicit Caller(const MergeOptions& options) : options_(options) {}
  std::shared_ptr<void> guard(Ensemble& ensemble) override { return drained_by(options_.stop, ensemble); }
  std::unique_ptr<ShownImages> show_images(const Ensemble& /*ensemble*/, const ShownWork& work) override {
    return std::make_unique<ToldImages>(options_.on_progress, work.what, work.total);
  }
  std::function<void(std::uint64_t, std::uint64_t)> show_bytes() override {
    return [this](std::uint64_t done, std::uint64_t total) {
      if (options_.on_progress) options_.on_progress({"weights", done, total});
    };
  }
  std::stop_token stop() const override { return options_.stop; }
  void check() const override {
    if (options_.stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
  }

 private:
  const MergeOptions& options_;
};

}  // namespace

Merged merge_weights(const Spec& spec, const MergeOptions& options) {
  if (!spec.checked().merge)
    throw Error(ErrorKind::usage, "the description does not say what to merge", {}, "add merge: {method: average}");
  Caller caller(options);
  MergeRun run(spec.checked(), options.worker, caller);
  caller.check();
  run.open_folder();
  run.perform();
  const MergeReport& report = run.report();
  Merged merged;
  merged.folder = run.folder().folder();
  merged.weights = report.result;
  merged.model = run.folder().model();
  for (const merge::MergeInput& input : run.chosen()) merged.over.push_back(input.name);
  if (report.soup)
    for (const SoupStep& step : report.soup->steps)
      merged.soup.push_back({report.inputs[step.member].name, step.accuracy, step.added});
  merged.notes = report.outcome.notes;
  merged.json = read_text(run.folder().report(), "the report of the merge");
  return merged;
}

}  // namespace tutti
