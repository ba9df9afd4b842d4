// The names of samples and classes for the predictions.csv of predictions that were saved. The predictions do not know
// them: those of a run come from its data set, of which nothing else is read.
#pragma once

#include <cstdint>
#include <memory>

#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "evaluation/saved_run.hpp"
#include "merge/head.hpp"

namespace tutti {

/// A source of `count` samples that are named as those of a task of a run were: by the `input` and the `classes` of the
/// description, or by the head. Throws Error(usage) if the data set cannot be opened, or has another number of samples.
std::unique_ptr<Source> task_names(const config::EnsembleSpec& spec, const SavedTask& task, const merge::Head* head,
                                   std::uint64_t count);

/// A source of `count` samples that have only numbers, and so have its classes.
std::unique_ptr<Source> only_numbers(std::uint64_t count);

}  // namespace tutti
