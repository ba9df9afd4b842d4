// What the command line of tutti bench accepts and rejects.
#include "bench/comparison/command_line.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"

namespace tutti::bench {
namespace {

using test::contains;
using test::error_of;

std::optional<CommandLine> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "bench");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

std::optional<Error> refused(std::vector<const char*> words) {
  return error_of([&] { parse(std::move(words)); });
}

TEST_CASE("options that are not given have their default") {
  const auto line = parse({"e.yaml"});
  REQUIRE(line);
  CHECK(line->file == "e.yaml");
  CHECK(line->repeats == 5);
  CHECK(line->contenders.size() == 6);
  CHECK(line->batches.empty());
  CHECK(line->sweep_time == std::chrono::seconds(180));
  CHECK_FALSE(line->training);
  CHECK(line->cache);
  CHECK_FALSE(parse({"e.yaml", "--no-cache"})->cache);
}

TEST_CASE("overrides and options may be in any order and are kept for the rows") {
  const auto line = parse({"e.yaml", "--batches", "4,20", "input.limit=10", "--repeats", "7", "--sweep",
                           "--sweep-seconds", "9", "--strategies", "threads,multiprocess"});
  REQUIRE(line);
  CHECK(line->overrides == std::vector<std::string>{"input.limit=10"});
  CHECK(line->batches == std::vector<std::uint32_t>{4, 20});
  CHECK(line->repeats == 7);
  CHECK(line->sweep_time == std::chrono::seconds(9));
  CHECK(line->contenders == std::vector{Contender::threads, Contender::multiprocess});
  CHECK(contains(line->text, "e.yaml --batches 4,20 input.limit=10"));
}

TEST_CASE("a mistake is a usage error with the way to the help") {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{}, {"e.yaml", "--nonsense"}, {"e.yaml", "--quiet=no"}}) {
    const auto error = refused(words);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK_FALSE(error->message().empty());
    CHECK(error->hint() == "see 'tutti bench --help'");
  }
}

TEST_CASE("a number that is none or out of bounds is named with the bounds and one that would do") {
  const auto said = [](std::vector<const char*> words) {
    words.insert(words.begin(), "e.yaml");
    const auto error = refused(std::move(words));
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return fmt::format("{}; {}; {}", error->message(), error->detail(), error->hint());
  };
  CHECK(said({"--repeats", "0"}) ==
        "'--repeats' cannot be '0'; it is a whole number from 1 to 1000; write for example '--repeats 1'");
  CHECK(said({"--repeats", "many"}) ==
        "'--repeats' cannot be 'many'; it is a whole number from 1 to 1000; write for example '--repeats 5'");
  CHECK(contains(said({"--repeats", "1.5"}), "'--repeats' cannot be '1.5'"));
  CHECK(contains(said({"--repeats", "99999999999999"}), "'--repeats' cannot be '99999999999999'"));
  CHECK(said({"--seconds", "1e9"}) ==
        "'--seconds' cannot be '1e9'; it is a number from 0 to 86400; write for example '--seconds 86400'");
  CHECK(contains(said({"--seconds", "nan"}), "write for example '--seconds 120'"));
  CHECK(said({"--batches", "4,0"}) ==
        "'--batches' cannot be '0'; it is a whole number from 1 to 16777216; write for example '--batches 1'");
  CHECK(contains(said({"--sweep", "--sweep-seconds", "-1"}), "write for example '--sweep-seconds 1'"));
  CHECK(said({"--sweep-seconds", "10"}) ==
        "'--sweep-seconds' counts only with '--sweep'; ; add '--sweep', or leave '--sweep-seconds' out");
  // A number is the same number for CLI11, which would read this one as octal.
  CHECK(parse({"e.yaml", "--repeats", "010"})->repeats == 10);
}

TEST_CASE("an option that does not exist is rejected with the nearest one") {
  const auto error = refused({"e.yaml", "--repeat=3"});
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "'tutti bench' has no option '--repeat'");
  CHECK(error->hint() == "did you mean '--repeats'?");
  CHECK(refused({"--nonsense"})->message() == "'tutti bench' has no option '--nonsense'");
}

TEST_CASE("a strategy that does not exist is rejected with the nearest one") {
  const auto near = refused({"e.yaml", "--strategies", "threads,fusd"});
  REQUIRE(near);
  CHECK(near->kind() == ErrorKind::usage);
  CHECK(near->message() == "there is no strategy 'fusd'");
  CHECK(near->hint() == "did you mean 'fused'?");
  const auto far = refused({"e.yaml", "--strategies", "quantum-annealing"});
  REQUIRE(far);
  CHECK(contains(far->hint(), "--strategies takes sequential-one, sequential, threads"));
}

}  // namespace
}  // namespace tutti::bench
