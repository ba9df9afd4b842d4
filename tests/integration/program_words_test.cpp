// What the program says about words of the command line that it does not know, misses, or has too many of.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

TEST_CASE("an unknown option is refused with the nearest or with the command that has it") {
  const Workplace place;
  const auto said = [&](std::vector<std::string> words) {
    const Finished refused(place, std::move(words));
    CHECK(refused.code == 2);
    return refused.err();
  };
  CHECK(said({"run", "e.yaml", "--trce", "t.json"}) ==
        "tutti: 'tutti run' has no option '--trce'\n  hint: did you mean '--trace'?\n");
  CHECK(said({"evaluate", "e.yaml", "--ruls=mean"}) ==
        "tutti: 'tutti evaluate' has no option '--ruls'\n  hint: did you mean '--rules'?\n");
  CHECK(said({"run", "e.yaml", "--merged", "m.st"}) ==
        "tutti: 'tutti run' has no option '--merged'\n  hint: 'tutti evaluate' has it\n");
  CHECK(contains(said({"validate", "e.yaml", "--worker", "x"}), "hint: 'tutti run' has it"));
  CHECK(said({"run", "e.yaml", "--no-such-option"}) ==
        "tutti: 'tutti run' has no option '--no-such-option'\n  hint: see 'tutti run --help'\n");
  CHECK(said({"--verson"}) == "tutti: 'tutti' has no option '--verson'\n  hint: did you mean '--version'?\n");
  CHECK(said({"run", "e.yaml", "-z"}) == "tutti: 'tutti run' has no option '-z'\n  hint: see 'tutti run --help'\n");
  CHECK(said({"run", "e.yaml", "--resume=3"}) == "tutti: '--resume' takes no value\n  hint: see 'tutti run --help'\n");
  CHECK(said({"bench", "e.yaml", "--quiet=no"}) ==
        "tutti bench: '--quiet' takes no value\n  hint: see 'tutti bench --help'\n");
}

TEST_CASE("words that are missing or too many are named in words for users") {
  const Workplace place;
  const auto said = [&](std::vector<std::string> words) {
    const Finished refused(place, std::move(words));
    CHECK(refused.code == 2);
    CHECK(refused.out().empty());
    return refused.err();
  };
  CHECK(said({}) == "tutti: there is no command\n  hint: see 'tutti --help'\n");
  CHECK(said({"run"}) ==
        "tutti: 'tutti run' needs the ensemble's YAML file; or models, *.pt *.pt2 *.onnx *.xml *.tflite *.pb, with "
        "--images\n  hint: see 'tutti run --help'\n");
  CHECK(said({"evaluate"}) ==
        "tutti: 'tutti evaluate' needs the ensemble's YAML file\n  hint: see 'tutti evaluate --help'\n");
  CHECK(said({"init"}) ==
        "tutti: 'tutti init' needs folders or files of models, and a folder of pictures or an .npy file\n  hint: see "
        "'tutti init --help'\n");
  CHECK(said({"completion"}) ==
        "tutti: 'tutti completion' needs bash, zsh or fish\n  hint: see 'tutti completion --help'\n");
  CHECK(said({"completion", "bash", "zsh"}) ==
        "tutti: 'zsh' is one word too many for 'tutti completion'\n  hint: see 'tutti completion --help'\n");
  CHECK(contains(said({"schema", "e.yaml"}), "'e.yaml' is one word too many for 'tutti schema'"));
  CHECK(said({"run", "e.yaml", "--csv"}) ==
        "tutti: '--csv' needs a value\n  hint: write '--csv [HEADER=]COLUMN,...'\n");
  CHECK(said({"run", "e.yaml", "--csv", "id", "--csv", "label"}) ==
        "tutti: '--csv' is given more than once\n  hint: leave out all but one\n");
}

TEST_CASE("an option without its value is refused and no other option becomes the value") {
  const Workplace place;
  const auto said = [&](std::vector<std::string> words) {
    const Finished refused(place, std::move(words));
    CHECK(refused.code == 2);
    return refused.err();
  };
  CHECK(said({"run", "m.pt", "--save=", "--dry-run"}) ==
        "tutti: '--save' needs a value, and '--dry-run' is an option\n  hint: write '--save FILE.yaml'\n");
  CHECK_FALSE(place.has("--dry-run"));
  CHECK(said({"run", "e.yaml", "--csv", "-q"}) ==
        "tutti: '--csv' needs a value, and '-q' is an option\n  hint: write '--csv [HEADER=]COLUMN,...'\n");
  for (const char* command : {"run", "evaluate", "combine"})
    CHECK(said({command, "e.yaml", "--csv", ""}) ==
          "tutti: '--csv' needs a value\n  hint: write '--csv [HEADER=]COLUMN,...'\n");
  CHECK(contains(said({"init", "models", "-o", ""}), "'--output' needs a value\n"));
  CHECK(contains(said({"bench", "e.yaml", "--json", ""}), "'--json' needs a value\n"));
  CHECK(said({"run", ""}) ==
        "tutti: a word of the command line is empty\n  detail: FILE: the ensemble's YAML file; or models, *.pt *.pt2 "
        "*.onnx *.xml *.tflite *.pb, with --images\n  hint: a variable of the shell that is not set makes such a "
        "word\n");
  const Finished negative(place, {"combine", "--predictions", "a.npy", "--ignore-index", "-1"});
  CHECK_FALSE(contains(negative.err(), "needs a value"));
  // Called as a place of the command, which is a name like any other.
  CHECK(Finished(place, {"run", "e.yaml", "-q", "--trace", "file"}).code == 0);
  CHECK(place.has("file"));
}

}  // namespace
}  // namespace tutti::test
