// What the program prints: progress and tables.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>

#include "config/candidates.hpp"
#include "evaluation/run/run_report.hpp"
#include "program/measured_memory.hpp"
#include "program/plan_text.hpp"
#include "program/progress.hpp"
#include "program/reporting.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

using namespace program;

TEST_CASE("a line of progress names images and speed and time left and members") {
  CHECK(progress_text("predict", {3000, 0, 6000}, 2.0, "4/4 members alive", false) ==
        "predict   50 %  3000/6000 images  1500 images/s  2 s left  4/4 members alive");
}

TEST_CASE("images that an earlier run had finished do not make a run look faster") {
  CHECK(progress_text("predict", {3000, 2000, 6000}, 2.0, "4/4 members alive", false) ==
        "predict   50 %  3000/6000 images  500 images/s  6 s left  4/4 members alive");
  CHECK(progress_text("predict", {1000, 2000, 6000}, 2.0, "4/4 members alive", false) ==
        "predict   17 %  1000/6000 images  0 images/s  4/4 members alive");
}

TEST_CASE("a bar fills from the left and is full at the end") {
  CHECK(progress_text("predict", {0, 0, 100}, 0.0, "2/2 members alive", true) ==
        "predict  [........................]    0 %  0/100 images  0 images/s  2/2 members alive");
  CHECK(contains(progress_text("predict", {25, 0, 100}, 1.0, "", true), "[######..................]"));
  CHECK(progress_text("predict", {100, 0, 100}, 2.0, "1/2 members, b absent", true) ==
        "predict  [########################]  100 %  100/100 images  50 images/s  1/2 members, b absent");
}

TEST_CASE("progress of nothing is complete") {
  CHECK(contains(progress_text("predict", {0, 0, 0}, 0.0, "", false), "100 %"));
}

Status members(std::size_t count) {
  Status status;
  status.members.resize(count);
  for (std::size_t rank = 0; rank < count; ++rank) {
    status.members[rank].name = fmt::format("cnn-{}", rank);
    status.members[rank].alive = true;
    status.members[rank].state = WorkerState::running;
  }
  return status;
}

TEST_CASE("members are counted and those that restart or are absent are named") {
  Status status = members(6);
  CHECK(members_text(status) == "6/6 members alive");
  status.members[2].alive = false;
  CHECK(members_text(status) == "5/6 members, cnn-2 restarting");
  status.members[2].alive = true;
  status.members[2].generation = 1;
  status.members[2].state = WorkerState::starting;
  CHECK(members_text(status) == "5/6 members, cnn-2 restarting");
  status.members[2].state = WorkerState::running;
  status.faults.restarts = 1;
  CHECK(members_text(status) == "6/6 members alive, 1 restart");
  status.faults.restarts = 7;
  status.members[0].state = WorkerState::absent;
  status.members[3].alive = status.members[4].alive = status.members[5].alive = false;
  CHECK(members_text(status) == "2/6 members, cnn-3, cnn-4 and 1 more restarting, cnn-0 absent, 7 restarts");
}

TEST_CASE("a member that starts for the first time does not count as restarting") {
  Status status = members(1);
  status.members[0].state = WorkerState::starting;
  CHECK(members_text(status) == "1/1 member alive");
}

TEST_CASE("a file gets lines and a quiet program writes nothing") {
  std::FILE* const file = std::tmpfile();
  CHECK(style_for(file, false) == ProgressStyle::lines);
  CHECK(style_for(file, true) == ProgressStyle::none);
  std::fclose(file);
}

images::Report a_report() {
  images::Report report;
  images::MemberReport member;
  member.status.name = "a-rather-long-name";
  member.status.device = "cpu:0";
  member.accuracy = 0.98765;
  member.busy_seconds = 1.5;
  member.images_per_second = 240.4;
  report.members.push_back(member);
  report.members.push_back({});
  report.members.back().status.name = "b";
  report.members.back().status.device = "cuda:0";
  return report;
}

TEST_CASE("the table shows what is known and a dash for the rest") {
  images::Report report = a_report();
  CHECK(results_table(report) ==
        "member              device   accuracy   seconds   images/s\n"
        "a-rather-long-name  cpu:0     98.77 %      1.50        240\n"
        "b                   cuda:0          -         -          -\n");
  report.ensemble.emplace();
  report.ensemble->rule = "mean";
  report.ensemble->accuracy = 1.0;
  report.ensemble->seconds = 0.25;
  report.ensemble->images_per_second = 1440;
  const std::string table = results_table(report);
  CHECK(table.ends_with("ensemble            mean     100.00 %      0.25       1440\n"));
}

