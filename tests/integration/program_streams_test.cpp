// What the program tutti writes to stdout, stderr and a terminal, and that neither can end a run.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/trace_file.hpp"

namespace tutti::test {
namespace {

TEST_CASE("quiet prints nothing but errors") {
  const Workplace place;
  const Finished quiet(place, {"run", "e.yaml", "--quiet"});
  CHECK(quiet.code == 0);
  CHECK(quiet.out().empty());
  CHECK(quiet.err().empty());
  CHECK(place.has("runs/0001/report.json"));
  const Finished failed(place, {"run", "e.yaml", "-q", "assignment=cpu:4000"});
  CHECK(failed.code == 2);
  CHECK(failed.out().empty());
  CHECK(contains(failed.err(), "core 4000 does not exist"));
}

TEST_CASE("piped progress is plain lines on stderr and results are on stdout") {
  const Workplace place;
  const Finished run(place, {"run", "e.yaml"});
  CHECK(contains(run.err(), "predict  100 %  50/50 images"));
  CHECK(contains(run.err(), "2/2 members alive"));
  CHECK_FALSE(contains(run.err(), "\r"));
  CHECK_FALSE(contains(run.err(), "\033"));
  CHECK_FALSE(contains(run.out(), "predict"));
}

/// stderr of a run on a terminal.
std::string on_terminal(const Workplace& place, const std::string& no_color) {
  ProgramOptions options = place.options();
  options.terminal = true;
  options.environment = {{"TERM", "xterm-256color"}, {"NO_COLOR", no_color}};
  const Finished run({"run", "e.yaml", "--verbose"}, options);
  CHECK(run.code == 0);
  return run.err();
}

TEST_CASE("on a terminal progress is a bar and logs are coloured unless NO_COLOR says otherwise") {
  if (!has_terminals()) {
    std::puts("SKIPPED: there is no pseudo-terminal (is /dev/pts mounted?)");
    return;
  }
  const Workplace place;
  const std::string coloured = on_terminal(place, "");
  CHECK(contains(coloured, "\rpredict  [########################]  100 %"));
  CHECK(contains(coloured, "\033[36mdebug\033"));
  const std::string plain = on_terminal(place, "1");
  CHECK(contains(plain, "debug 2 workers ready"));
  CHECK_FALSE(contains(plain, "\033[36m"));
}

TEST_CASE("on a terminal an evaluation shows the tasks above the images and leaves neither behind") {
  if (!has_terminals()) {
    std::puts("SKIPPED: there is no pseudo-terminal (is /dev/pts mounted?)");
    return;
  }
  const Workplace place(kTwoFakes + R"(
tasks:
  - {name: first, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}}
  - {name: second, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}}
)");
  ProgramOptions options = place.options();
  options.terminal = true;
  const Finished run({"evaluate", "e.yaml"}, options);
  CHECK(run.code == 0);
  CHECK(contains(run.err(), "tasks  [############............]   50 %  0/2 done, now first\033[K"));
  CHECK(contains(run.err(), "tasks  [########################]  100 %  1/2 done, now second\033[K"));
  CHECK(contains(run.err(), "second  [########################]  100 %  50/50 images"));
  CHECK(run.err().ends_with("\r\033[K\033[A\033[K"));
}

TEST_CASE("on a terminal lines of the log and the bar do not run into each other") {
  if (!has_terminals()) {
    std::puts("SKIPPED: there is no pseudo-terminal (is /dev/pts mounted?)");
    return;
  }
  // The bar has been shown for a while when the line about a death comes.
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 4, delay_ms: 20}}
  - {name: b, model: {kind: fake, classes: 4, faults: [{kind: kill, phase: predict, at_batch: 20}]}}
