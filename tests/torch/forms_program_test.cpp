// The program over a network of Tutti whose library is chosen at the start. LibTorch is there; ONNX Runtime and
// OpenVINO may be.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

std::string described(const std::string& backend, const std::string& more = {}) {
  return fmt::format(R"(
members:
  - {{name: a, model: {{kind: mlp, layers: [8, 4], backend: {}}}}}
  - {{name: b, model: {{kind: fake, classes: 4}}}}
assignment: cpu
input: {{dataset: random, count: 90, shape: [1, 4, 4], classes: 4, seed: 3}}
segment_images: 20
batch_images: 8
{})",
                     backend, more);
}

/// A place with a cache of its own.
struct FormsPlace : Workplace {
  explicit FormsPlace(const std::string& yaml = described("auto")) : Workplace(yaml) {}
  ProgramOptions in_it() const {
    ProgramOptions options = this->options();
    options.environment.emplace_back("XDG_CACHE_HOME", (*this / "cache").string());
    return options;
  }
  /// The same without the libraries that a user may install.
  ProgramOptions with_torch_only() const {
    ProgramOptions options = in_it();
    std::filesystem::create_directories(*this / "empty");
    for (const char* const variable : {"TUTTI_ONNXRUNTIME", "TUTTI_OPENVINO"})
      options.environment.emplace_back(variable, (*this / "empty").string());
    return options;
  }
  Finished run(std::vector<std::string> words) const { return {std::move(words), in_it()}; }
};

/// The form of member a that was chosen: "mlp by torch". There must be three.
std::string chosen_in(const json::value& report) {
  const json::array& forms = report.at("members").at(0).at("forms").as_array();
  CHECK(forms.size() == 3);
  std::string chosen;
  for (const json::value& form : forms)
    if (form.at("chosen").as_bool()) {
      CHECK(chosen.empty());
      CHECK(form.at("reason") == "");
      chosen = form.at("model").as_string().c_str();
    } else {
      CHECK(form.at("reason") != "");
    }
  REQUIRE_FALSE(chosen.empty());
  return chosen;
}

/// Whether every form could be measured; else nothing is kept. Not every machine has every library.
bool all_started(const json::value& report) {
  return std::ranges::none_of(report.at("members").at(0).at("forms").as_array(),
                              [](const json::value& form) { return form.at("library").is_null(); });
}

TEST_CASE("a run with the form that was chosen has the bytes of one in which it is written") {
  const FormsPlace place;
  const Finished first = place.run({"run", "e.yaml", "output=auto"});
  CAPTURE(first.err());
  REQUIRE(first.code == 0);
  CHECK(contains(first.err(), "trying the forms of a"));
  const std::string form = chosen_in(place.report("auto"));
  CHECK(place.report("auto").at("members").at(1).at("forms").as_array().empty());
  const std::string backend = form.substr(std::string("mlp by ").size());
  CHECK(contains(first.err(), fmt::format("a: mlp by {} (measured: ", backend)));
  CHECK(contains(place.report("auto").at("configuration").as_string().c_str(), "backend: " + backend));
  REQUIRE(place.run({"run", "e.yaml", "output=written", "members.0.model.backend=" + backend}).code == 0);
  CHECK(different_results(place, "auto", "written").empty());
}

TEST_CASE("an unfinished run in the folder is found before anything is tried") {
  const FormsPlace place;
  Program program(Workplace::command({"run", "e.yaml", "output=here", "members.1.model.delay_ms=60", "slots=1"}),
                  place.in_it());
  REQUIRE_FALSE(program.wait_for_line("predict   44 %").empty());
  program.signal(SIGKILL);
  REQUIRE(program.code() == 128 + SIGKILL);
  const Finished again = place.run({"run", "e.yaml", "output=here", "--no-cache"});
  CHECK(again.code == 2);
  CHECK(contains(again.err(), "here holds an unfinished run"));
  CHECK_FALSE(contains(again.err(), "trying"));
}

TEST_CASE("a choice is remembered unless the user says no") {
  const FormsPlace place;
  REQUIRE(place.run({"run", "e.yaml"}).code == 0);
  const json::value report = place.report("runs/0001");
  if (!all_started(report)) {
    CHECK(contains(place.run({"run", "e.yaml"}).err(), "trying"));  // a form that was not started may be tomorrow
    return;
  }
  const Finished second = place.run({"run", "e.yaml"});
  REQUIRE(second.code == 0);
  CHECK_FALSE(contains(second.err(), "trying"));
  CHECK(contains(second.err(), ", from the cache"));
  CHECK(report.at("members").at(0).at("forms") == place.report("runs/0002").at("members").at(0).at("forms"));
  const Finished third = place.run({"run", "e.yaml", "--no-cache"});
  REQUIRE(third.code == 0);
  CHECK(contains(third.err(), "trying"));
}