TEST_CASE("the table shows the devices of all replicas of a member") {
  images::Report report = a_report();
  report.members[1].status.replicas = {{.worker = 1, .device = "cuda:0"}, {.worker = 2, .device = "cuda:1"}};
  CHECK(results_table(report) ==
        "member              device           accuracy   seconds   images/s\n"
        "a-rather-long-name  cpu:0             98.77 %      1.50        240\n"
        "b                   cuda:0, cuda:1          -         -          -\n");
}

TEST_CASE("the table shows the figures that fit what was compared") {
  images::Report report = a_report();
  report.members[0].scores =
      images::Figures{"masks", 9, {{"pixel_accuracy", 0.75}, {"mean_iou", 0.5}, {"mean_dice", 0.6}}, {}, {}, {}};
  CHECK(results_table(report) ==
        "member              device       mIoU     pixels   seconds   images/s\n"
        "a-rather-long-name  cpu:0     50.00 %    75.00 %      1.50        240\n"
        "b                   cuda:0          -          -         -          -\n");
  report.ensemble.emplace();
  report.ensemble->rule = "mean";
  report.ensemble->scores = images::Figures{
      "values", 9, {{"mean_absolute_error", 1234.567}, {"mean_squared_error", 2}, {"r2", -0.5}}, {}, {}, {}};
  const std::string values = results_table(report);
  CHECK(values.starts_with("member              device        MAE         R2   seconds   images/s\n"));
  CHECK(values.ends_with("ensemble            mean         1235    -0.5000      0.00          -\n"));
  report.ensemble->scores =
      images::Figures{"labels", 9, {{"macro_f1", 0.5}, {"mean_average_precision", {}}}, {}, {}, {}};
  const std::string labels = results_table(report);
  CHECK(labels.starts_with("member              device         F1        mAP   seconds   images/s\n"));
  CHECK(labels.ends_with("ensemble            mean      50.00 %          -      0.00          -\n"));
}

TEST_CASE("the counts of a report are those of the pool however often they are added") {
  Status status;
  status.members.resize(2);
  status.members[0].name = "a";
  for (MemberStatus& member : status.members) member.segments_handed_out = member.segments_answered = 3;
  status.input_bytes_copied = 100;
  images::Report report;
  status.members[1].state = WorkerState::absent;
  status.members[1].generation = 6;
  status.members[1].deaths = 7;
  status.members[1].absent_reason = "it died too often";
  status.members[1].absent_from_segment = 12;
  status.faults.deaths = 7;
  add_status(report, status);
  add_status(report, status);
  CHECK(report.faults == status.faults);
  CHECK(report.members[0].status.state == WorkerState::starting);
  CHECK(report.members[0].status.absent_reason.empty());
  CHECK(report.members[1].status.state == WorkerState::absent);
  CHECK(report.members[1].status.generation == 6);
  CHECK(report.members[1].status.deaths == 7);
  CHECK(report.members[1].status.absent_reason == "it died too often");
  CHECK(report.members[1].status.absent_from_segment == 12U);
  CHECK(report.counts.segments_handed_out == 6);
  CHECK(report.counts.segments_answered == 6);
  CHECK(report.counts.input_bytes_copied == 100);
  CHECK(report.members[0].status.name == "a");
}

TEST_CASE("the speed of a member is that of the time between two snapshots") {
  Status before;
  before.members.resize(1);
  before.members[0].images = 100;
  before.members[0].busy_seconds = 1.0;
  Status after = before;
  after.members[0].images = 400;
  after.members[0].busy_seconds = 3.0;
  images::Report report;
  add_speeds(report, before, after);
  CHECK(report.members[0].images == 300);
  CHECK(report.members[0].images_per_second == 150.0);
  add_speeds(report, before, before);
  CHECK_FALSE(report.members[0].images_per_second.has_value());
}

