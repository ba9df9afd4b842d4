// Rows and columns of an evaluation, as report, table and picture.
#include "evaluation/evaluation_report.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>

#include "common/atomic_file.hpp"
#include "program/evaluate/picture.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

using namespace program;

EvaluationForm form() {
  EvaluationForm form{OutputKind::probabilities, 2, {1, 1}, {}};
  form.rules.resize(2);
  form.rules[1].rule = CombineRule::vote;
  return form;
}

/// Two members, the first always right and the second always wrong, and a base that is right about every other image.
Evaluation evaluated(std::uint32_t images) {
  Evaluation evaluation(form(), nullptr);
  for (std::uint32_t image = 0; image < images; ++image) {
    const std::vector<float> right{0.75F, 0.25F};
    const std::vector<float> wrong{0.375F, 0.625F};
    const std::vector<MemberSegmentResult> members{{2, right}, {2, wrong}, {2, image % 2 == 0 ? right : wrong}};
    const std::vector<std::int64_t> labels{0};
    SegmentResult result;
    result.first = image;
    result.count = 1;
    result.members = members;
    result.labels = labels;
    evaluation.add(result);
  }
  return evaluation;
}

images::EvaluationReport report_of(const std::vector<std::string>& tasks) {
  auto report = begin_evaluation({{"cnn-0", "member"}, {"cnn-1", "member"}, {"base", "base"}}, form());
  for (const std::string& name : tasks) {
    images::TaskReport task;
    task.name = name;
    add_task(report, std::move(task), evaluated(4), {{0, 2, 1, {1}, false}}, 2.0, 1);
  }
  return report;
}

TEST_CASE("a report has a row for each model and then one for each rule") {
  const images::EvaluationReport report = report_of({"t", "u"});
  REQUIRE(report.models.size() == 5);
  CHECK(report.models[2].role == "base");
  CHECK(report.models[3].name == "mean");
  CHECK(report.models[4].rule == "vote");
  CHECK(report.models[4].over == "probabilities");
  CHECK_FALSE(report.models[0].rule);
  REQUIRE(report.models[0].tasks.size() == 2);
  CHECK(report.models[0].tasks[1].accuracy == 1.0);
  CHECK(report.models[1].tasks[0].accuracy == 0.0);
  CHECK(report.models[2].tasks[0].accuracy == 0.5);
  CHECK(report.models[3].tasks[0].images == 4);
  CHECK(report.tasks[1].name == "u");
  CHECK(report.tasks[0].images_per_second == 1.5);
  CHECK(report.tasks[0].incomplete.at(0).absent == std::vector<std::size_t>{1});
  CHECK(report.tasks[0].disagreement->dissent == 0.5);
  CHECK(report.tasks[0].disagreement->images == 4);
}

TEST_CASE("an ensemble has the parameters of its members and only those that tutti can train are trainable") {
  images::EvaluationReport report = report_of({"t"});
  std::vector<images::MemberReport> models(3);
  models[0].status.kind = "mlp";
  models[0].status.parameters = 10;
  models[1].status.kind = "torchscript";
  models[1].status.parameters = 20;
  models[2].status.kind = "small-cnn";
  models[2].status.parameters = 40;
  add_parameters(report, models);
  CHECK(report.models[1].all_params == 20);
  CHECK(report.models[1].trainable_params == 0);
  CHECK(report.models[2].trainable_params == 40);
  CHECK(report.models[3].all_params == 30);
  CHECK(report.models[4].trainable_params == 10);
}

TEST_CASE("the table has a column for each task and for several tasks one for their average") {
  CHECK(evaluation_table(report_of({"mnist", "t"})) ==
        "model             mnist         t   average    loss  calibration\n"
        "cnn-0          100.00 %  100.00 %  100.00 %  0.2877       0.2500\n"
        "cnn-1            0.00 %    0.00 %    0.00 %  0.9808       0.6250\n"
        "base            50.00 %   50.00 %   50.00 %  0.6343       0.4375\n"
        "ensemble mean  100.00 %  100.00 %  100.00 %  0.5754       0.4375\n"
        "ensemble vote  100.00 %  100.00 %  100.00 %  0.6931       0.5000\n"
        "\n"
        "members disagree on  entropy  mutual information  variance  dissent\n"
        "mnist                 0.6853              0.0734  0.035156  50.00 %\n"
        "t                     0.6853              0.0734  0.035156  50.00 %\n");
  const std::string single = evaluation_table(report_of({"t"}));
  CHECK(single.find("average") == std::string::npos);
  CHECK(evaluation_table({}).empty());
}