assignment: cpu
input: {dataset: random, count: 600, shape: [1, 4, 4], classes: 4}
segment_images: 20
batch_images: 20
slots: 1
)");
  ProgramOptions options = place.options();
  options.terminal = true;
  options.columns = 100;
  options.environment = {{"NO_COLOR", "1"}};
  const Finished run({"run", "e.yaml"}, options);
  CHECK(run.code == 0);
  const std::string& text = run.err();
  const std::size_t event = text.find(" warning b on cpu died: ");
  REQUIRE(event != text.npos);
  // A bar was drawn before, was cleared for the line, and was drawn again at once.
  const std::size_t begin = event - std::string_view("12:34:56.789").size();
  CHECK(contains(text.substr(0, begin), "\rpredict  [####"));
  CHECK(text.substr(0, begin).ends_with("\033[K\r\033[K"));
  const std::size_t end = text.find('\n', event);
  CHECK(text.substr(end + 1).starts_with("\rpredict  ["));
  CHECK(text.ends_with("\r\033[K"));
}

TEST_CASE("on a narrow terminal no line of the bar is as wide as the terminal") {
  if (!has_terminals()) {
    std::puts("SKIPPED: there is no pseudo-terminal (is /dev/pts mounted?)");
    return;
  }
  // So many images that the line would be far too long, and slow enough that it is drawn more than once.
  const Workplace place(R"(
members: [{name: a, model: {kind: fake, classes: 4, delay_ms: 1}}]
assignment: cpu
input: {dataset: random, count: 100000, shape: [1, 1, 1], classes: 4}
segment_images: 500
batch_images: 500
)");
  ProgramOptions options = place.options();
  options.terminal = true;
  options.columns = 40;
  const Finished run({"run", "e.yaml", "--log-level", "warning"}, options);
  CHECK(run.code == 0);
  CHECK(contains(run.err(), "\rpredict  ["));
  std::string line;
  std::size_t widest = 0;
  for (const char letter : run.err() + "\r") {
    if (letter != '\r' && letter != '\n') {
      line += letter;
      continue;
    }
    if (line.ends_with("\033[K")) line.resize(line.size() - 3);  // clears the rest of the line
    widest = std::max(widest, line.size());
    line.clear();
  }
  CHECK(widest == 39);  // in the 40th column a terminal may wrap already
}

TEST_CASE("a stdout that cannot be written fails the run after its results are written") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  ProgramOptions options = place.options();
  options.out_file = "/dev/full";
  const Finished run({"run", "e.yaml", "output=here"}, options);
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "tutti: could not write to the standard output\n  detail: No space left on device\n"));
  CHECK(place.report("here").at("completed") == true);
  CHECK(place.read("here/predictions.npy") == place.read("right/predictions.npy"));
}

TEST_CASE("a stderr that cannot be written or is closed does not keep a run from its results") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  ProgramOptions full = place.options();
  full.err_file = "/dev/full";
  ProgramOptions closed = place.options();
  closed.closed = {STDERR_FILENO};
  for (const ProgramOptions& options : {full, closed}) {
    CAPTURE(options.closed.size());
    CHECK(Finished({"run", "e.yaml", "--verbose", "output=here"}, options).code == 0);
    CHECK(place.report("here").at("completed") == true);
    // Nothing that was meant for stderr went into a file that got its descriptor number.
    for (const char* file : {"predictions.npy", "predicted.npy"})
      CHECK(place.read(std::string("here/") + file) == place.read(std::string("right/") + file));
    std::filesystem::remove_all(place / "here");
  }
}

TEST_CASE("a program that is started without standard streams puts nothing that it prints into its files") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  for (const std::vector<int>& closed :
       {std::vector<int>{STDOUT_FILENO}, {STDIN_FILENO, STDOUT_FILENO}, {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}}) {
    CAPTURE(closed.size());
    ProgramOptions options = place.options();
    options.closed = closed;
    // Its log goes to stderr, and the table of its results to stdout.
    const Finished run({"run", "e.yaml", "--verbose", "output=here", "--trace", "trace.json"}, options);
    CHECK(run.code == 0);
    CHECK(different_results(place, "here", "right").empty());
    CHECK(place.report("here").at("completed") == true);
    TraceFile(place / "trace.json").check_tracks();
    std::filesystem::remove_all(place / "here");
  }
}

}  // namespace
}  // namespace tutti::test