TEST_CASE("epochs are collected for their member") {
  images::Report report;
  add_epoch(report, {1, 1, 0.5, 0.75, 100, 2.0});
  add_epoch(report, {1, 2, 0.25, 0.8, 100, 2.0});
  REQUIRE(report.members.size() == 2);
  CHECK(report.members[0].epochs.empty());
  REQUIRE(report.members[1].epochs.size() == 2);
  CHECK(report.members[1].epochs[1].epoch == 2);
  CHECK(report.members[1].epochs[1].loss == 0.25);
}

TEST_CASE("a plan is printed with machine and members and every sum") {
  Plan plan;
  plan.arena = {4, 500, {3, 32, 32}};
  MemberPlan member;
  member.request.name = "cnn-0";
  member.request.model = FakeModel{};
  member.request.takes = {TakenTensor::unchanged(ImageShape{3, 32, 32}.layout())};
  member.request.threads = 2;
  member.assigned = "cpu:0-1";
  plan.members.push_back(member);
  WorkerPlan worker;
  worker.members = {0};
  worker.device = "cpu:0-1";
  worker.cores = {0, 1};
  plan.workers.push_back(worker);
  plan.bounds = {{"arena", 1000}, {"channel", 500}};
  plan.survival = {"while a worker is replaced, the others continue"};
  plan.notes = {"cnn-0 runs on the CPU"};
  Machine machine;
  machine.cores = {0, 1};
  machine.present_cores = {0, 1, 2, 3};
  machine.cpu_quota = 1.5;
  machine.memory = {2'000'000, "cgroup limit"};
  machine.why_no_gpu = "no driver";
  CHECK(plan_text(plan, machine, "images").find("batches") == std::string::npos);
  CHECK(plan_text(plan, machine, "images").find("plane") == std::string::npos);
  plan.members[0].assigned = "null";
  CHECK(plan_text(plan, machine, "images").find("0,1               2  nothing\n") != std::string::npos);
  plan.members[0].assigned = "cpu:0-1";
  CHECK(plan_text(plan, machine, "images").find("views") == std::string::npos);
  plan.members[0].request.views = {{.kind = ViewKind::identity},
                                   {.kind = ViewKind::crops, .crops = 5, .height = 24, .width = 20},
                                   {.kind = ViewKind::scale, .scale = 1.25}};
  plan.batches = Batches::to_measure;
  plan.members[0].most_batch_images = 64;
  plan.members[0].request.name = "cnn-0";
  plan.members[0].request.takes[0].input =
      MemberInput{{ResizeRule::shorter, 256, 256, 224, 200, Interpolation::bilinear}, {0.5F}, {0.25F, 1, 2}};
  const std::string text = plan_text(plan, machine, "360 x 3x32x32 of digits (test)");
  for (const char* part :
       {"input    360 x 3x32x32 of digits (test) in segments of 500, 4 slots",
        "machine  2 usable of 4 cores (quota 1.50), 0 GPUs (no driver), 2.0 MB available (cgroup limit)",
        "cnn-0             fake          cpu:0-1                   0,1               2  cpu:0-1",
        "batches  measured at the start: 4, 8, 16, 25, 50 images\n",
        "\ninput of cnn-0: {resize: 256, rule: shorter, interpolation: bilinear, crop: [224, 200], crop_rounding: "
        "half_even, mean: [0.5], std: [0.25, 1, 2]}\n"
        "views of cnn-0: identity, 5 crops of 24x20 and scale 1.25, 7 predictions of each image\n\nmemory\n",
        "      1.0 kB  arena\n", "       500 B  channel\n", "      1.5 kB  in all, at least\n",
        "\nwhen a worker dies\nwhile a worker is replaced, the others continue\n", "note: cnn-0 runs on the CPU\n"})
    CHECK_MESSAGE(text.find(part) != std::string::npos, part);
}

TEST_CASE("choices that are left and choices that were made are printed with what a file says") {
  config::EnsembleSpec spec;
  for (const char* const name : {"a", "b"}) {
    config::MemberSpec member;
    member.name = name;
    member.model.kind = MlpModel{{3}};
    spec.members.push_back(std::move(member));
  }
  CHECK(choices_text(spec).empty());
  CHECK(chosen_text(spec).empty());
  spec.members[1].model.candidates = {MlpModel{{3}}, MlpModel{{3}, ComputedBy::openvino}};
  spec.workers = {{.members = {0, 1}, .modes = {UnitMode::loop, UnitMode::threads}}};
  CHECK(choices_text(spec) ==
        "note: b: the fastest of mlp by torch, mlp by openvino is chosen at the start; this is the plan for the first\n"
        "note: the worker of a, b: the fastest of loop, threads is chosen at the start; this is the plan for the "
        "first\n");
  config::take_candidate(spec.members[1].model, 1, "it is slower");
  config::take_mode(spec.workers[0], 1, "it is slower");
  CHECK(chosen_text(spec) ==
        "\nchosen\nb: mlp by openvino (nothing was measured)\n  model:\n    kind: mlp\n    layers: [3]\n"
        "    backend: openvino\nthe worker of a, b: threads (nothing was measured)\n  mode: threads\n");
}

