#include "evaluation/run/prediction_run.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/axis.hpp"
#include "common/counted.hpp"
#include "common/kill_point.hpp"
#include "common/log.hpp"
#include "coordinator/decide/spread.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/run/advice.hpp"
#include "evaluation/run/blended_run.hpp"
#include "evaluation/run/continuation.hpp"
#include "evaluation/run/lacking.hpp"
#include "evaluation/run/run_report.hpp"
#include "evaluation/run/saved_labels.hpp"
#include "evaluation/run/scoreboard.hpp"
#include "evaluation/run/unfinished.hpp"
#include "results/masks.hpp"
#include "results/result_files.hpp"

namespace tutti {
namespace {

/// The sizes of what is decided in a prediction; nothing if no class is.
std::optional<Dims> decided(const config::CombineSpec& combine, const Status& status) {
  if (!combine.decides()) return std::nullopt;
  return without_axis(status.members.front().output, combine.axis);
}

/// The sizes of the spread of a prediction; nothing if it was not asked for.
std::optional<Dims> spread_of_one(const config::CombineSpec& combine, const Status& status) {
  if (!combine.spread) return std::nullopt;
  return spread_shape(combine, status.members.front().output);
}

images::ResultForm result_form(const config::EnsembleSpec& spec, const Status& status, std::uint64_t images,
                               bool labelled) {
  const bool combined = spec.combine.rule != CombineRule::none;
  images::ResultForm form;
  form.images = images;
  if (combined) form.shape = status.members.front().output;
  form.decided = decided(spec.combine, status);
  form.spread = spread_of_one(spec.combine, status);
  if (spec.save_members || !combined)
    for (const MemberStatus& member : status.members) form.members.push_back({member.name, member.output});
  form.labels = labelled && !form.members.empty();
  form.masks = spec.masks == config::Masks::png;
  return form;
}

/// Whether the predictions can be written as masks, into a run folder.
void check_masks(const config::EnsembleSpec& spec, const Status& status, const std::filesystem::path& folder) {
  const images::ResultForm form = result_form(spec, status, 0, false);
  if (!form.masks) return;
  images::check_masks(form.shape, form.decided);
  if (spec.input.dataset != config::Dataset::folder || spec.input.labels.empty()) return;
  const std::filesystem::path labels = std::filesystem::weakly_canonical(spec.input.labels)
                                           .lexically_relative(std::filesystem::weakly_canonical(folder / "masks"));
  if (labels.empty() || *labels.begin() == "..") return;
  throw Error(ErrorKind::usage, "the masks of this run would be written over those of 'labels'",
              fmt::format("'masks: png' writes to {}, and 'labels' is {}", (folder / "masks").string(),
                          spec.input.labels.string()),
              "choose another run folder with 'output'");
}

/// Scores and files of a run: of a segment that is known, the sums are added and the rows are in place.
class ScoredSegments final : public SegmentSink {
 public:
  ScoredSegments(Scoreboard& board, RunFiles& files, const Status& status, bool combined)
      : board_(board), files_(files), width_(combined ? status.members.front().width() : 0) {
    for (const MemberStatus& member : status.members) members_.push_back({member.width(), {}, true});
  }

  void write(const SegmentResult& result) override { board_.add(result); }

  /// What is shown as done is not lost any more.
  void settle() override { board_.show(); }

  images::SegmentRecord record() const override {
    files_.keep(true);
    images::SumWriter sums;
    board_.write_segment(sums);
    files_.write_segment(sums);
    return {files_.checksums(), {sums.bytes().begin(), sums.bytes().end()}};
  }

  void take(std::uint64_t first, std::uint32_t count, const images::SegmentRecord& record) override {
    SegmentResult result;
    result.first = first;
    result.count = count;
    result.width = width_;
    result.members = members_;
    images::SumReader sums(record.sums);
    board_.read_segment(result, sums);
    files_.read_segment(result, sums);
    if (sums.left() > 0) throw images::SumMisfit{};
  }