TEST_CASE("a task without labels shows a dash") {
  auto report = begin_evaluation({{"a", "member"}}, {OutputKind::probabilities, 1, {1}, {}});
  images::TaskReport task;
  task.name = "t";
  add_task(report, std::move(task), Evaluation({OutputKind::probabilities, 1, {1}, {}}, nullptr), {}, 0, 0);
  CHECK(evaluation_table(report) == "model  t  loss  calibration\na      -     -            -\n");
  CHECK_FALSE(report.tasks[0].images_per_second);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST_CASE("a picture has a bar for each model and task and one for the average and names them all") {
  const std::string one = picture_of(report_of({"t"}));
  CHECK(count(one, "<title>") == 5);
  CHECK(one.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(one.ends_with("</svg>\n"));
  const std::string two = picture_of(report_of({"t", "u"}));
  CHECK(count(two, "<title>") == 15);
  for (const char* name : {">t<", ">u<", ">average<", ">cnn-0<", ">base<", ">ensemble vote<"})
    CHECK(count(two, name) == 1);
  // 50 % is half of 240 pixels.
  CHECK(count(two, "height=\"120.0\" fill=\"#999999\"><title>base on u: 50.00 %") == 1);
  CHECK(count(two, "height=\"0.0\"") == 3);
}

/// Members, base and two rules on each task, all with these figures.
images::EvaluationReport with_figures(const images::Figures& figures, const std::vector<std::string>& tasks) {
  images::EvaluationReport report = report_of(tasks);
  for (images::ModelReport& model : report.models)
    for (images::ScoreReport& task : model.tasks) task = {{}, {}, {}, 4, figures};
  for (images::TaskReport& task : report.tasks) task.disagreement.reset();
  return report;
}

const images::Figures kMaskFigures{"masks", 9, {{"pixel_accuracy", 0.75}, {"mean_iou", 0.5}}, {}, {}, {}};

TEST_CASE("the table shows the first figure on each task and averages of both") {
  auto report = with_figures(kMaskFigures, {"t", "u"});
  report.models[0].tasks[1].scores->figures = {{"pixel_accuracy", 0.25}, {"mean_iou", 0.25}};
  report.models[1].tasks[1].scores->figures = {{"pixel_accuracy", std::nullopt}, {"mean_iou", std::nullopt}};
  CHECK(evaluation_table(report) ==
        "model           t mIoU   u mIoU  average   pixels\n"
        "cnn-0          50.00 %  25.00 %  37.50 %  50.00 %\n"
        "cnn-1          50.00 %        -        -        -\n"
        "base           50.00 %  50.00 %  50.00 %  75.00 %\n"
        "ensemble mean  50.00 %  50.00 %  50.00 %  75.00 %\n"
        "ensemble vote  50.00 %  50.00 %  50.00 %  75.00 %\n");
  const images::Figures numbers{"values", 9, {{"mean_absolute_error", 12.5}, {"r2", -0.5}}, {}, {}, {}};
  CHECK(evaluation_table(with_figures(numbers, {"t"}))
            .starts_with("model          t MAE       R2\ncnn-0           12.5  -0.5000\n"));
}

TEST_CASE("the average of tasks has their figures if all have some of one kind") {
  const auto report = with_figures(kMaskFigures, {"t", "u"});
  const images::ScoreReport average = images::average_of(report.models[0].tasks);
  REQUIRE(average.scores);
  CHECK(average.scores->compared == 18);
  CHECK(*average.scores->value("mean_iou") == 0.5);
  CHECK(average.images == 8);
  auto mixed = report.models[0].tasks;
  mixed[1].scores->kind = "values";
  CHECK_FALSE(images::average_of(mixed).scores);
  mixed[1].scores.reset();
  CHECK_FALSE(images::average_of(mixed).scores);
}

TEST_CASE("a picture of masks, numbers or several labels shows their first figure") {
  const std::string masks = picture_of(with_figures(kMaskFigures, {"t"}));
  CHECK(count(masks, ">mean IoU<") == 1);
  CHECK(count(masks, "height=\"120.0\"") == 5);
  CHECK(count(masks, ": 50.00 %</title>") == 5);
  images::Figures numbers{"values", 9, {{"mean_absolute_error", 15}}, {}, {}, {}};
  const std::string errors = picture_of(with_figures(numbers, {"t"}));
  CHECK(count(errors, ">mean absolute error<") == 1);
  // The highest line is 20.
  CHECK(count(errors, ">20<") == 1);
  CHECK(count(errors, "height=\"180.0\"") == 5);
  CHECK(count(errors, ": 15</title>") == 5);
  numbers.figures = {{"mean_absolute_error", 0.0}};
  CHECK(count(picture_of(with_figures(numbers, {"t"})), "height=\"0.0\"") == 5);
  const images::Figures labels{"labels", 9, {{"macro_f1", 0.25}}, {}, {}, {}};
  CHECK(count(picture_of(with_figures(labels, {"t"})), ">macro F1<") == 1);
}

TEST_CASE("without any figure there is no picture, and one that is not finite has no bar") {
  CHECK(has_picture(report_of({"t"})));
  CHECK(has_picture(with_figures(kMaskFigures, {"t"})));
  const images::Figures none{"masks", 0, {{"mean_iou", std::nullopt}}, {}, {}, {}};
  CHECK_FALSE(has_picture(with_figures(none, {"t"})));
  const images::Figures nan{"values", 0, {{"mean_absolute_error", std::nan("")}}, {}, {}, {}};
  CHECK_FALSE(has_picture(with_figures(nan, {"t"})));
  CHECK(count(picture_of(with_figures(nan, {"t"})), "<title>") == 0);
}

TEST_CASE("a row without an accuracy has no bar") {
  auto report = begin_evaluation({{"a", "member"}}, {OutputKind::probabilities, 1, {1}, {}});
  images::TaskReport task;
  task.name = "t";
  add_task(report, std::move(task), Evaluation({OutputKind::probabilities, 1, {1}, {}}, nullptr), {}, 0, 0);
  CHECK(count(picture_of(report), "<title>") == 0);
}

TEST_CASE("a picture is written completely as SVG and under no other name") {
  const TemporaryFolder folder;
  write_picture(folder / "p.svg", report_of({"t"}));
  CHECK(read_text(folder / "p.svg", "the picture") == picture_of(report_of({"t"})));
  check_picture("p.svg");
  const auto error = error_of([] { check_picture("p.png"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot draw p.png");
  const auto nowhere = error_of([] { check_picture("nowhere/p.svg"); });
  REQUIRE(nowhere);
  CHECK(nowhere->detail() == "there is no folder nowhere");
  const auto unwritable = error_of([] { write_picture("/nowhere/p.svg", {}); });
  REQUIRE(unwritable);
  CHECK(unwritable->message() == "could not write /nowhere/p.svg");
}

TEST_CASE("unfinished tasks are named with the number of their finished images") {
  const auto report = report_of({"t", "u"});  // four images of each
  CHECK(unfinished_tasks_text(report, {{"t", 4}, {"u", 4}}).empty());
  CHECK(unfinished_tasks_text(report, {{"t", 4}, {"u", 70}, {"v", 9}, {"w", 1}}) ==
        "not finished: u (4 of 70 images), v, w; averages are over the figures above\n");
  CHECK(unfinished_tasks_text(report, {{"t", 4}, {"u", 4}, {"v", 9}}) ==
        "not finished: v; averages are over the figures above\n");
}

}  // namespace
}  // namespace tutti::test
