// tutti::run_to_folder(): a PredictionRun that a program watches.
#include <tutti/run.hpp>

#include <memory>
#include <utility>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "evaluation/run/lacking.hpp"
#include "evaluation/run/prediction_run.hpp"
#include "results/table_columns.hpp"

namespace tutti {
namespace {

class ToldSamples final : public ShownImages {
 public:
  ToldSamples(const RunOptions& options, std::uint64_t total) : options_(options), total_(total) {}
  void show(std::uint64_t done) override {
    if (options_.on_progress) options_.on_progress({done, total_});
  }

 private:
  const RunOptions& options_;
  const std::uint64_t total_;
};

/// The options of the caller.
class RunCaller final : public RunWatcher {
 public:
  explicit RunCaller(const RunOptions& options) : options_(options) {}
  std::shared_ptr<void> guard(Ensemble& ensemble) override { return drained_by(options_.stop, ensemble); }
  std::unique_ptr<ShownImages> show_images(const Ensemble& /*ensemble*/, const std::string& /*what*/,
                                           std::uint64_t total, std::uint64_t /*known*/) override {
    return std::make_unique<ToldSamples>(options_, total);
  }
  void keep(const std::string& /*detail*/) override {}
  std::string interrupted_by() const override { return options_.stop.stop_requested() ? "stop" : ""; }
  void reported(const std::filesystem::path& /*report*/) override {}
  std::string resume_option() const override { return "'resume'"; }
  std::string resume_command(const std::filesystem::path& folder, bool named) const override {
    return named ? "tutti::run_to_folder() with 'resume'"
                 : "tutti::run_to_folder() with 'resume', and 'output' " + folder.string();
  }

 private:
  const RunOptions& options_;
};

}  // namespace

FolderRun run_to_folder(const Spec& spec, const RunOptions& options) {
  RunCaller caller(options);
  SessionSetup setup{.command = "run", .resume = options.resume};
  setup.options.worker = options.worker;
  setup.options.cache = options.cache;
  setup.options.stop = options.stop;
  PredictionRun run(std::move(setup), spec.checked(), images::asked_columns(options.csv), caller);
  run.perform();
  const images::Report& report = run.session().report();
  FolderRun done;
  done.folder = run.session().folder();
  done.images = report.counts.images;
  done.resumed = run.resumed();
  done.complete = run.whole() && !is_incomplete(report);
  done.json = read_text(done.folder / "report.json", "the report of the run");
  return done;
}

}  // namespace tutti