 private:
  Scoreboard& board_;
  RunFiles& files_;
  const std::uint32_t width_;  ///< of the ensemble's predictions
  std::vector<MemberSegmentResult> members_;
};

}  // namespace

PredictionRun::PredictionRun(SessionSetup setup, config::EnsembleSpec spec, std::vector<images::TableColumn> columns,
                             RunWatcher& watcher)
    : watcher_(watcher),
      resume_(setup.resume),
      session_(setup, std::move(spec), watcher,
               [&](const config::EnsembleSpec& described) {
                 return started_with(resume_, described.output, watcher_.resume_option());
               }),
      columns_(std::move(columns)) {
  const std::string& rules = setup.rules;
  find_journal();
  header_ = {session_.source().count(), session_.spec().segment_images,
             static_cast<std::uint32_t>(session_.spec().members.size()),
             fingerprint_of(session_.spec(), session_.plan(), session_.source())};
  if (!rules.empty() && tiling() != nullptr)
    throw Error(ErrorKind::usage, "--rules cannot evaluate the predictions of 'tiles'", {},
                "run each rule: combine.rule=median");
  if (!rules.empty() && !session_.spec().cascade.empty())
    throw Error(
        ErrorKind::usage, "--rules does not go with 'cascade'",
        "it compares rules over the predictions of all members, and the cascade asks some for a few images only",
        "leave the cascade out: cascade=null; or use 'tutti evaluate --rules'");
  if (!rules.empty()) rules_.emplace(session_.spec(), rules);
  // The journal has the sums of these rules and of no others.
  if (!rules.empty()) header_.fingerprint.emplace("--rules", rules);
  warn_of(ignored_by_run(session_.spec()));
  warn_of(ignored_weights(session_.spec(), rules_ ? rules_->rules() : std::vector{session_.spec().combine}));
  if (!journal_) return;
  if (journal_->finished_segments() > 0) {
    use_batches_of(journal_->header());
    check_same_run(*journal_, header_);
  }
  if (resume_) log::info("resuming {}: {}", journal_->path().parent_path().string(), finished_text(*journal_));
}

void PredictionRun::find_journal() {
  std::filesystem::path folder = session_.spec().output;
  if (resume_) folder = folder_to_resume(folder, "runs", watcher_.resume_option());
  session_.work_in(folder);
  session_.hold_folder();
  journal_ = journal_before(resume_, folder, watcher_.resume_option());
}

void PredictionRun::use_batches_of(const images::JournalHeader& begun) {
  const config::EnsembleSpec& spec = session_.spec();
  if (!spec.measure_batch_images) return;
  const auto batches = batches_of(begun.fingerprint, spec.members, spec.segment_images);
  if (batches.empty()) return;  // the runs are different then, which is reported later
  for (std::size_t rank = 0; rank < batches.size(); ++rank)
    add_batch(header_.fingerprint, spec.members[rank].name, batches[rank]);
  session_.use_batches(batches);
}

void PredictionRun::perform() {
  try {
    session_.perform([this] { check(); }, [this] { predict(); });
  } catch (const Error& error) {
    throw with_resumption(error);
  }
  kill_point("coordinator.report_written");
  whole_ = journal_->finished_segments() == header_.segments();
  if (!whole_) return;
  watcher_.keep({});
  journal_->remove();
  files_->keep(false);
  files_.reset();
  kill_point("coordinator.journal_removed");
}

void PredictionRun::check() {
  const std::vector<MemberStatus> members = session_.ensemble().status().members;
  if (tiling() != nullptr) check_tiles(session_.spec(), session_.source(), members);
  check_masks(session_.spec(), session_.ensemble().status(), session_.folder());
  if (!columns_.empty()) check_columns(members.front().width());
  if (has_classes(session_.spec().combine.over)) check_classes(session_.source(), members);
  check_labels(session_.spec().combine, session_.spec().input, session_.source(), members);
  if (rules_) rules_->check(session_.source(), members);
  check_named_classes(session_.spec(), members);
  warn_of(doubts(session_.spec(), session_.source(), members));
}

void PredictionRun::check_columns(std::uint32_t classes) {
  const std::optional<Dims> places = decided(session_.spec().combine, session_.ensemble().status());
  images::check_table(columns_, tiling() == nullptr && places && places->empty(), session_.source(), classes);
}

void PredictionRun::predict() {
  const Status status = session_.ensemble().status();
  open_journal(status);
  goes_on_ = true;
  EvaluatingSink* const rules = open_files(status);
  const std::uint64_t known = journal_->finished_images();
  Sink* const first = rules != nullptr ? static_cast<Sink*>(rules) : &*files_;
  try {
    session_.measure([&] {
      session_.score(session_.source(), known, first, rules_ ? rules_->members() : ScoredMembers{},
                     [&](Scoreboard& board) { compute_missing(board, status); });
    });
    note_blended();
    kill_point("coordinator.results_begun");
    if (saves_labels(status)) save_labels(session_.folder(), session_.source());
    files_->finish(journal_->finished_segments() == header_.segments());
    kill_point("coordinator.results_in_place");
  } catch (const Error& error) {
    note_finished();
    note_blended();
    if (error.kind() == ErrorKind::interrupted) keep_partial();
    files_->keep(journal_->finished_segments() > 0);
    if (rules_) note_rules(known);
    throw;
  }
  files_->keep(journal_->finished_segments() > 0);
  note_finished();
  if (rules_) note_rules(known);
}

EvaluatingSink* PredictionRun::open_files(const Status& status) {
  const bool continues = journal_->finished_segments() > 0;
  const std::filesystem::path& folder = session_.folder();
  if (!continues) images::remove_unfinished(folder);
  const bool labelled = session_.source().labelled();
  images::ResultForm form = result_form(session_.spec(), status, header_.images, labelled);
  form.columns = columns_;
  files_.emplace(folder, form, session_.source(), tiling(),
                 tile_labels(session_.spec(), session_.source(), status.members), continues);
  EvaluatingSink* rules = nullptr;
  if (rules_) {
    rules = &rules_->open(status, folder, session_.source(), *files_,
                          continues ? Unfinished::continues : Unfinished::stays);
    files_->use_rules(*rules);
  }
  if (!continues) return rules;
  const Discarded discarded = files_->check(*journal_);
  if (discarded.segments > 0)
    log::warning("computing {} of {} again: {}", discarded.segments, counted(resumed_, "finished segment"),
                 discarded.reasons);
  resumed_ = journal_->finished_segments();
  return rules;
}

bool PredictionRun::saves_labels(const Status& status) {
  const bool members = !result_form(session_.spec(), status, header_.images, false).members.empty();
  return members && tiling() == nullptr && has_other_labels(session_.source());
}

void PredictionRun::note_rules(std::uint64_t known) {
  add_status(session_.report(), session_.ensemble().status());
  rules_->add_to(session_.report(), session_.source(), known);
}

void PredictionRun::open_journal(const Status& status) {
  add_backends(header_.fingerprint, status);
  add_batches(header_.fingerprint, status);
  if (!journal_) journal_.emplace(session_.folder());
  watcher_.keep(
      fmt::format("the finished segments are kept in {}; continue with: {}", journal_->path().string(), command()));
  resumed_ = journal_->finished_segments();
  if (resumed_ > 0)
    check_same_run(*journal_, header_);
  else
    journal_->begin(header_);
}

void PredictionRun::compute_missing(Scoreboard& board, const Status& status) {
  UnfinishedImages unfinished(session_.source(), *journal_);
  ScoredSegments segments(board, *files_, status, session_.spec().combine.rule != CombineRule::none);
  JournalingSink journaling(*journal_, unfinished, segments);
  try {
    session_.ensemble().run(unfinished, journaling);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) journaling.catch_up();
    throw;
  }
  journaling.catch_up();
}

