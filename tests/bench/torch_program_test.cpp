// The command `tutti bench` with real members in real processes; a few images, and nothing is said of how long they
// take.
#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <fstream>

#include "common/json.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"
#include "tests/support/run_program.hpp"

namespace tutti::test {
namespace {

/// The first two cores that may be used: the more cores, the more settings are tried.
std::string two_cores() {
  cpu_set_t set;
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  std::string cores;
  int found = 0;
  for (std::size_t core = 0; core < CPU_SETSIZE && found < 2; ++core)
    if (CPU_ISSET(core, &set)) cores += (found++ == 0 ? "" : ", ") + std::to_string(core);
  return "{cpu: [" + cores + "]}";
}

struct Measured {
  explicit Measured(const std::string& members, std::vector<std::string> words) {
    const std::string cores = two_cores();
    std::ofstream(folder / "e.yaml") << "members:\n"
                                     << members << "assignment: [" << cores << ", " << cores << "]\n"
                                     << R"(
input: {dataset: random, count: 44, shape: [3, 32, 32], classes: 10, seed: 3}
train: {batch_images: 11}
segment_images: 20
batch_images: 4
)";
    words.insert(words.begin(), {test::kProgram, "bench", "e.yaml", "--repeats", "1", "--json", "rows.jsonl", "-q"});
    ProgramOptions options;
    options.folder = folder.path().string();
    Program program(words, options);
    code = program.code();
    err = program.err();
    std::ifstream in(folder / "rows.jsonl");
    for (std::string line; std::getline(in, line);) rows.push_back(parse_json(line, "a row").get_object());
  }

  json::object row(const std::string& bench, const std::string& name) const {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const json::object& row) {
      return row.at("bench") == json::string(bench) && row.at("name") == json::string(name);
    });
    REQUIRE(found != rows.end());
    return *found;
  }

  TemporaryFolder folder;
  int code = 0;
  std::string err;
  std::vector<json::object> rows;
};

const std::string kTwoCnns =
    "  - {name: a, model: {kind: small-cnn}}\n"
    "  - {name: b, model: {kind: small-cnn}}\n";

/// Each of them ran, and its note holds `agreement` and not `other`.
void check_ran(const Measured& measured, const std::vector<std::string>& names, const std::string& agreement,
               const std::string& other) {
  CHECK(measured.err.empty());
  REQUIRE(measured.code == 0);
  for (const std::string& name : names) {
    const json::object row = measured.row("strategies", name);
    CHECK(row.at("samples").get_array().size() == 1);
    CHECK(contains(row.at("note").get_string(), agreement));
    CHECK_FALSE(contains(row.at("note").get_string(), other));
  }
  CHECK_FALSE(measured.rows.front().at("certificate").at("libtorch").get_string().empty());
}

TEST_CASE("small CNNs in one process give the same bits") {
  check_ran(Measured(kTwoCnns, {"--strategies", "sequential-one,sequential,threads"}),
            {"sequential, one thread", "sequential, all cores", "threads"}, "same bits", "differs");
}

TEST_CASE("a pool of small CNNs gives the same bits as one process") {
  check_ran(Measured(kTwoCnns, {"--strategies", "multiprocess"}), {"multiprocess (the pool)"}, "same bits", "differs");
}

TEST_CASE("small CNNs in one graph give the same within the tolerance") {
  check_ran(Measured(kTwoCnns, {"--strategies", "branches,fused"}), {"single graph, branches", "single graph, fused"},
            "images/s", "tipped");
}

TEST_CASE("members that differ cannot be fused and are still trained") {
  const Measured measured(
      "  - {name: a, model: {kind: small-cnn}}\n"
      "  - {name: b, model: {kind: mlp, layers: [8, 10]}}\n",
      {"--train", "--strategies", "fused,multiprocess"});
  CHECK(measured.err.empty());
  REQUIRE(measured.code == 0);
  CHECK_FALSE(measured.row("strategies", "single graph, fused").at("skipped").get_string().empty());
  CHECK(measured.row("training", "one after another, one thread").at("samples").get_array().size() == 1);
  CHECK(measured.row("training", "side by side in the pool").at("samples").get_array().size() == 1);
}

}  // namespace
}  // namespace tutti::test
