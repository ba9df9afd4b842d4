#include "evaluation/run/run_report.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace tutti {
namespace {

std::optional<double> rate(std::uint64_t images, std::optional<double> seconds) {
  if (!seconds || *seconds <= 0) return std::nullopt;
  return static_cast<double>(images) / *seconds;
}

std::vector<std::vector<std::uint64_t>> rows_of(const images::Metrics& metrics) {
  std::vector<std::vector<std::uint64_t>> rows;
  if (metrics.confusion().empty()) return rows;
  for (std::uint32_t label = 0; label < metrics.classes(); ++label) {
    const auto begin = metrics.confusion().begin() + std::ptrdiff_t{label} * metrics.classes();
    rows.emplace_back(begin, begin + metrics.classes());
  }
  return rows;
}

}  // namespace

void add_status(images::Report& report, const Status& status) {
  report.members.resize(status.members.size());
  report.counts.segments_handed_out = 0;
  report.counts.segments_answered = 0;
  double warm_up = 0;
  for (std::size_t rank = 0; rank < status.members.size(); ++rank) {
    const MemberStatus& member = status.members[rank];
    images::MemberReport& row = report.members[rank];
    const int last_pid = row.status.pid;
    row.status = member;
    if (member.pid == 0) row.status.pid = last_pid;  // the process id of the worker that it had
    row.hosted = true;
    report.counts.segments_handed_out += member.segments_handed_out;
    report.counts.segments_answered += member.segments_answered;
    warm_up = std::max(warm_up, member.warm_up_seconds);
  }
  report.phases.start_up = status.start_up_seconds;
  report.phases.warm_up = warm_up;
  if (status.batch_search_seconds > 0) report.phases.batch_search = status.batch_search_seconds;
  report.counts.input_bytes_copied = status.input_bytes_copied;
  report.faults = status.faults;
  report.memory.arena_bytes = status.arena_bytes;
  report.memory.pss_bytes_family = status.pss_bytes;
}

void add_speeds(images::Report& report, const Status& before, const Status& after) {
  report.members.resize(after.members.size());
  for (std::size_t rank = 0; rank < after.members.size(); ++rank) {
    images::MemberReport& row = report.members[rank];
    row.images = after.members[rank].images - before.members[rank].images;
    row.busy_seconds = after.members[rank].busy_seconds - before.members[rank].busy_seconds;
    row.images_per_second = rate(row.images, row.busy_seconds);
  }
}

void add_scores(images::Report& report, const Scoreboard& scoreboard, const config::EnsembleSpec& spec, double seconds,
                std::uint64_t known) {
  report.phases.predict = seconds;
  report.counts.images = scoreboard.images();
  images::EnsembleReport ensemble;
  ensemble.rule = to_name(spec.combine.rule);
  ensemble.over = to_name(spec.combine.over);
  ensemble.seconds = seconds;
  ensemble.images = scoreboard.images();
  ensemble.images_per_second = rate(scoreboard.images() - std::min(known, scoreboard.images()), seconds);
  if (const auto& metrics = scoreboard.ensemble()) {
    ensemble.accuracy = metrics->accuracy();
    ensemble.loss = metrics->loss();
    ensemble.calibration_error = metrics->calibration_error();
    ensemble.confusion_matrix = rows_of(*metrics);
    ensemble.per_class_accuracy = metrics->per_class_accuracy();
  }
  ensemble.incomplete = scoreboard.incomplete();
  report.ensemble = std::move(ensemble);
  report.members.resize(std::max(report.members.size(), scoreboard.members().size()));
  for (std::size_t rank = 0; rank < scoreboard.members().size(); ++rank) {
    const auto& metrics = scoreboard.members()[rank];
    if (!metrics) continue;
    report.members[rank].accuracy = metrics->accuracy();
    report.members[rank].loss = metrics->loss();
    report.members[rank].calibration_error = metrics->calibration_error();
  }
  report.ensemble->scores = scoreboard.ensemble_figures();
  std::vector<images::Figures> members = scoreboard.member_figures();
  report.members.resize(std::max(report.members.size(), members.size()));
  for (std::size_t rank = 0; rank < members.size(); ++rank) report.members[rank].scores = std::move(members[rank]);
}

namespace {

/// The members that the step asks are measured, those of `report`. The images that any of them was asked for are
/// those of the one that answered most: one that was absent for a while has fewer.
images::CascadeReport cascade_report(const config::CascadeStep& step, const images::Report& report,
                                     std::uint64_t computed) {
  images::CascadeReport row;
  for (const std::size_t rank : step.after) row.after.push_back(report.members[rank].status.name);
  row.when = to_name(step.when);
  row.threshold = step.threshold;
  row.of = computed;
  double saved = 0;
  bool known = true;
  for (const std::size_t rank : step.then) {
    const images::MemberReport& member = report.members[rank];
    row.then.push_back(member.status.name);
    row.images = std::max(row.images, member.images);
    known = known && member.images > 0 && member.busy_seconds;
    if (known)
      saved += *member.busy_seconds * static_cast<double>(computed - std::min(member.images, computed)) /
               static_cast<double>(member.images);
  }
  if (known) row.saved_seconds = saved;
  return row;
}

}  // namespace

void add_cascade(images::Report& report, const config::EnsembleSpec& spec) {
  if (!report.ensemble) return;
  std::uint64_t computed = 0;  // some member was asked for all of them
  for (const images::MemberReport& member : report.members) computed = std::max(computed, member.images);
  for (const config::CascadeStep& step : spec.cascade)
    report.ensemble->cascade.push_back(cascade_report(step, report, computed));
}

void add_epoch(images::Report& report, const EpochResult& result) {
  if (report.members.size() <= result.member) report.members.resize(result.member + 1);
  report.members[result.member].epochs.push_back({result.epoch, result.loss, result.accuracy, result.seconds});
}

}  // namespace tutti
