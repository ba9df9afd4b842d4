// Collects what a command did into its report.
#pragma once

#include <cstdint>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "evaluation/run/scoreboard.hpp"
#include "results/report.hpp"

namespace tutti {

/// Adds the current counters of the members and the pool, including memory.
void add_status(images::Report& report, const Status& status);
/// Adds what each member computed between two snapshots of the pool: images, seconds, images/s.
void add_speeds(images::Report& report, const Status& before, const Status& after);
/// Adds the figures of all, and the ensemble's time for `scoreboard.images()` images, of which `known` needed
/// no computing.
void add_scores(images::Report& report, const Scoreboard& scoreboard, const config::EnsembleSpec& spec, double seconds,
                std::uint64_t known);
/// Adds what the steps of the cascade asked for and saved, by what add_speeds() has added; only after add_scores().
void add_cascade(images::Report& report, const config::EnsembleSpec& spec);
void add_epoch(images::Report& report, const EpochResult& result);

}  // namespace tutti
