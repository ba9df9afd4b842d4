// `tutti init` and `--save` as a user calls them. tests/python/init_end_to_end.py has real models.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

/// Files that are called like models, and a picture.
struct Named : Workplace {
  Named() {
    fs::create_directories(*this / "models");
    fs::create_directories(*this / "photos");
    write("models/a.pt", "x");
    write("models/b.pt", "x");
    fs::copy_file(test::in_sources("tests/images/data/encoded/plain.jpg"), *this / "photos/1.jpg");
  }
};

TEST_CASE("init writes a description that is valid and never replaces one without being told") {
  const Named place;
  const Finished init(place, {"init", "models/", "photos/", "--no-start", "-q", "--rule", "vote"});
  CAPTURE(init.err());
  CHECK(init.code == 0);
  CHECK(init.err().empty());
  CHECK(init.out().empty());
  const Finished told(place, {"init", "models/", "photos/", "--no-start", "--force", "--rule", "vote"});
  CHECK(told.out() == "wrote ensemble.yaml: 2 members, 1 picture\nnext: tutti run ensemble.yaml\n");
  CHECK(Finished(place, {"validate", "ensemble.yaml"}).out() ==
        "ensemble.yaml is valid: 2 members, vote over probabilities\n");
  place.write("ensemble.yaml", "mine");
  const Finished again(place, {"init", "models", "photos", "--no-start"});
  CHECK(again.code == 2);
  CHECK(again.err() ==
        "tutti: ensemble.yaml exists already\n  hint: name another file with --output, or replace this one with "
        "--force\n");
  CHECK(place.read("ensemble.yaml") == "mine");
  CHECK(Finished(place, {"init", "models", "photos", "--no-start", "-o", "other.yaml"}).code == 0);
  CHECK(place.has("other.yaml"));
  CHECK(Finished(place, {"init", "models", "photos", "--no-start", "--force", "--preprocess", "clip"}).code == 0);
  CHECK(contains(place.read("ensemble.yaml"), "defaults:\n  input: \"clip\"\n"));
}

TEST_CASE("init says which models could not be started and writes a description still") {
  const Named place;
  const Finished init(place, {"init", "models", "photos"});
  CAPTURE(init.err());
  CHECK(init.code == 0);
  CHECK(contains(init.err(), "starting 2 models once, one by one, to see what they output\n"));
  CHECK(contains(init.out(), "\n  a could not be started: "));
  CHECK(contains(init.out(), "\nits comments say what to correct before it can run\n"));
  CHECK(contains(place.read("ensemble.yaml"),
                 "# - b could not be started, so the run will fail until this is corrected"));
  CHECK(Finished(place, {"validate", "ensemble.yaml"}).code == 0);
}

TEST_CASE("init says what to do about a model that could not be started even with --quiet") {
  const Named place;
  place.write("models/c.onnx", "x");
  ProgramOptions options = place.options();
  options.environment = {{"TUTTI_ONNXRUNTIME", (place / "nowhere.so").string()}};
  const Finished init({"init", "models/c.onnx", "photos"}, options);
  CAPTURE(init.out());
  const std::string why = init.out().substr(init.out().find("could not be started: "));
  const std::string line = why.substr(0, why.find('\n'));
  CHECK(line.ends_with(")"));  // the hint
  CHECK(contains(line, " ("));
  const Finished quiet({"init", "models/c.onnx", "photos", "-q", "--force"}, options);
  CHECK(quiet.code == 0);
  CHECK(quiet.out().empty());
  CHECK(contains(quiet.err(), line));
  CHECK_FALSE(contains(quiet.err(), "wrote"));
}

TEST_CASE("init finds out that it cannot write before it starts a model") {
  const Named place;
  const Finished nowhere(place, {"init", "models", "photos", "-o", "nowhere/e.yaml"});
  CHECK(nowhere.code == 1);
  CHECK(contains(nowhere.err(), "could not write nowhere/e.yaml"));
  CHECK_FALSE(contains(nowhere.err(), "starting"));
  const Finished folder(place, {"init", "models", "photos", "--force", "-o", "photos"});
  CHECK(folder.code == 2);
  CHECK(folder.err() == "tutti: cannot write photos\n  detail: it is a folder\n  hint: name a file in it\n");
}

