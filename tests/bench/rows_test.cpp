// Statistics of samples, and rows as lines of JSON.
#include "bench/rows.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/usable_cores.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::bench {
namespace {

std::vector<json::object> lines_of(const std::filesystem::path& file) {
  std::vector<json::object> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line, "a row").get_object());
  return lines;
}

TEST_CASE("the median of an odd number is the middle and of an even number the mean of two") {
  CHECK(statistics({5, 1, 3}).median == 3);
  CHECK(statistics({4, 1, 3, 2}).median == 2.5);
  CHECK(statistics({7}).median == 7);
}

TEST_CASE("the deviation is the median one and one wild sample does not move it") {
  const Statistics found = statistics({10, 11, 12, 13, 1000});
  CHECK(found.median == 12);
  CHECK(found.mad == 1);
  CHECK(found.min == 10);
  CHECK(found.max == 1000);
}

TEST_CASE("figures have four digits whatever their size") {
  CHECK(number_text(0) == "0");
  CHECK(number_text(0.00123456) == "0.001235");
  CHECK(number_text(12.3456) == "12.35");
  CHECK(number_text(-12.3456) == "-12.35");
  CHECK(number_text(12345.6) == "12346");
}

TEST_CASE("a row says what it was and every sample") {
  Certificate made = certificate(3, "2.11.0");
  made.options = "e.yaml --repeats 3";
  const Row row{.bench = "strategies",
                .name = "threads",
                .conditions = {{"members", 4}},
                .unit = "s",
                .samples = {3, 1, 2},
                .aim = "<= 2",
                .note = "fine"};
  const json::object line = to_json(row, made);
  CHECK(line.at("schema") == "tutti.bench/1");
  CHECK(line.at("bench") == "strategies");
  CHECK(line.at("conditions").at("members") == 4);
  CHECK(line.at("better") == "lower");
  CHECK(line.at("samples") == json::array{3.0, 1.0, 2.0});
  CHECK(line.at("median") == 2.0);
  CHECK(line.at("mad") == 1.0);
  CHECK(line.at("min") == 1.0);
  CHECK(line.at("aim") == "<= 2");
  CHECK(line.at("note") == "fine");
  CHECK_FALSE(line.contains("skipped"));
  const json::value& certificate = line.at("certificate");
  CHECK(certificate.at("version") == json::string(std::string("tutti ") + build_id()));
  CHECK(certificate.at("libtorch") == "2.11.0");
  CHECK(certificate.at("options") == "e.yaml --repeats 3");
  CHECK(certificate.at("repeats") == 3);
  CHECK(certificate.at("cores") == usable_cores());
  for (const char* key : {"compiler", "cpu", "governor", "kernel"})
    CHECK_FALSE(certificate.at(key).get_string().empty());
  CHECK(certificate.at("commit").is_string());
}

TEST_CASE("a row that was skipped has a reason and no figures") {
  const json::object line = to_json({.bench = "b", .name = "n", .higher_is_better = true, .skipped = "no GPU"}, {});
  CHECK(line.at("skipped") == "no GPU");
  CHECK(line.at("better") == "higher");
  CHECK_FALSE(line.contains("median"));
}

TEST_CASE("rows are appended to the file one by one and a later run adds its own") {
  const test::TemporaryFolder folder;
  for (int run = 0; run < 2; ++run) {
    Reporter out({}, folder / "rows.jsonl");
    out.set_libtorch("2.11.0");
    out.record({.bench = "b", .name = "one", .samples = {1}});
    out.record({.bench = "b", .name = "two", .skipped = "why"});
    CHECK(out.rows().size() == 2);
  }
  const auto lines = lines_of(folder / "rows.jsonl");
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].at("name") == "one");
  CHECK(lines[0].at("certificate").at("libtorch") == "2.11.0");
  CHECK(lines[3].at("name") == "two");
}

TEST_CASE("a file that cannot be written is told before anything is measured") {
  const auto error = test::error_of([] { Reporter out({}, "/nowhere/rows.jsonl"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write '/nowhere/rows.jsonl'");
}

}  // namespace
}  // namespace tutti::bench
