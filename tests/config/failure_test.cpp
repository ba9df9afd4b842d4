// What to do when workers die, hang or send invalid outputs: every key, and the messages about wrong ones.
#include "config/failure.hpp"

#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using config::FailureSpec;

FailureSpec failure(const std::string& rest) { return load_one(rest).failure; }
std::string wrong_failure(const std::string& line) { return problem(kOneMember + line); }

/// The configuration in effect is read back as the same one.
void check_round_trip(const std::string& rest) {
  const config::EnsembleSpec spec = load_one(rest);
  CAPTURE(spec.effective_yaml);
  CHECK(config::load_text(spec.effective_yaml, "effective") == spec);
}

TEST_CASE("without keys about failures workers are restarted within a budget") {
  const FailureSpec spec = failure("");
  CHECK(spec == FailureSpec{});
  CHECK(spec.on_worker_failure == OnWorkerFailure::restart);
  CHECK(spec.restart_limit == 5U);
  CHECK(spec.restart_window == 60.0);
  CHECK(spec.back_off == 0.1);
  CHECK(spec.progress == FailureSpec::Deadline::automatic);
  CHECK(spec.progress_deadline == 10.0);
  CHECK(spec.on_poison == OnPoison::set_aside);
  CHECK(spec.poison_limit == 3U);
  CHECK(spec.on_nan == OnNan::error);
  CHECK(spec.spares == Spares::none);
  CHECK_FALSE(spec.core_files);
  CHECK(spec.drain_deadline == 10.0);
}

TEST_CASE("every key about failures is read") {
  const FailureSpec spec = failure(
      "on_worker_failure: degrade\nrestarts: {limit: 7, window_s: 30.5, back_off_s: 0}\nprogress_deadline_s: 2.5\n"
      "on_poison: fail\npoison_limit: 1\non_nan: degrade\nspares: member\ncore_files: true\ndrain_deadline_s: 0.5\n");
  CHECK(spec.on_worker_failure == OnWorkerFailure::degrade);
  CHECK(spec.restart_limit == 7U);
  CHECK(spec.restart_window == 30.5);
  CHECK(spec.back_off == 0.0);
  CHECK(spec.progress == FailureSpec::Deadline::fixed);
  CHECK(spec.progress_deadline == 2.5);
  CHECK(spec.on_poison == OnPoison::fail);
  CHECK(spec.poison_limit == 1U);
  CHECK(spec.on_nan == OnNan::degrade);
  CHECK(spec.spares == Spares::member);
  CHECK(spec.core_files);
  CHECK(spec.drain_deadline == 0.5);
}

TEST_CASE("every word about failures is read") {
  CHECK(failure("on_worker_failure: restart").on_worker_failure == OnWorkerFailure::restart);
  CHECK(failure("on_worker_failure: fail").on_worker_failure == OnWorkerFailure::fail);
  CHECK(failure("on_poison: set_aside").on_poison == OnPoison::set_aside);
  CHECK(failure("on_nan: allow").on_nan == OnNan::allow);
  CHECK(failure("spares: process").spares == Spares::process);
  CHECK(failure("spares: none").spares == Spares::none);
  CHECK(failure("progress_deadline_s: auto").progress == FailureSpec::Deadline::automatic);
  CHECK(failure("progress_deadline_s: off").progress == FailureSpec::Deadline::off);
  CHECK_FALSE(failure("poison_limit: off").poison_limit);
  CHECK_FALSE(failure("restarts: {limit: off}").restart_limit);
  // As PyYAML writes the text and the boolean.
  CHECK_FALSE(failure("restarts: {limit: 'off'}").restart_limit);
  CHECK_FALSE(failure("poison_limit: false").poison_limit);
  CHECK(failure("progress_deadline_s: 'off'").progress == FailureSpec::Deadline::off);
  CHECK(failure("progress_deadline_s: 'auto'").progress == FailureSpec::Deadline::automatic);
  CHECK(failure("restarts: {limit: 0}").restart_limit == 0U);
}

TEST_CASE("a key about failures that is null restores its default") {
  CHECK(failure("restarts: null\npoison_limit: null\nprogress_deadline_s: null\nspares: null") == FailureSpec{});
  CHECK(failure("restarts: {limit: null, window_s: 5}").restart_limit == 5U);
}

TEST_CASE("a limit can be lifted on the command line") {
  const auto spec = config::load_text(kOneMember, "e.yaml", {{"restarts.limit=off", "poison_limit=off"}, {}});
  CHECK_FALSE(spec.failure.restart_limit);
  CHECK_FALSE(spec.failure.poison_limit);
  CHECK(spec.failure.restart_window == 60.0);
}

