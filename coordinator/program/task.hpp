// The tasks of an evaluation, opened: their images, their heads, and whether all of it fits together. It computes
// nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>
#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "images/report.hpp"
#include "merge/head.hpp"

namespace tutti::program {

struct Task {
  std::string name;
  std::unique_ptr<Source> source;  ///< labelled
  std::optional<merge::Head> head;
  std::vector<std::string> class_names;  ///< of the configuration, or of the head; empty: not known

  const merge::Head* head_or_null() const { return head ? &*head : nullptr; }
  images::TaskReport report() const;
};

/// Those of `tasks:`, or the one task that `input` is, called as its data set is. Throws Error(usage) where images have
/// no labels or are of different shapes, where a head does not fit the classes of its task, and where heads were made
/// with different text towers.
std::vector<Task> open_tasks(const config::EnsembleSpec& spec);

/// What is known once the models are loaded. Throws Error(usage) that names model and head where a head takes features
/// of another width, two members where they answer different widths and are to be combined, and the task where its
/// images have more classes than a model answers. The first `members` of `models` are members.
void check_widths(const std::vector<Task>& tasks, const std::vector<MemberStatus>& models, std::size_t members,
                  bool combined);

/// Throws Error(usage) where `source` has labels, of more classes than a model answers. Once the models are loaded.
void check_classes(const Source& source, const std::vector<MemberStatus>& models);

}  // namespace tutti::program
