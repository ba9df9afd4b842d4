// Tests of the report: one schema, missing values are null, and the page that describes it is complete.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>
#include <string>

#include "common/atomic_file.hpp"
#include "results/report.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"

namespace tutti::images {
namespace {

EvaluationReport full_evaluation() {
  EvaluationReport evaluation;
  evaluation.tasks.push_back({"digits",
                              "digits (test)",
                              "heads/digits.safetensors",
                              10,
                              360,
                              2.0,
                              180.0,
                              DisagreementReport{1, 0.5, 0.25, 0, 8},
                              {{8, 4, 1, {0}, false}}});
  evaluation.tasks.push_back({"tasks", "npy x.npy", {}, 0, 0, 0.0, {}, {}, {}});
  evaluation.models.push_back({"cnn-0", "member", {}, {}, 200, 50, {{0.5, 1.0, 0.25, 360}, {}}});
  evaluation.models.push_back(
      {"mean", "ensemble", "mean", "features", 0, 0, {{0.5, 1.0, 0.5, 360}, {1.0, 2.0, {}, 40}}});
  return evaluation;
}

Report full_report() {
  Report report;
  report.version = "0.1.0";
  report.build_id = "0.1.0-abc";
  report.command = "run";
  report.completed = true;
  report.interrupted_by = "SIGINT";
  report.finished = FinishedReport{3, 4, 1300, 1800, 1, {{0, 1000}, {1500, 300}}};
  report.started = iso_8601(0);
  report.seed = 18446744073709551615U;
  report.machine = {"A \"fine\" CPU", 2, 1 << 30};
  report.skipped = SkippedReport{22, {"a.jpg: it is empty", "b.png: bad"}};
  report.configuration = "members:\n  - {name: cnn-0}\n";
  report.phases = {0.5, 0.25, 0.75, std::nullopt, 2.0, 3.0};
  MemberReport member;
  member.hosted = true;
  member.status.name = "cnn-0";
  member.status.kind = "small-cnn";
  member.status.device = "cpu:0";
  member.status.cores = {0, 3};
  member.status.threads = 1;
  member.status.batch_images = 16;
  member.status.batch_images_measured = true;
  member.status.parts = {{"logits", {Dtype::float32, {3}}}, {"boxes", {Dtype::float32, {2, 4}}}};
  member.status.modes = {{.model = "threads", .backend = "torch 2", .images_per_second = 5}};
  member.status.batch_speeds = {{8, 1000.0}, {16, 1500.0}};
  member.status.pid = 77;
  member.status.same_bits = false;
  member.status.replicas = {{0, "cpu:0", {0}, 77, WorkerState::running, 2, 5, 1.5},
                            {1, "cuda:0 (NVIDIA H200)", {}, 0, WorkerState::absent, 3, 3, 0.5}};
  member.accuracy = 0.75;
  member.loss = std::numeric_limits<double>::quiet_NaN();
  member.calibration_error = 0.0625;
  member.images = 360;
  member.epochs = {{1, 2.5, 0.5, 1.5}, {2, 1.25, std::nullopt, 1.5}};
  member.weights = "runs/0001/cnn-0.safetensors";
  member.status.state = WorkerState::absent;
  member.status.generation = 5;
  member.status.deaths = 6;
  member.status.absent_reason = "killed by SIGKILL";
  member.status.absent_from_segment = 17;
  member.scores =
      Figures{"labels",
              40,
              {{"mean_accuracy", 0.5}, {"macro_f1", 0.25}, {"micro_f1", 0.75}, {"mean_average_precision", {}}},
              {{"accuracy_per_label", {0.5, {}}}, {"f1_per_label", {}}, {"average_precision_per_label", {}}},
              {},
              "average precision"};
  report.members = {member, {}, {}};
  report.members[2].scores =
      Figures{"values", 8, {{"mean_absolute_error", 0.5}, {"mean_squared_error", 0.25}, {"r2", -1.0}}, {}, {}, {}};
  report.ensemble = EnsembleReport{"mean",    "probabilities",        0.75, 0.5, 0.125, 2.0, 3, 180.0, {{1, 0}, {1, 1}},
                                   {1.0, {}}, {{8, 4, 1, {0}, true}}, {}};
  report.ensemble->scores = Figures{"masks",
                                    90,
                                    {{"pixel_accuracy", 0.5}, {"mean_iou", 0.25}, {"mean_dice", 0.375}},
                                    {{"iou_per_class", {0.5, 0.0}}, {"dice_per_class", {0.75, 0.0}}},
                                    {{50, 0}, {40, 0}},
                                    {}};
  report.ensemble->spread = SpreadReport{"entropy", {4, 5}};
  report.ensemble->cascade = {{{"cnn-0"}, "margin_below", 0.25, {"cnn-1"}, 90, 360, 1.5}};
  report.evaluation = full_evaluation();
  report.evaluation->cascade_sweep = SweepReport{"margin_below", {{0.25, true, 0.5, 0.75, 2.0}}};
  report.counts = {360, 8, 8, 4423680};
  report.faults = {1, 2, 3, 4, 5, 6, 12, 7, 8, 13, 9, 10, 11, {4711}};
  report.memory = {100000, 4096, {{"arena", 4096}, {"channel of cnn-0", 512}}};
  return report;
}

TEST_CASE("a full report has its values in place") {
  const json::value report = to_json(full_report());
  CHECK(report.at("schema") == "tutti.report/1");
  CHECK(report.at("completed") == true);
  CHECK(report.at("interrupted_by") == "SIGINT");
  CHECK(report.at_pointer("/finished/segments") == 3);
  CHECK(report.at_pointer("/finished/of") == 4);
  CHECK(report.at_pointer("/finished/images") == 1300);
  CHECK(report.at_pointer("/finished/of_images") == 1800);
  CHECK(report.at_pointer("/finished/resumed") == 1);
  CHECK(report.at_pointer("/finished/ranges/1") == json::object{{"first", 1500}, {"count", 300}});
  CHECK(report.at_pointer("/skipped/count") == 22);
  CHECK(report.at_pointer("/skipped/first/1") == "b.png: bad");
  CHECK(report.at("started") == "1970-01-01T00:00:00Z");
  CHECK(report.at("seed") == 18446744073709551615U);
  CHECK(report.at_pointer("/machine/cpu") == "A \"fine\" CPU");
  CHECK(report.at_pointer("/machine/usable_cores") == 2);
  CHECK(report.at("configuration") == "members:\n  - {name: cnn-0}\n");
  CHECK(report.at_pointer("/phases/predict") == 2.0);
  CHECK(report.at_pointer("/members/0/cores") == json::array{0, 3});
  CHECK(report.at_pointer("/phases/batch_search") == 0.75);
  CHECK(report.at_pointer("/members/0/batch_images") == 16);
  CHECK(report.at_pointer("/members/0/batch_images_measured") == true);
  CHECK(report.at_pointer("/members/0/modes/0/model") == "threads");
  CHECK(report.at_pointer("/members/0/batch_speeds/1") ==
        json::object{{"batch_images", 16}, {"images_per_second", 1500.0}});
  CHECK(report.at_pointer("/members/0/outputs/0") ==
        json::value{{"name", "logits"}, {"shape", json::array{3}}, {"first", 0}});
  CHECK(report.at_pointer("/members/0/outputs/1") == json::value{{"name", "boxes"}, {"shape", {2, 4}}, {"first", 3}});
  CHECK(report.at_pointer("/members/0/pid") == 77);
  CHECK(report.at_pointer("/members/0/same_bits") == false);
  CHECK(report.at_pointer("/members/0/replicas/0") == json::value{{"worker", 0},
                                                                  {"device", "cpu:0"},
                                                                  {"cores", json::array{0}},
                                                                  {"pid", 77},
                                                                  {"state", "running"},
                                                                  {"generation", 2},
                                                                  {"segments_answered", 5},
                                                                  {"busy_seconds", 1.5}});
  CHECK(report.at_pointer("/members/0/replicas/1/pid") == nullptr);
  CHECK(report.at_pointer("/faults/taken_over") == 12);
  CHECK(report.at_pointer("/faults/not_waited_for") == 13);
  CHECK(report.at_pointer("/ensemble/cascade/0") == json::value{{"after", json::array{"cnn-0"}},
                                                                {"when", "margin_below"},
                                                                {"threshold", 0.25},
                                                                {"then", json::array{"cnn-1"}},
                                                                {"images", 90},
                                                                {"of", 360},
                                                                {"share", 0.25},
                                                                {"saved_seconds", 1.5}});
  CHECK(report.at_pointer("/evaluation/cascade_sweep/when") == "margin_below");
  CHECK(report.at_pointer("/evaluation/cascade_sweep/rows/0") ==
        json::value{
            {"threshold", 0.25}, {"described", true}, {"share", 0.5}, {"accuracy", 0.75}, {"seconds_per_1000", 2.0}});
  CHECK(report.at_pointer("/members/0/epochs/1/loss") == 1.25);
  CHECK(report.at_pointer("/members/0/weights") == "runs/0001/cnn-0.safetensors");
  CHECK(report.at_pointer("/ensemble/rule") == "mean");
  CHECK(report.at_pointer("/ensemble/spread/kind") == "entropy");
  CHECK(report.at_pointer("/ensemble/spread/shape") == json::array{4, 5});
  CHECK(report.at_pointer("/ensemble/confusion_matrix") == json::array{json::array{1, 0}, json::array{1, 1}});
  CHECK(report.at_pointer("/counts/input_bytes_copied") == 4423680);
  CHECK(report.at_pointer("/memory/bounds/1/name") == "channel of cnn-0");
  CHECK(report.at_pointer("/memory/pss_bytes_family") == 100000);
}

TEST_CASE("what is compared with other labels than classes has an object of figures") {
  const json::value report = to_json(full_report());
  CHECK(report.at_pointer("/ensemble/scores") == json::value{{"kind", "masks"},
                                                             {"compared", 90},
                                                             {"pixel_accuracy", 0.5},
                                                             {"mean_iou", 0.25},
                                                             {"mean_dice", 0.375},
                                                             {"iou_per_class", json::array{0.5, 0.0}},
                                                             {"dice_per_class", json::array{0.75, 0.0}},
                                                             {"confusion_matrix", {{50, 0}, {40, 0}}}});
  CHECK(report.at_pointer("/members/0/scores/mean_average_precision").is_null());
  CHECK(report.at_pointer("/members/0/scores/left_out") == "average precision");
  CHECK(report.at_pointer("/members/0/scores/accuracy_per_label/1").is_null());
  CHECK(report.at_pointer("/members/1/scores").is_null());
  CHECK(report.at_pointer("/members/2/scores/r2") == -1.0);
}

TEST_CASE("a report says how good each model and rule is on each task") {
  const json::value report = to_json(full_report());
  CHECK(report.at_pointer("/members/0/role") == "member");
  CHECK(report.at_pointer("/members/0/calibration_error") == 0.0625);
  CHECK(report.at_pointer("/ensemble/calibration_error") == 0.125);
  CHECK(report.at_pointer("/evaluation/tasks/0/head") == "heads/digits.safetensors");
  CHECK(report.at_pointer("/evaluation/tasks/0/disagreement/mutual_information") == 0.5);
  CHECK(report.at_pointer("/evaluation/tasks/0/incomplete/0/absent/0") == "cnn-0");
  CHECK(report.at_pointer("/evaluation/tasks/1/disagreement").is_null());
  CHECK(report.at_pointer("/evaluation/models/0/model_info") ==
        json::object{{"trainable_params", 50}, {"all_params", 200}, {"trainable_percentage", 0.25}});
  CHECK(report.at_pointer("/evaluation/models/0/rule").is_null());
  CHECK(report.at_pointer("/evaluation/models/0/tasks/digits/accuracy") == 0.5);
  CHECK(report.at_pointer("/evaluation/models/1/model_info/trainable_percentage").is_null());
  CHECK(report.at_pointer("/evaluation/models/1/average") ==
        json::object{
            {"accuracy", 0.75}, {"loss", 1.5}, {"calibration_error", nullptr}, {"images", 400}, {"scores", nullptr}});
  CHECK(report.at_pointer("/evaluation/models/0/average/accuracy").is_null());
  CHECK(to_json(Report{}).at("evaluation").is_null());
}

TEST_CASE("a report says what failed and which images lack which members") {
  const json::value report = to_json(full_report());
  CHECK(report.at_pointer("/members/0/state") == "absent");
  CHECK(report.at_pointer("/members/0/generation") == 5);
  CHECK(report.at_pointer("/members/0/deaths") == 6);
  CHECK(report.at_pointer("/members/0/absent_reason") == "killed by SIGKILL");
  CHECK(report.at_pointer("/members/0/absent_from_segment") == 17);
  CHECK(report.at_pointer("/members/1/absent_reason").is_null());
  CHECK(report.at_pointer("/members/1/absent_from_segment").is_null());
  CHECK(
      report.at_pointer("/ensemble/incomplete") ==
      json::array{
          {{"first", 8}, {"count", 4}, {"members_present", 1}, {"absent", json::array{"cnn-0"}}, {"set_aside", true}}});
  const json::value faults{{"deaths", 1},
                           {"hangs", 2},
                           {"violations", 3},
                           {"out_of_memory", 4},
                           {"restarts", 5},
                           {"handed_out_again", 6},
                           {"taken_over", 12},
                           {"stale_dropped", 7},
                           {"set_aside", 8},
                           {"not_waited_for", 13},
                           {"not_finite_dropped", 9},
                           {"missed_wake_ups", 10},
                           {"stalls", 11},
                           {"abandoned_pids", json::array{4711}}};
  CHECK(report.at("faults") == faults);
}

TEST_CASE("what is missing or not finite is null") {
  const json::value report = to_json(full_report());
  CHECK(report.at_pointer("/phases/train").is_null());
  CHECK(report.at_pointer("/members/0/loss").is_null());
  CHECK(report.at_pointer("/members/0/epochs/1/accuracy").is_null());
  CHECK(report.at_pointer("/members/1/pid").is_null());
  CHECK(report.at_pointer("/members/1/pss_bytes").is_null());
  CHECK(report.at_pointer("/ensemble/per_class_accuracy/1").is_null());
  CHECK(to_json(Report{}).at("ensemble").is_null());
  CHECK(to_json(Report{}).at("finished").is_null());
  CHECK(to_json(Report{}).at("skipped").is_null());
  Report odd;
  odd.skipped = SkippedReport{2, {"bro\xfd.png: bad", "\xc3\xa9.png: bad"}};
  CHECK(to_json(odd).at_pointer("/skipped/first/0") == "bro?.png: bad");
  CHECK(to_json(odd).at_pointer("/skipped/first/1") == "\xc3\xa9.png: bad");
  CHECK(to_json(Report{}).at("interrupted_by").is_null());
}

TEST_CASE("every report has the same fields in the same order") {
  const auto keys = [](const json::value& value) {
    std::vector<std::string> names;
    for (const auto& field : value.as_object()) names.emplace_back(field.key());
    return names;
  };
  const json::value full = to_json(full_report());
  const json::value empty = to_json(Report{});
  CHECK(keys(full) == keys(empty));
  for (const char* part : {"machine", "phases", "counts", "faults", "memory"})
    CHECK(keys(full.at(part)) == keys(empty.at(part)));
  CHECK(keys(full.at_pointer("/members/0")) == keys(full.at_pointer("/members/1")));
}

// Every key, at any depth, is in backquotes in docs/report.md.
void check_described(const json::value& value, const std::string& page) {
  if (const json::array* array = value.if_array())
    for (const json::value& element : *array) check_described(element, page);
  if (const json::object* object = value.if_object())
    for (const auto& field : *object) {
      const std::string key(field.key());
      CAPTURE(key);
      CHECK(page.find(fmt::format("`{}`", key)) != page.npos);
      check_described(field.value(), page);
    }
}

TEST_CASE("every field of the report is described in its page") {
  const std::string page = read_text(test::in_sources("docs/report.md"), "the page");
  check_described(to_json(full_report()), page);
  CHECK(page.find(kReportSchema) != page.npos);
}

TEST_CASE("a written report is JSON that reads back the same") {
  const test::TemporaryFolder folder;
  write_report(folder / "report.json", full_report());
  const std::string text = read_text(folder / "report.json", "the report");
  CHECK(parse_json(text, "the report") == to_json(full_report()));
  CHECK(text.back() == '\n');
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a report that cannot be written is an error that names it") {
  const auto error = test::error_of([] { write_report("/nowhere/report.json", Report{}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write /nowhere/report.json");
}

TEST_CASE("a time is written as ISO 8601 in UTC") {
  CHECK(iso_8601(1925370423) == "2031-01-05T09:07:03Z");
  CHECK(iso_8601(951782400) == "2000-02-29T00:00:00Z");
}

}  // namespace
}  // namespace tutti::images