TEST_CASE("the keys about failures are in effect again when they are read back") {
  check_round_trip("");
  check_round_trip(
      "on_worker_failure: degrade\nrestarts: {limit: 7, window_s: 30.5, back_off_s: 0}\nprogress_deadline_s: 2.5\n"
      "on_poison: fail\npoison_limit: 1\non_nan: degrade\nspares: member\ncore_files: true\ndrain_deadline_s: 0.125\n");
  check_round_trip("restarts: {limit: off}\npoison_limit: off\nprogress_deadline_s: off\nspares: process");
  check_round_trip("on_worker_failure: fail\non_nan: allow\nslots: 9\ntrain: {checkpoint_segments: 8}");
}

TEST_CASE("a wrong word about failures is refused with the valid ones") {
  CHECK(wrong_failure("on_worker_failure: retry") ==
        "e.yaml:2:20: 'on_worker_failure' must be restart, degrade or fail, not 'retry'");
  CHECK(wrong_failure("on_worker_failure: degraded") ==
        "e.yaml:2:20: 'on_worker_failure' must be restart, degrade or fail, not 'degraded'; did you mean 'degrade'?");
  CHECK(wrong_failure("on_poison: skip") == "e.yaml:2:12: 'on_poison' must be set_aside or fail, not 'skip'");
  CHECK(wrong_failure("on_nan: ignore") == "e.yaml:2:9: 'on_nan' must be error, allow or degrade, not 'ignore'");
  CHECK(wrong_failure("spares: 1") == "e.yaml:2:9: 'spares' must be none, process or member, not '1'");
  CHECK(wrong_failure("core_files: maybe") == "e.yaml:2:13: 'core_files' must be true or false, not 'maybe'");
}

TEST_CASE("a wrong number about failures is refused with what it must be") {
  CHECK(wrong_failure("drain_deadline_s: 0") ==
        "e.yaml:2:19: 'drain_deadline_s' must be a number of seconds above 0 and at most 1000000, not '0'");
  CHECK(wrong_failure("restarts: {window_s: 0}") ==
        "e.yaml:2:22: 'window_s' must be a number of seconds above 0 and at most 1000000, not '0'");
  CHECK(wrong_failure("restarts: {back_off_s: -0.1}") ==
        "e.yaml:2:24: 'back_off_s' must be a number of seconds from 0 to 1000000, not '-0.1'");
  CHECK(wrong_failure("restarts: 5") == "e.yaml:2:11: 'restarts' must be a map of keys and values, not '5'");
}

TEST_CASE("a limit is a number or the word off") {
  CHECK(wrong_failure("poison_limit: 0") ==
        "e.yaml:2:15: 'poison_limit' must be off or a whole number from 1 to 1000000, not '0'");
  CHECK(wrong_failure("poison_limit: of") ==
        "e.yaml:2:15: 'poison_limit' must be off or a whole number from 1 to 1000000, not 'of'; did you mean 'off'?");
  CHECK(wrong_failure("poison_limit: [3]") ==
        "e.yaml:2:15: 'poison_limit' must be off or a whole number from 1 to 1000000, not a list");
  CHECK(wrong_failure("restarts: {limit: -1}") ==
        "e.yaml:2:19: 'limit' must be off or a whole number from 0 to 1000000, not '-1'");
  CHECK(wrong_failure("restarts: {limit: 1000001}") ==
        "e.yaml:2:19: 'limit' must be off or a whole number from 0 to 1000000, not '1000001'");
  CHECK(wrong_failure("restarts: {limit: 'of'}") ==
        "e.yaml:2:19: 'limit' must be off or a whole number from 0 to 1000000, not the text 'of'; did you mean "
        "'off'?");
}

TEST_CASE("the deadline of a batch is a number or one of two words") {
  const std::string must =
      "e.yaml:2:22: 'progress_deadline_s' must be auto, off or a number of seconds above 0 and at most 1000000, not ";
  CHECK(wrong_failure("progress_deadline_s: 0") == must + "'0'");
  CHECK(wrong_failure("progress_deadline_s: 1e7") == must + "'1e7'");
  CHECK(wrong_failure("progress_deadline_s: atuo") == must + "'atuo'; did you mean 'auto'?");
  CHECK(wrong_failure("progress_deadline_s: {}") == must + "a map");
}