TEST_CASE("init refuses words that it does not know before it looks") {
  const Named place;
  CHECK(contains(Finished(place, {"init", "nowhere", "--preprocess", "imagnet"}).err(),
                 "--preprocess does not know 'imagnet'"));
  CHECK(contains(Finished(place, {"init", "nowhere", "--rule", "vot"}).err(), "--rule does not know 'vot'"));
  const Finished nothing(place, {"init"});
  CHECK(nothing.code == 2);
  CHECK(contains(nothing.err(),
                 "'tutti init' needs folders or files of models, and a folder of pictures or an .npy file"));
}

TEST_CASE("a command that fails leaves no description behind and one that cannot be saved stops it at once") {
  const Named place;
  fs::create_directories(place / "empty");
  for (const char* command : {"run", "plan"}) {
    CAPTURE(command);
    const Finished empty(place, {command, "models/a.pt", "--images", "empty", "--save", "s.yaml"});
    CHECK(empty.code == 2);
    CHECK_FALSE(place.has("s.yaml"));
  }
  // The file is no model, which only its worker finds out.
  CHECK(Finished(place, {"run", "models/a.pt", "--images", "photos", "--save", "s.yaml"}).code != 0);
  CHECK_FALSE(place.has("s.yaml"));
  const Finished plan(place, {"plan", "models/a.pt", "--images", "photos", "--save", "s.yaml"});
  CAPTURE(plan.err());
  CHECK(plan.code == 0);
  CHECK(contains(plan.err(), "the description of these models is now in s.yaml"));
  CHECK(place.has("s.yaml"));
  const Finished again(place, {"run", "models/a.pt", "--images", "photos", "--save", "s.yaml"});
  CHECK(again.code == 2);
  CHECK(contains(again.err(), "s.yaml exists already"));
  CHECK_FALSE(contains(again.err(), "starting"));
}

TEST_CASE("commands that take descriptions only refuse models and what is no file with what to do") {
  const Named place;
  for (const char* command : {"evaluate", "train", "merge", "combine"}) {
    CAPTURE(command);
    const Finished refused(place, {command, "models/a.pt"});
    CHECK(refused.code == 2);
    CHECK(refused.err() == std::string("tutti: 'tutti ") + command +
                               "' takes a YAML file, and 'models/a.pt' is a model\n  hint: write one first: tutti "
                               "validate models/a.pt --images photos --save ensemble.yaml\n");
  }
  for (const char* command : {"run", "plan", "validate"})
    for (const std::vector<std::string>& rest : {std::vector<std::string>{}, {"--images", "photos"}}) {
      std::vector<std::string> words{command, "models"};
      words.insert(words.end(), rest.begin(), rest.end());
      const Finished refused(place, std::move(words));
      CHECK(refused.code == 2);
      CHECK(refused.err() ==
            "tutti: 'models' is a folder\n  hint: name its models: models/*.pt; or tutti init models/ photos writes "
            "a YAML file for the models in it\n");
    }
  CHECK(contains(Finished(place, {"run", "state.pth"}).err(), "'state.pth' is not a model that can be started"));
}

TEST_CASE("what is saved has the devices of the command line") {
  const Named place;
  const Finished saved(place, {"validate", "models/a.pt", "models/b.pt", "--images", "photos", "--assign", "b=cpu:0",
                               "--save", "saved.yaml"});
  CHECK(saved.code == 0);
  CHECK(saved.out() == "the description of these models is valid: 2 members, mean over probabilities\n");
  CHECK(place.read("saved.yaml").ends_with("assignment:\n  a: auto\n  b: \"cpu:0\"\n"));
}

}  // namespace
}  // namespace tutti::test
