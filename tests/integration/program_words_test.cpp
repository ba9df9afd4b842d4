// What the program says about words of the command line that it does not know, misses, or has too many of.
#include <doctest/doctest.h>

#include <sstream>
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
  CHECK(
      said({"run", "e.yaml", "--output", "there"}) ==
      "tutti: 'tutti run' has no option '--output'\n  hint: it is a key of the description: write 'output=...' behind "
      "the file\n");
  CHECK(contains(said({"evaluate", "e.yaml", "--batch-size=8"}), "write 'batch_images=...' behind the file"));
  CHECK(contains(said({"bench", "e.yaml", "--slots", "2"}), "write 'slots=...' behind the file"));
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

/// The options that the help of a command lists, without those that end it.
std::vector<std::string> options_of(const Workplace& place, const std::string& command) {
  const Finished help(place, {command, "--help"});
  REQUIRE(help.code == 0);
  std::vector<std::string> options;
  std::istringstream lines(help.out());
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find("--");
    if (!line.starts_with("  -") || at == line.npos) continue;
    options.push_back(line.substr(at, line.find_first_of(" =", at) - at));
    if (options.back() == "--help") options.pop_back();
  }
  REQUIRE(options.size() >= (command == "schema" || command == "completion" ? 0 : 3));
  return options;
}

TEST_CASE("no option of any command is refused in words of the library that reads the command line") {
  const Workplace place;
  for (const std::string command :
       {"run", "evaluate", "combine", "train", "plan", "validate", "merge", "init", "schema", "completion", "bench"})
    for (const std::string& option : options_of(place, command))
      for (const std::string value : {"no!", "-1"}) {
        CAPTURE(command);
        CAPTURE(option);
        const Finished refused(place, {command, "none", option, value});
        CHECK(refused.code == 2);
        CAPTURE(refused.err());
        CHECK(refused.err().starts_with("tutti"));
        for (const char* foreign : {" not in ", "Value ", "Could not convert", " excludes ", " requires ", " required",
                                    "TEXT", "INT", "FLOAT", "Error"})
          CHECK_FALSE(contains(refused.err(), foreign));
      }
}

TEST_CASE("a value that an option cannot have is named with those that it can") {
  const Workplace place;
  const auto said = [&](std::vector<std::string> words) {
    const Finished refused(place, std::move(words));
    CHECK(refused.code == 2);
    return refused.err();
  };
  CHECK(said({"run", "e.yaml", "--log-level", "inof"}) ==
        "tutti: '--log-level' cannot be 'inof'\n  detail: it is one of debug, info, warning, error, off\n"
        "  hint: did you mean 'info'?\n");
  CHECK(contains(said({"run", "e.yaml", "--log-level", "loudest"}), "hint: choose one of these\n"));
  CHECK(contains(said({"run", "e.yaml", "--log-level", "-q"}), "'--log-level' needs a value, and '-q' is an option"));
  CHECK(said({"combine", "--predictions", "a.npy", "--ignore-index", "void"}) ==
        "tutti: '--ignore-index' cannot be 'void'\n  detail: it is a whole number\n"
        "  hint: write for example '--ignore-index 255'\n");
  CHECK(said({"run", "e.yaml", "--resume", "--dry-run"}) ==
        "tutti: '--dry-run' and '--resume' do not go together\n  hint: leave one of them out\n");
  CHECK(contains(said({"plan", "e.yaml", "--dot", "--measure"}), "do not go together"));
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