TEST_CASE("without a cache folder that can be written the forms are measured each time") {
  const FormsPlace place;
  place.write("cache", "a file in the way");
  for (int time = 0; time < 2; ++time) {
    const Finished run = place.run({"run", "e.yaml"});
    CHECK(run.code == 0);
    CHECK(contains(run.err(), "trying"));
    CHECK(contains(run.err(), "the choice is not kept for the next start: ") == all_started(place.report("runs/0001")));
  }
}

TEST_CASE("libraries that are not installed are left out") {
  const FormsPlace place;
  const Finished run({"run", "e.yaml"}, place.with_torch_only());
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  const json::value report = place.report();
  CHECK(chosen_in(report) == "mlp by torch");
  const json::array& forms = report.at("members").at(0).at("forms").as_array();
  CHECK(contains(forms[1].at("reason").as_string().c_str(), "there is no libopenvino_c.so in"));
  CHECK(contains(forms[2].at("reason").as_string().c_str(), "there is no libonnxruntime.so in"));
  CHECK(forms[1].at("library").is_null());
}

TEST_CASE("a library that is named and not installed is an error") {
  const FormsPlace place(described("onnxruntime"));
  const Finished run({"run", "e.yaml"}, place.with_torch_only());
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "there is no libonnxruntime.so in"));
  CHECK(contains(run.err(), "pip install onnxruntime"));
}

TEST_CASE("a plan says that a form is chosen and which one it would be") {
  const FormsPlace place;
  const std::string note =
      "note: a: the fastest of mlp by torch, mlp by openvino, mlp by onnxruntime is chosen at the start; this is the "
      "plan for the first\n";
  const Finished plan = place.run({"plan", "e.yaml"});
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(), note));
  CHECK_FALSE(contains(plan.out(), "chosen\n"));
  const Finished measured = place.run({"plan", "e.yaml", "--measure"});
  CAPTURE(measured.err());
  REQUIRE(measured.code == 0);
  CHECK(contains(measured.out(), "\nchosen\na: mlp by "));
  CHECK(contains(measured.out(), "in all (proportional set size)"));
}

TEST_CASE("a run that is resumed has the form that it was started with and measures nothing") {
  const FormsPlace place;
  REQUIRE(place.run({"run", "e.yaml", "output=right"}).code == 0);
  const std::string form = chosen_in(place.report("right"));
  Program program(Workplace::command({"run", "e.yaml", "output=here", "members.1.model.delay_ms=60", "slots=1"}),
                  place.in_it());
  REQUIRE_FALSE(program.wait_for_line("predict   44 %").empty());
  program.signal(SIGKILL);
  REQUIRE(program.code() == 128 + SIGKILL);
  REQUIRE(place.has("here/journal"));
  const Finished resumed = place.run({"run", "e.yaml", "output=here", "--resume", "--no-cache"});
  CAPTURE(resumed.err());
  REQUIRE(resumed.code == 0);
  CHECK_FALSE(contains(resumed.err(), "trying"));
  const json::value report = place.report("here");
  const std::string kept = chosen_in(report);
  for (const json::value& one : report.at("members").at(0).at("forms").as_array())
    if (!one.at("chosen").as_bool()) CHECK(one.at("reason") == "the run was started with another form");
  if (kept == form) CHECK(different_results(place, "here", "right").empty());
}

TEST_CASE("training uses LibTorch whatever is to be chosen") {
  const FormsPlace place(R"(
members: [{name: a, model: {kind: mlp, layers: [4], backend: auto, weights: a.safetensors}}]
assignment: cpu
input: {dataset: random, count: 40, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
train: {input: {dataset: random, count: 40, shape: [1, 4, 4], classes: 4, seed: 5}}
)");
  const Finished trained = place.run({"train", "e.yaml"});
  CAPTURE(trained.err());
  REQUIRE(trained.code == 0);
  CHECK_FALSE(contains(trained.err(), "trying"));
  CHECK(contains(place.report().at("members").at(0).at("library").as_string().c_str(), "torch "));
  REQUIRE(place.has("a.safetensors"));
  CHECK(place.run({"run", "e.yaml"}).code == 0);
}

TEST_CASE("a file of several that is missing is named before anything is started") {
  const FormsPlace place(
      "members: [{name: a, model: {kind: auto, files: [m.pt, m.onnx]}}]\nassignment: cpu\n"
      "input: {dataset: random, count: 4, shape: [1, 4, 4], classes: 4}\n");
  const Finished run = place.run({"run", "e.yaml"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "a: there is no readable file 'm.pt'"));
  CHECK(contains(run.err(), "named by its 'model.files'"));
}

}  // namespace
}  // namespace tutti::test