TEST_CASE("misspelled keys about failures are refused with the nearest one") {
  CHECK(wrong_failure("on_worker_failur: fail") ==
        "e.yaml:2:1: unknown key 'on_worker_failur'; did you mean 'on_worker_failure'?");
  CHECK(wrong_failure("progres_deadline_s: 3") ==
        "e.yaml:2:1: unknown key 'progres_deadline_s'; did you mean 'progress_deadline_s'?");
  CHECK(wrong_failure("restart: {}") == "e.yaml:2:1: unknown key 'restart'; did you mean 'restarts'?");
  CHECK(wrong_failure("restarts: {window: 3}") == "e.yaml:2:12: unknown key 'window'; did you mean 'window_s'?");
  CHECK(wrong_failure("poison_limt: 3") == "e.yaml:2:1: unknown key 'poison_limt'; did you mean 'poison_limit'?");
  CHECK(wrong_failure("spare: none") == "e.yaml:2:1: unknown key 'spare'; did you mean 'spares'?");
  CHECK(wrong_failure("core_file: true") == "e.yaml:2:1: unknown key 'core_file'; did you mean 'core_files'?");
  CHECK(wrong_failure("drain_deadline: 3") ==
        "e.yaml:2:1: unknown key 'drain_deadline'; did you mean 'drain_deadline_s'?");
  CHECK(wrong_failure("train: {checkpoint_segment: 1}") ==
        "e.yaml:2:9: unknown key 'checkpoint_segment'; did you mean 'checkpoint_segments'?");
}

TEST_CASE("checkpoints are by default two segments apart and closer with few slots") {
  CHECK(load_one("").checkpoint_segments == 2);
  CHECK(load_one("train: {epochs: 3}").checkpoint_segments == 2);
  CHECK(load_one("slots: 64").checkpoint_segments == 2);
  CHECK(load_one("slots: 3").checkpoint_segments == 2);
  CHECK(load_one("slots: 2\ntrain: {epochs: 3}").checkpoint_segments == 1);
  CHECK(load_one("slots: 1").checkpoint_segments == 1);
}

TEST_CASE("two checkpoints can be as far apart as leaves a slot free") {
  CHECK(load_one("slots: 9\ntrain: {checkpoint_segments: 8}").checkpoint_segments == 8);
  CHECK(load_one("slots: 1\ntrain: {checkpoint_segments: 1}").checkpoint_segments == 1);
  CHECK(wrong_failure("train: {checkpoint_segments: 4}") ==
        "e.yaml:2:30: 'checkpoint_segments' must be at most 3 with 'slots: 4', not 4: the images since the last "
        "checkpoint stay in their slots");
  CHECK(wrong_failure("train: {checkpoint_segments: 2}\nslots: 1") ==
        "e.yaml:2:30: 'checkpoint_segments' must be at most 1 with 'slots: 1', not 2: the images since the last "
        "checkpoint stay in their slots");
  CHECK(wrong_failure("train: {checkpoint_segments: 0}") ==
        "e.yaml:2:30: 'checkpoint_segments' must be a whole number of at least 1, not '0'");
}

TEST_CASE("the checkpoints of a single member cannot be set") {
  CHECK(problem("members: [{name: a, model: {kind: fake}, train: {checkpoint_segments: 1}}]") ==
        "e.yaml:1:50: 'checkpoint_segments' belongs to the top-level 'train': all members share the slots that "
        "bound it");
}

std::optional<config::QuorumSpec> quorum(const std::string& text) {
  const std::string three =
      "members: [{name: a, model: {kind: fake}}, {name: b, model: {kind: fake}}, {name: c, model: "
      "{kind: fake}}]\nassignment: cpu\n";
  const config::EnsembleSpec spec = config::load_text(three + text, "e.yaml");
  CHECK(config::load_text(spec.effective_yaml, "effective").quorum == spec.quorum);
  return spec.quorum;
}

TEST_CASE("a quorum is a number of members or a deadline or both") {
  CHECK_FALSE(quorum("").has_value());
  CHECK_FALSE(quorum("quorum: null").has_value());
  CHECK(quorum("quorum: 2") == config::QuorumSpec{2, {}});
  CHECK(quorum("quorum: {deadline_s: 0.5}") == config::QuorumSpec{{}, 0.5});
  CHECK(quorum("quorum: {members: 3, deadline_s: 2}") == config::QuorumSpec{3, 2.0});
}

TEST_CASE("a quorum that makes no sense is refused with its position") {
  CHECK(wrong_failure("quorum: 2") == "e.yaml:2:9: 'quorum' must be a whole number of at most 1, not '2'");
  CHECK(wrong_failure("quorum: 0") == "e.yaml:2:9: 'quorum' must be a whole number of at least 1, not '0'");
  CHECK(wrong_failure("quorum: some") ==
        "e.yaml:2:9: 'quorum' must be a whole number or a map such as {members: 2, "
        "deadline_s: 0.5}, not 'some'");
  CHECK(wrong_failure("quorum: {members: 2}") ==
        "e.yaml:2:19: 'members' of 'quorum' must be a whole number of at most 1, not '2'");
  CHECK(wrong_failure("quorum: {}") ==
        "e.yaml:2:9: 'quorum' must say 'members', how many answers are enough, or 'deadline_s', when");
  CHECK(wrong_failure("quorum: {deadline_s: 0}") ==
        "e.yaml:2:22: 'deadline_s' must be a number of seconds above 0 and at most 1000000, not '0'");
  CHECK(problem("members: [{name: a, model: {kind: fake}}, {name: b, model: {kind: fake}}]\nassignment: cpu\n"
                "cascade: {when: {confidence_below: 0.5}, then: [b]}\nquorum: 1") ==
        "e.yaml:4:9: 'quorum' does not go with 'cascade': what is asked next would depend on who answered in time");
}

