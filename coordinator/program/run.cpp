// `tutti run`: a prediction that keeps a journal, and can be resumed.
#include <fmt/format.h>

#include <optional>

#include "common/fault_point.hpp"
#include "common/log.hpp"
#include "coordinator/fingerprint.hpp"
#include "coordinator/program/commands.hpp"
#include "coordinator/program/continuation.hpp"
#include "coordinator/program/session.hpp"
#include "coordinator/program/summary.hpp"
#include "coordinator/program/unfinished.hpp"
#include "images/sinks.hpp"

namespace tutti::program {
namespace {

bool has_classes(const config::CombineSpec& combine) {
  return combine.rule != CombineRule::none && combine.over != OutputKind::features;
}

/// What is journaled of an answer: members' own answers only where a file or a score is made of them.
images::AnswerForm answer_form(const config::EnsembleSpec& spec, const Status& status, bool labelled) {
  const bool combined = spec.combine.rule != CombineRule::none;
  const bool scored = labelled && spec.combine.over != OutputKind::features;
  images::AnswerForm form;
  form.width = combined ? status.members.front().width : 0;
  form.predicted = has_classes(spec.combine);
  form.labels = labelled;
  for (const MemberStatus& member : status.members)
    form.member_widths.push_back(scored || spec.save_members || !combined ? member.width : 0);
  return form;
}

images::ResultForm result_form(const config::EnsembleSpec& spec, const Status& status, std::uint64_t images) {
  const bool combined = spec.combine.rule != CombineRule::none;
  images::ResultForm form{images, combined ? status.members.front().width : 0, has_classes(spec.combine), {}};
  if (spec.save_members || !combined)
    for (const MemberStatus& member : status.members) form.members.push_back({member.name, member.width});
  return form;
}

/// The prediction of one Session: begun anew, or continued.
class Run {
 public:
  Run(const CommandLine& line, Interruption& interruption)
      : session_("run", line, false, interruption), journal_(journal_before(line.resume, session_.spec().output)) {
    header_ = {session_.source().count(), session_.spec().segment_images,
               static_cast<std::uint32_t>(session_.spec().members.size()),
               fingerprint_of(session_.spec(), session_.plan(), session_.source())};
    if (!journal_) return;
    session_.work_in(journal_->path().parent_path());
    if (journal_->finished_segments() > 0) {
      use_batches_of(journal_->header());
      check_same_run(*journal_, header_);
    }
    if (line.resume) log::info("resuming {}: {}", journal_->path().parent_path().string(), finished_text(*journal_));
  }

  /// With `batch_images: auto` a run goes on with what its beginning measured.
  void use_batches_of(const images::JournalHeader& begun) {
    const config::EnsembleSpec& spec = session_.spec();
    if (!spec.measure_batch_images) return;
    const auto batches = batches_of(begun.fingerprint, spec.members, spec.segment_images);
    if (batches.empty()) return;  // the runs differ, then, which is said
    for (std::size_t rank = 0; rank < batches.size(); ++rank)
      add_batch(header_.fingerprint, spec.members[rank].name, batches[rank]);
    session_.use_batches(batches);
  }

  Outcome perform() {
    try {
      session_.perform([this] { predict(); });
    } catch (const Error& error) {
      throw with_resumption(error);
    }
    fault_point("coordinator.report_written");
    std::string again;
    if (journal_->finished_segments() == header_.segments()) {
      journal_->remove();
      fault_point("coordinator.journal_removed");
    } else {
      again = fmt::format("to have these segments done again: {}\n", command());
    }
    return session_.conclude(again);
  }

 private:
  void predict() {
    const Status status = session_.ensemble().status();
    open_journal(status);
    images::NpySink results(session_.folder(), result_form(session_.spec(), status, header_.images),
                            &session_.source());
    const images::AnswerForm form = answer_form(session_.spec(), status, session_.source().labelled());
    try {
      session_.measure([&] {
        session_.score(header_.images, journal_->finished_images(), &results,
                       [&](Sink& sink) { compute_missing(form, sink); });
      });
      fault_point("coordinator.results_begun");
      results.finish();
      fault_point("coordinator.results_in_place");
    } catch (const Error& error) {
      note_finished();
      if (error.kind() == ErrorKind::interrupted) keep_partial(results);
      throw;
    }
    note_finished();
  }

  void open_journal(const Status& status) {
    add_backends(header_.fingerprint, status);
    add_batches(header_.fingerprint, status);
    if (!journal_) journal_.emplace(session_.folder());
    resumed_ = journal_->finished_segments();
    if (resumed_ > 0)
      check_same_run(*journal_, header_);
    else
      journal_->begin(header_);
  }

  void compute_missing(const images::AnswerForm& form, Sink& sink) {
    UnfinishedImages unfinished(session_.source(), *journal_);
    JournalingSink journaling(*journal_, form, unfinished, sink);
    try {
      session_.ensemble().run(unfinished, journaling);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) journaling.catch_up();
      throw;
    }
    journaling.catch_up();
  }

  void note_finished() { session_.report().finished = finished_report(*journal_, resumed_); }

  /// What is finished is worth having, but not worth hiding why the run ended.
  void keep_partial(images::NpySink& results) noexcept {
    if (journal_->finished_segments() == 0) return;
    try {
      results.finish_partial();
    } catch (const std::exception& error) {
      log::error("what is finished could not be written: {}", error.what());
    }
  }

  std::string command() const {
    return resume_command(session_.line(), session_.folder(), !session_.spec().output.empty());
  }

  /// The error, and how to go on from what is finished; where nothing is, no journal stays.
  Error with_resumption(const Error& error) {
    if (!journal_ || !journal_->begun()) return error;
    if (journal_->finished_segments() == 0) {
      journal_->remove();
      return error;
    }
    const std::string way_on = fmt::format("{}; continue with: {}", finished_text(*journal_), command());
    return Error(error.kind(), error.message(), error.detail(),
                 error.hint().empty() ? way_on : fmt::format("{}\n        {}", error.hint(), way_on));
  }

  Session session_;
  std::optional<images::Journal> journal_;
  images::JournalHeader header_;
  std::uint64_t resumed_ = 0;
};

}  // namespace

Outcome run(const CommandLine& line, Interruption& interruption) { return Run(line, interruption).perform(); }

}  // namespace tutti::program
