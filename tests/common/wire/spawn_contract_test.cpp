// The arguments of a worker: what the coordinator writes is what the worker reads.
#include "common/wire/spawn_contract.hpp"

#include <doctest/doctest.h>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

LaunchOptions round_trip(const LaunchOptions& options) {
  const std::vector<std::string> arguments = to_arguments(options);
  return parse_arguments({arguments.begin(), arguments.end()});
}

std::optional<Error> refusal(const std::vector<std::string_view>& arguments) {
  return error_of([&] { parse_arguments(arguments); });
}

TEST_CASE("launch options arrive as they were sent") {
  const LaunchOptions options = round_trip({"cnn-0", 4711, {0, 5, 130}, true, true});
  CHECK(options.member == "cnn-0");
  CHECK(options.parent == 4711);
  CHECK(options.cores == std::vector<int>{0, 5, 130});
  CHECK(options.debug);
  CHECK(options.core_files);
}

TEST_CASE("without cores and debugger and core files there are no arguments about them") {
  CHECK(to_arguments({"a", 1, {}, false, false}) == std::vector<std::string>{"--member=a", "--parent=1"});
  const LaunchOptions options = round_trip({"a=b", 1, {}, false, false});
  CHECK(options.member == "a=b");
  CHECK(options.cores.empty());
  CHECK_FALSE(options.debug);
  CHECK_FALSE(options.core_files);
}

TEST_CASE("a fork server has room for the arguments of its workers") {
  LaunchOptions options{"fork server", 1, {}, false, false};
  options.fork_server = true;
  CHECK(round_trip(options).fork_server);
  CHECK_FALSE(round_trip(options).preload);
  options.preload = true;
  CHECK(round_trip(options).preload);
  CHECK_FALSE(round_trip({"a", 1, {}, false, false}).fork_server);
  std::size_t room = 0;
  for (const std::string& argument : to_arguments(options)) room += argument.size() + 1;
  CHECK(room > 400);
}

TEST_CASE("a request to fork arrives as it was sent") {
  const std::vector<std::string> arguments{"--member=a b", "", "--parent=1"};
  CHECK(split_fork_request(join_fork_request(arguments)) == arguments);
  CHECK(split_fork_request("").empty());
  CHECK(split_fork_request("without an end").empty());
}

TEST_CASE("a worker that was started by hand says who starts it") {
  const auto error = refusal({});
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "tutti-worker is started by Tutti's coordinator, not by hand");
  CHECK(contains(error->hint(), "tutti run"));
  CHECK(refusal({"--member=a"}));
}

TEST_CASE("an unknown argument is rejected with its text") {
  const auto error = refusal({"--parent=1", "--verbose"});
  REQUIRE(error);
  CHECK(error->message() == "unknown argument '--verbose'");
  CHECK(refusal({"--parent=1", "--debug=1"})->message() == "unknown argument '--debug=1'");
  CHECK(refusal({"--parent=1", "file"})->message() == "unknown argument 'file'");
}

TEST_CASE("an argument that should be a number is rejected with its text") {
  CHECK(refusal({"--parent=x"})->message() == "'x' is not a number");
  CHECK(refusal({"--parent="})->message() == "'' is not a number");
  CHECK(refusal({"--parent=12a"})->message() == "'12a' is not a number");
  CHECK(refusal({"--parent=-3"})->message() == "'-3' is not a number");
  CHECK(refusal({"--parent=99999999999"})->message() == "'99999999999' is not a number");
  CHECK(refusal({"--parent=1", "--cores=0,,2"})->message() == "'' is not a number");
  CHECK(refusal({"--parent=1", "--cores=0-2"})->message() == "'0-2' is not a number");
}

}  // namespace
}  // namespace tutti::test