TEST_CASE("small calls share segments if the description says how long they wait") {
  const auto coalesce = [](const std::string& text) {
    const auto spec = config::load_text("members: [{name: a, model: {kind: fake}}]\n" + text, "e.yaml");
    CHECK(config::load_text(spec.effective_yaml, "effective").coalesce == spec.coalesce);
    return spec.coalesce;
  };
  CHECK_FALSE(coalesce("").has_value());
  CHECK_FALSE(coalesce("coalesce: null").has_value());
  CHECK(coalesce("coalesce: {max_delay_us: 200}") == config::CoalesceSpec{200});
  CHECK(coalesce("coalesce: {max_delay_us: 0}") == config::CoalesceSpec{0});
  CHECK(wrong_failure("coalesce: {}") ==
        "e.yaml:2:11: 'coalesce' needs 'max_delay_us', how many microseconds a row waits for others, such as 200");
  CHECK(wrong_failure("coalesce: {max_delay_us: 10000001}") ==
        "e.yaml:2:26: 'max_delay_us' must be a whole number of at most 10000000, not '10000001'");
  CHECK(wrong_failure("coalesce: {max_delay_us: 1, rows: 2}") == "e.yaml:2:29: unknown key 'rows'");
  CHECK(wrong_failure("coalesce: 200") == "e.yaml:2:11: 'coalesce' must be a map of keys and values, not '200'");
  CHECK(wrong_failure("batch_images: auto\ncoalesce: {max_delay_us: 200}") ==
        "e.yaml:3:11: 'coalesce' needs a number as 'batch_images', such as 32: each batch is filled up to it");
  CHECK(problem("members: [{name: a, model: {kind: fake}}, {name: b, model: {kind: fake}}]\nassignment: cpu\n"
                "cascade: {when: {confidence_below: 0.5}, then: [b]}\ncoalesce: {max_delay_us: 200}") ==
        "e.yaml:4:11: 'coalesce' does not go with 'cascade': batches of doubtful samples do not have a fixed size");
}

TEST_CASE("a quorum has slots for the segments that late members still have") {
  const auto slots = [](const config::QuorumSpec& quorum, std::size_t members) {
    return config::slots_for_quorum(quorum, std::vector<config::MemberSpec>(members));
  };
  CHECK(slots({2, {}}, 5) == 8);
  CHECK(slots({{}, 0.5}, 3) == 6);
  CHECK(slots({3, {}}, 3) == 2);
  CHECK(slots({1, {}}, 100) == 18);
  // Any of the members may be the late one, and each worker of its stages may have two segments.
  std::vector<config::MemberSpec> members(3);
  members[1].before.resize(2);
  members[1].before[0].workers.replicas = 2;
  CHECK(config::slots_for_quorum({2, {}}, members) == 10);
  CHECK(config::slots_for_quorum({1, {}}, members) == 12);
  CHECK(config::slots_for_quorum({3, {}}, members) == 2);
}

TEST_CASE("the memory of a worker has a unit") {
  const auto of = [](const std::string& size) {
    return config::load_text("members: [{name: a, model: {kind: fake}, max_memory: " + size + "}]", "e.yaml")
        .members.front()
        .max_memory;
  };
  CHECK(of("2 GB") == 2'000'000'000);
  CHECK(of("'1.5kB'") == 1500);
  CHECK(of("512MiB") == 512U << 20);
  CHECK(of("7 B") == 7);
  for (const char* size : {"2", "2 gb", "-1 GB", "0.5 B", "GB", "[2 GB]", "3e30 GB", "2 GB or so"}) {
    CAPTURE(size);
    CHECK(contains(problem("members: [{name: a, model: {kind: fake}, max_memory: " + std::string(size) + "}]"),
                   "'max_memory' must be a size of memory with its unit, such as 2 GB or 512 MiB, not "));
  }
  const auto spec = config::load_text("members: [{name: a, model: {kind: fake}, max_memory: 2 GB}]", "e.yaml");
  CHECK(config::load_text(spec.effective_yaml, "e.yaml").members.front().max_memory == 2'000'000'000);
}

}  // namespace
}  // namespace tutti::test
