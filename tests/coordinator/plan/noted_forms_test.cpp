// The forms of members and the modes of workers that a run had, found again when it is resumed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

#include "config/candidates.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "coordinator/plan/input.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/coordinator/plan/plans.hpp"

namespace tutti::test {
namespace {

Fingerprint noted(const config::EnsembleSpec& spec) {
  const auto source = open_source(spec.input);
  return fingerprint_of(spec, make_plan(spec, machine_of(2), input_form(spec, spec.input), {}), *source);
}

TEST_CASE("the form of a model is found again by its place and kind, wherever its files are") {
  const test::TemporaryFolder folder;
  const auto yaml = [&](const std::string& model) {
    return "members: [{name: a, model: {" + model +
           "}}]\nassignment: cpu\ninput: {dataset: random, count: 5, shape: [1, 4, 4]}\n";
  };
  const auto open = [&](const std::string& stem) {
    return config::load_text(
        yaml(fmt::format("kind: auto, files: [\"{0}/{1}.pt\", \"{0}/{1}.onnx\"]", folder.path().string(), stem)),
        "a test");
  };
  for (const char* const name : {"m.pt", "m.onnx", "copy.pt", "copy.onnx"}) std::ofstream(folder / name) << "model";
  config::EnsembleSpec run = open("m");
  config::take_candidate(run.members[0].model, 1, "it is slower");
  const Fingerprint was = noted(run);
  CHECK(was.at("form of a") == "2: onnx");
  const auto resumed = with_noted_forms(was, open("copy"));
  REQUIRE(resumed);
  CHECK(kind_name(resumed->members[0].model.kind) == "onnx");
  CHECK(resumed->members[0].model.tried.forms[0].reason == "the run was started with another form");
  CHECK(differences(was, noted(*resumed)).empty());
  // Written out, as the documentation advises.
  const auto written =
      config::load_text(yaml(fmt::format("kind: onnx, path: \"{}/copy.onnx\"", folder.path().string())), "a test");
  CHECK(differences(was, noted(written)).empty());
  // The other way round.
  const auto found = with_noted_forms(noted(written), open("m"));
  REQUIRE(found);
  CHECK(kind_name(found->members[0].model.kind) == "onnx");
  CHECK(differences(noted(written), noted(*found)).empty());
  std::ofstream(folder / "m.onnx") << "another";
  CHECK_FALSE(with_noted_forms(noted(written), open("m")));
  Fingerprint other = was;
  other["form of a"] = "1: onnx";
  CHECK_FALSE(with_noted_forms(other, open("copy")));
}

TEST_CASE("a backend that was written is found again among those that may be chosen") {
  const auto open = [](const std::string& backend) {
    return config::load_text("members: [{name: a, model: {kind: mlp, layers: [3], backend: " + backend +
                                 "}}, {name: ab, model: {kind: small-cnn, backend: " + backend +
                                 "}}]\nassignment: cpu\ninput: {dataset: random, count: 5, shape: [3, 32, 32]}\n"
                                 "combine: {rule: none}\n",
                             "a test");
  };
  for (const auto& [backend, name] : enum_names(ComputedBy{})) {
    const auto resumed = with_noted_forms(noted(open(std::string(name))), open("auto"));
    REQUIRE(resumed);
    for (const config::MemberSpec& member : resumed->members) CHECK(*backend_of(member.model.kind) == backend);
  }
}

TEST_CASE("the mode of a worker is found again by its members") {
  const auto open = [](const std::string& mode) {
    return config::load_text(
        "members: [{name: a, model: {kind: mlp, layers: [3]}}, {name: b, model: {kind: mlp, layers: [3]}}]\n"
        "workers: [{members: [a, b], mode: " +
            mode +
            "}]\nassignment: cpu\n"
            "input: {dataset: random, count: 5, shape: [1, 4, 4]}\n",
        "a test");
  };
  config::EnsembleSpec run = open("auto");
  config::take_mode(run.workers[0], 2, "it is slower");
  const Fingerprint was = noted(run);
  CHECK(was.at("form of the worker of a, b") == "fused");
  const auto resumed = with_noted_forms(was, open("auto"));
  REQUIRE(resumed);
  CHECK(resumed->workers[0].mode == UnitMode::fused);
  CHECK(resumed->workers[0].tried.forms[0].reason == "the run was started with another mode");
  CHECK(differences(was, noted(*resumed)).empty());
  CHECK(differences(was, noted(open("fused"))).empty());  // written out
  CHECK_FALSE(differences(was, noted(open("loop"))).empty());
  for (const UnitMode mode : {UnitMode::loop, UnitMode::fused}) {  // the other way round
    const auto found = with_noted_forms(noted(open(std::string(to_name(mode)))), open("auto"));
    REQUIRE(found);
    CHECK(found->workers[0].mode == mode);
  }
  Fingerprint other = was;
  other["form of the worker of a, b"] = "by hand";
  CHECK_FALSE(with_noted_forms(other, open("auto")));
  other.erase("form of the worker of a, b");
  CHECK_FALSE(with_noted_forms(other, open("auto")));
}

}  // namespace
}  // namespace tutti::test