TEST_CASE("what is to be said of several members is said once") {
  config::EnsembleSpec spec;
  for (const char* const name : {"a", "b", "c"}) {
    config::MemberSpec member;
    member.name = name;
    const std::uint32_t classes = spec.members.size() == 1 ? 4 : 3;
    member.model.candidates = {MlpModel{{classes}}, MlpModel{{classes}, ComputedBy::openvino}};
    spec.members.push_back(std::move(member));
  }
  CHECK(choices_text(spec) ==
        "note: a, b, c: the fastest of mlp by torch, mlp by openvino is chosen at the start; this is the plan for the "
        "first\n");
  for (config::MemberSpec& member : spec.members) config::take_candidate(member.model, 1, "it is slower");
  CHECK(chosen_text(spec) ==
        "\nchosen\na, b, c: mlp by openvino (nothing was measured)\n"
        "  a\n    model:\n      kind: mlp\n      layers: [3]\n      backend: openvino\n"
        "  b\n    model:\n      kind: mlp\n      layers: [4]\n      backend: openvino\n"
        "  c\n    model:\n      kind: mlp\n      layers: [3]\n      backend: openvino\n");
  spec.members.erase(spec.members.begin() + 1);
  CHECK(chosen_text(spec) ==
        "\nchosen\na, c: mlp by openvino (nothing was measured)\n  model:\n    kind: mlp\n    layers: [3]\n"
        "    backend: openvino\n");
}

TEST_CASE("a plan names what its sum leaves out") {
  Plan plan;
  plan.arena = {4, 500, {3, 32, 32}};
  const auto text = [&] { return plan_text(plan, {}, "images"); };
  CHECK(text().find("not counted") == std::string::npos);
  for (const char* name : {"a", "b"}) {
    MemberPlan member;
    member.request.name = name;
    member.request.model = SmallCnnModel{};
    WorkerPlan worker;
    worker.members = {Rank(plan.members.size())};
    plan.members.push_back(member);
    plan.workers.push_back(worker);
  }
  CHECK(text().find("not counted: what a, b hold while computing ('tutti plan --measure' measures it)\n") !=
        std::string::npos);
  plan.batches = Batches::to_measure;  // bounds of the largest batch are in the sum then
  CHECK(text().find("not counted") == std::string::npos);
  plan.decode_threads = 2;
  plan.members[1].request.cuda = plan.workers[1].cuda = true;
  CHECK(text().find("not counted: what b holds while computing ('tutti plan --measure' measures it); photographs of "
                    "more than 12 million pixels; the memory of GPUs\n") != std::string::npos);
}

TEST_CASE("measured memory is printed per process") {
  CHECK(measured_text({7, {{"a", 2'000'000}, {"this process with the arena", 500}}, 2'000'500}) ==
        "\nmeasured, after 7 images\n      2.0 MB  a\n       500 B  this process with the arena\n"
        "      2.0 MB  in all (proportional set size)\n");
}

TEST_CASE("the memory of a worker that members share is counted once") {
  Status status;
  status.pss_bytes = 1000;
  for (const auto& [name, worker, bytes] : {std::tuple{"a", 0U, 300U}, {"b", 1U, 200U}, {"c", 0U, 300U}}) {
    MemberStatus member;
    member.name = name;
    member.worker = worker;
    member.pss_bytes = bytes;
    status.members.push_back(member);
  }
  const MeasuredMemory memory = memory_of(status, 7);
  using Rows = std::vector<std::pair<std::string, std::uint64_t>>;
  CHECK(memory.processes == Rows{{"a, c", 300}, {"b", 200}, {"this process with the arena", 500}});
}

}  // namespace
}  // namespace tutti::test
