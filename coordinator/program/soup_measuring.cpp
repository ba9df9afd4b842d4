#include "coordinator/program/soup_measuring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include <tutti/ensemble.hpp>

#include "coordinator/input.hpp"
#include "coordinator/program/progress.hpp"
#include "coordinator/program/scoreboard.hpp"

namespace tutti::program {
namespace {

/// The models side by side: each answers for itself.
config::EnsembleSpec side_by_side(const config::EnsembleSpec& spec, const std::vector<config::MemberSpec>& models) {
  config::EnsembleSpec side(spec);
  side.members = models;
  side.input = *spec.merge->input;
  side.combine = {};
  side.combine.rule = CombineRule::none;
  side.combine.over = spec.combine.over;
  side.tasks.clear();
  side.save_members = false;
  return side;
}

}  // namespace

SoupMeasuring::SoupMeasuring(const config::EnsembleSpec& spec, std::filesystem::path worker, Interruption& interruption,
                             bool quiet)
    : spec_(spec), worker_(std::move(worker)), interruption_(interruption), quiet_(quiet) {
  const std::unique_ptr<Source> source = open_source(spec_, *spec_.merge->input);
  say_skipped(*source);
  if (!source->labelled() || source->count() == 0)
    throw Error(ErrorKind::usage, "a greedy soup needs held-out images with labels", {},
                "name others in the 'input' of 'merge'");
}

std::size_t SoupMeasuring::at_once() const { return std::max(1U, std::thread::hardware_concurrency()); }

std::vector<double> SoupMeasuring::operator()(const std::vector<config::MemberSpec>& models) {
  const auto spec = std::make_shared<const config::EnsembleSpec>(side_by_side(spec_, models));
  const std::unique_ptr<Source> source = open_source(*spec, spec->input);
  Options options;
  options.worker = worker_;
  Ensemble ensemble(Spec(spec), options);
  const Interruption::Watch watch(interruption_, ensemble);
  Progress progress(style_for(stderr, quiet_), round_++ == 0 ? "members" : fmt::format("soup {}", round_ - 1),
                    source->count(), 0, [&] { return ensemble.status(); });
  Scoreboard scoreboard(spec->combine, progress, nullptr);
  ensemble.run(*source, scoreboard);
  if (!scoreboard.incomplete().empty())
    throw Error(ErrorKind::failed, "the soup's candidates cannot be compared: not all answered all held-out images",
                fmt::format("images {} to {}", scoreboard.incomplete().front().first,
                            scoreboard.incomplete().front().first + scoreboard.incomplete().front().count - 1));
  std::vector<double> accuracies;
  for (const auto& metrics : scoreboard.members()) accuracies.push_back(metrics->accuracy().value());
  return accuracies;
}

}  // namespace tutti::program
