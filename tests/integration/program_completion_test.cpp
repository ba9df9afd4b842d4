// `tutti completion`: the scripts in the shells that they are for.
#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// A folder with some files, and the script of a shell in it.
struct Shell : Workplace {
  explicit Shell(const std::string& name) : shell(name) {
    const Finished script(*this, {"completion", shell});
    CHECK(script.code == 0);
    write("script", script.out());
    write("two words.yaml", "");
    std::filesystem::create_directory(*this / "photos");
  }
  bool installed() const {
    if (Program({"/bin/sh", "-c", "command -v " + shell}).code() == 0) return true;
    MESSAGE("SKIPPED: " << shell << " is not installed");
    return false;
  }
  std::string run(const std::string& text) const {
    Program program({"/usr/bin/env", shell,
                     shell == "fish"  ? "--no-config"
                     : shell == "zsh" ? "-f"
                                      : "--norc",
                     "-c", text},
                    options());
    CHECK_MESSAGE(program.code() == 0, program.err());
    CHECK(program.err().empty());
    return program.out();
  }
  std::string shell;
};

/// What bash offers for the last of these words, sorted.
struct Bash : Shell {
  Bash() : Shell("bash") {}
  Lines offers(const Lines& words) const {
    std::string text = "source ./script; COMP_WORDS=(tutti";
    for (const std::string& word : words) text += " '" + word + "'";
    text += fmt::format("); COMP_CWORD={}; _tutti; printf '%s\\n' \"${{COMPREPLY[@]}}\"", words.size());
    Lines offered = lines_of(run(text));
    std::ranges::sort(offered);
    return offered;
  }
};

TEST_CASE("bash completes commands and options and the words that an option takes") {
  const Bash bash;
  const Lines commands = bash.offers({""});
  for (const char* command : {"bench", "combine", "completion", "evaluate", "help", "init", "merge", "plan", "run",
                              "schema", "train", "validate"})
    CHECK(std::ranges::count(commands, command) == 1);
  CHECK(bash.offers({"pl"}) == Lines{"plan"});
  CHECK(bash.offers({"--ver"}) == Lines{"--version"});
  CHECK(bash.offers({"run", "--tr"}) == Lines{"--trace"});
  CHECK(bash.offers({"schema", "--tr"}) == Lines{""});  // of another command
  CHECK(bash.offers({"run", "--log-level", "i"}) == Lines{"info"});
  CHECK(bash.offers({"run", "--log-level", "=", "i"}) == Lines{"info"});
  CHECK(bash.offers({"run", "--log-level", "="}).size() == 5);
  CHECK(bash.offers({"init", "--preprocess", "im"}) == Lines{"imagenet"});
  CHECK(bash.offers({"run", "--rule", "me"}) == Lines{"mean", "median"});
  CHECK(bash.offers({"help", "ev"}) == Lines{"evaluate"});
  CHECK(bash.offers({"completion", ""}) == Lines{"bash", "fish", "zsh"});
}

TEST_CASE("bash completes files where an option or a command takes them") {
  const Bash bash;
  CHECK(bash.offers({"run", "two"}) == Lines{"two words.yaml"});
  CHECK(bash.offers({"run", "--images", "pho"}) == Lines{"photos"});
  CHECK(bash.offers({"init", "-o", "e."}) == Lines{"e.yaml"});
  CHECK(bash.offers({"combine", "e.", "--labels", "e."}) == Lines{"e.yaml"});
  CHECK(bash.offers({"bench", "e."}) == Lines{"e.yaml"});
  CHECK(bash.offers({"run", "--debug-worker", "e."}) == Lines{""});  // a member
  CHECK(bash.offers({"schema", "e."}) == Lines{""});
}

TEST_CASE("every option that a command describes is completed") {
  const Bash bash;
  const std::regex option("(^|[ ,])(--?[a-z][a-z-]*)");
  for (const char* command : {"run", "evaluate", "combine", "train", "plan", "validate", "merge", "init", "schema"}) {
    const Lines offered = bash.offers({command, "-"});
    const std::string help = Finished(bash, {command, "--help"}).out();
    std::set<std::string> described;
    for (const std::string& line : lines_of(help.substr(help.find("\nOptions:"))))
      if (line.starts_with("  -")) {
        const std::string names = line.substr(0, line.find(' ', 2));
        for (std::sregex_iterator at(names.begin(), names.end(), option), end; at != end; ++at)
          described.insert((*at)[2]);
      }
    CHECK(described.size() >= 2);
    CHECK(std::set<std::string>(offered.begin(), offered.end()) == described);
  }
}

TEST_CASE("fish completes commands and options and files") {
  const Shell fish("fish");
  if (!fish.installed()) return;
  const auto offers = [&](const std::string& line) {
    return lines_of(fish.run("source ./script; complete -C 'tutti " + line + "'"));
  };
  CHECK(offers("pl") == Lines{"plan\tshow what would run where, and what it needs"});
  CHECK(offers("run --tr").at(0).starts_with("--trace\t"));
  CHECK(offers("run --log-level i").at(0).starts_with("info\t"));
  CHECK(offers("run --images pho") == Lines{"photos/"});
  CHECK(offers("schema ").empty());
}

TEST_CASE("zsh gets a specification of each command and its options") {
  const Shell zsh("zsh");
  if (!zsh.installed()) return;
  // Stand-ins for the functions of its completion system, which is only there at a terminal.
  const std::string specs = zsh.run(
      "compdef() { print -r -- registered $*; }; _describe() { print -rl -- $commands; }\n"
      "_arguments() { print -rl -- \"$@\"; state=$next; }\n"
      "source ./script; next=command; words=(''); _tutti; next=argument; words=(run ''); _tutti");
  CHECK(specs.starts_with("registered _tutti tutti\n"));
  CHECK(contains(specs, "\nplan:show what would run where, and what it needs\n"));
  CHECK(contains(specs, "\n(--trace)--trace=[write a timeline of workers and coordinator"));
  CHECK(contains(specs, ":FILE:_files\n"));
  CHECK(contains(specs, ":word:(debug info warning error off)\n"));
  CHECK(contains(specs, "\n(-q --quiet)-q[print errors only]\n"));
  CHECK(contains(specs, "\n*--assign=[device of a member, once per member\\: cnn-0=cpu\\:1]:MEMBER=DEVICE: \n"));
}

TEST_CASE("shells that have no completion are refused with those that have") {
  const Workplace place;
  const Finished other(place, {"completion", "tcsh"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "'shell' cannot be 'tcsh'\n  detail: it is one of bash, zsh, fish\n"));
  const Finished none(place, {"completion"});
  CHECK(none.code == 2);
  CHECK(contains(none.err(), "'tutti completion' needs bash, zsh or fish"));
}

}  // namespace
}  // namespace tutti::test
