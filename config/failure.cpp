#include "config/failure.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "config/stages.hpp"

namespace tutti::config {
namespace {

constexpr NumberRule kBackOff{"a number of seconds from 0 to 1000000",
                              [](double value) { return value >= 0 && value <= 1e6; }};

/// `off`, in quotes or not. In YAML 1.1 it is the same as false, and PyYAML writes it as that.
bool is_off(const Tree& tree) { return tree.is_word("off") || (tree.is_word("false") && !tree.quoted); }

/// `key` is neither one of these words nor a number.
void refuse(std::string_view key, const Tree& tree, std::span<const std::string> words, std::string_view number,
            Violations& violations) {
  std::vector<std::string> wanted(words.begin(), words.end());
  wanted.emplace_back(number);
  const std::string near = tree.kind == Tree::Kind::scalar ? did_you_mean(tree.scalar, words) : "";
  violations.add(tree.position, fmt::format("'{}' must be {}, not {}{}", key, one_of(wanted), describe(tree), near));
}

/// A whole number of at least `least`, or `off`, which gives nothing.
void read_limit(Fields& fields, std::string_view key, std::uint32_t least, std::optional<std::uint32_t>& limit,
                Violations& violations) {
  const Tree* tree = fields.find(key);
  if (tree == nullptr) return;
  if (is_off(*tree)) {
    limit.reset();
    return;
  }
  constexpr std::uint32_t kMost = 1'000'000;
  Violations ignored;  // the message lists the words itself
  if (const auto value = read_whole(*tree, key, least, kMost, ignored); value)
    limit = static_cast<std::uint32_t>(*value);
  else
    refuse(key, *tree, std::array{std::string("off")}, fmt::format("a whole number from {} to {}", least, kMost),
           violations);
}

void read_restarts(Fields& top, FailureSpec& failure, Violations& violations) {
  const Tree* tree = top.find("restarts");
  if (tree == nullptr) return;
  Fields restarts(*tree, "'restarts'", violations);
  read_limit(restarts, "limit", 0, failure.restart_limit, violations);
  restarts.number("window_s", failure.restart_window, kDeadline);
  restarts.number("back_off_s", failure.back_off, kBackOff);
  restarts.finish();
}

void read_progress_deadline(Fields& top, FailureSpec& failure, Violations& violations) {
  constexpr std::string_view kKey = "progress_deadline_s";
  const Tree* tree = top.find(kKey);
  if (tree == nullptr) return;
  Violations ignored;
  if (tree->is_word("auto")) {
    failure.progress = FailureSpec::Deadline::automatic;
  } else if (is_off(*tree)) {
    failure.progress = FailureSpec::Deadline::off;
  } else if (const auto seconds = read_number(*tree, kKey, kDeadline, ignored); seconds) {
    failure.progress = FailureSpec::Deadline::fixed;
    failure.progress_deadline = *seconds;
  } else {
    refuse(kKey, *tree, std::array{std::string("auto"), std::string("off")}, kDeadline.wanted, violations);
  }
}

}  // namespace

void read_failure(Fields& top, FailureSpec& failure, Violations& violations) {
  top.choice("on_worker_failure", failure.on_worker_failure);
  read_restarts(top, failure, violations);
  read_progress_deadline(top, failure, violations);
  top.choice("on_poison", failure.on_poison);
  read_limit(top, "poison_limit", 1, failure.poison_limit, violations);
  top.choice("on_nan", failure.on_nan);
  top.choice("spares", failure.spares);
  top.boolean("core_files", failure.core_files);
  top.number("drain_deadline_s", failure.drain_deadline, kDeadline);
}

std::optional<QuorumSpec> read_quorum(const Tree& tree, const EnsembleSpec& spec, std::size_t members,
                                      Violations& violations) {
  QuorumSpec quorum;
  const std::size_t before = violations.count();
  const auto read_members = [&](const Tree& number, std::string_view what) {
    if (const auto value = read_whole(number, what, 1, std::max<std::size_t>(members, 1), violations); value)
      quorum.members = static_cast<std::uint32_t>(*value);
  };
  const bool is_number = tree.kind == Tree::Kind::scalar && !tree.scalar.empty() &&
                         tree.scalar.find_first_not_of("0123456789") == std::string::npos;
  if (tree.kind == Tree::Kind::map) {
    Fields fields(tree, "'quorum'", violations);
    if (const Tree* number = fields.find("members"); number != nullptr) read_members(*number, "'members' of 'quorum'");
    double deadline = 0;
    fields.number("deadline_s", deadline, kDeadline);
    if (deadline > 0) quorum.deadline = deadline;
    fields.finish();
    if (violations.count() == before && !quorum.members && !quorum.deadline)
      violations.add(tree.position, "'quorum' must say 'members', how many answers are enough, or 'deadline_s', when");
  } else if (is_number) {
    read_members(tree, "'quorum'");
  } else {
    violations.add(tree.position,
                   fmt::format("'quorum' must be a whole number or a map such as {{members: 2, deadline_s: "
                               "0.5}}, not {}",
                               describe(tree)));
  }
  if (!spec.cascade.empty())
    violations.add(tree.position,
                   "'quorum' does not go with 'cascade': what is asked next would depend on who answered in time");
  if (violations.count() != before) return std::nullopt;
  return quorum;
}

std::uint32_t slots_for_quorum(const QuorumSpec& quorum, const std::vector<MemberSpec>& members) {
  constexpr std::size_t kMostLate = 8;
  std::vector<std::uint32_t> workers;
  for (const MemberSpec& member : members) workers.push_back(workers_in_chain(member));
  std::ranges::sort(workers, std::greater<>());
  const std::size_t late = members.size() - std::min<std::size_t>(quorum.members.value_or(1), members.size());
  workers.resize(std::min(late, kMostLate));
  return 2 * std::accumulate(workers.begin(), workers.end(), 1U);
}

std::optional<CoalesceSpec> read_coalesce(const Tree& tree, const EnsembleSpec& spec, Violations& violations) {
  constexpr std::uint64_t kMostDelay = 10'000'000;  // ten seconds
  CoalesceSpec coalesce;
  const std::size_t before = violations.count();
  Fields fields(tree, "'coalesce'", violations);
  fields.require("max_delay_us", "how many microseconds a row waits for others, such as 200");
  fields.whole("max_delay_us", coalesce.max_delay_us, 0, kMostDelay);
  fields.finish();
  if (!spec.cascade.empty())
    violations.add(tree.position,
                   "'coalesce' does not go with 'cascade': batches of doubtful samples do not have a fixed size");
  if (spec.measure_batch_images)
    violations.add(tree.position,
                   "'coalesce' needs a number as 'batch_images', such as 32: each batch is filled up to it");
  if (violations.count() != before) return std::nullopt;
  return coalesce;
}

void read_checkpoint_segments(Fields* train, EnsembleSpec& spec, Violations& violations) {
  const std::uint32_t most = most_checkpoint_segments(spec.slots);
  spec.checkpoint_segments = std::min(spec.checkpoint_segments, most);
  if (train == nullptr) return;
  train->whole("checkpoint_segments", spec.checkpoint_segments, 1);
  if (spec.checkpoint_segments <= most) return;
  violations.add(train->position_of("checkpoint_segments"),
                 fmt::format("'checkpoint_segments' must be at most {} with 'slots: {}', not {}: the images since the "
                             "last checkpoint stay in their slots",
                             most, spec.slots, spec.checkpoint_segments));
}

}  // namespace tutti::config