void PredictionRun::note_blended() {
  if (files_->blended() != nullptr) add_blended_scores(session_.report(), *files_->blended());
}

void PredictionRun::note_finished() {
  images::Report& report = session_.report();
  report.finished = finished_report(*journal_, resumed_);
  const config::CombineSpec& combine = session_.spec().combine;
  const auto sizes = spread_of_one(combine, session_.ensemble().status());
  if (report.ensemble && sizes)
    report.ensemble->spread = images::SpreadReport{std::string(to_name(spread_of(combine))), *sizes};
}

void PredictionRun::keep_partial() noexcept {
  if (journal_->finished_segments() == 0) return;
  try {
    files_->finish_partial();
  } catch (const std::exception& error) {
    log::error("could not write the finished part: {}", error.what());
  }
}

std::string PredictionRun::command() const {
  return watcher_.resume_command(session_.folder(), !session_.spec().output.empty());
}

Error PredictionRun::with_resumption(const Error& error) {
  if (!journal_ || !journal_->begun()) return error;
  if (journal_->finished_segments() == 0) {
    watcher_.keep({});
    journal_->remove();
    if (error.kind() != ErrorKind::interrupted) return error;
    return Error(error.kind(), error.message(), "no segment was finished, so nothing is kept", error.hint());
  }
  const bool usage = error.kind() == ErrorKind::usage;
  if (usage && !goes_on_) return error;
  const std::string way_on =
      usage ? fmt::format(
                  "{}; if you can fix this without changing the description, the images or the weights, "
                  "continue with: {}; otherwise remove {} and run again",
                  finished_text(*journal_), command(), journal_->path().string())
            : fmt::format("{}; continue with: {}", finished_text(*journal_), command());
  return Error(error.kind(), error.message(), error.detail(),
               error.hint().empty() ? way_on : fmt::format("{}\n        {}", error.hint(), way_on));
}

}  // namespace tutti
