// Runs of the program tutti on descriptions in a separate folder. For tests only.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/json.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/run_program.hpp"

namespace tutti::test {

/// Two fake members over 50 random images, in segments of 20.
inline const std::string kTwoFakes = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4}}
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
)";

/// A folder with a description in which the program is run.
class Workplace {
 public:
  explicit Workplace(const std::string& yaml = kTwoFakes) { write("e.yaml", yaml); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  std::string read(const std::string& name) const { return read_text(folder_ / name, "a result"); }
  json::value report(const std::string& folder = "runs/0001") const {
    return parse_json(read(folder + "/report.json"), "the report");
  }
  bool has(const std::string& name) const { return std::filesystem::exists(folder_ / name); }

  ProgramOptions options() const {
    ProgramOptions options;
    options.folder = folder_.path().string();
    return options;
  }
  /// The built program and its arguments.
  static std::vector<std::string> command(std::vector<std::string> words);

 private:
  TemporaryFolder folder_;
};

/// Whether the built program has scripted faults (common/kill_point.hpp).
constexpr bool has_kill_points() {
#ifdef TUTTI_KILL_POINTS
  return true;
#else
  return false;
#endif
}

/// Environment in which the first process that visits `point` for the `visit`-th time is killed there, once: the
/// program itself for the points of the coordinator, one of its workers for those of the worker.
std::vector<std::pair<std::string, std::string>> killed_at(const Workplace& place, std::string_view point,
                                                           unsigned visit = 1);
/// Whether the fault that killed_at() armed has happened.
bool was_killed(const Workplace& place);

/// The result files that differ between two run folders, or are in only one of them; empty if all bytes are the
/// same. Reports and files that are not results are left out.
std::vector<std::string> different_results(const Workplace& place, const std::string& a, const std::string& b);

/// What a finished run wrote, and its exit code.
struct Finished {
  Finished(const Workplace& place, std::vector<std::string> words) : Finished(std::move(words), place.options()) {}
  Finished(std::vector<std::string> words, const ProgramOptions& options)
      : program(Workplace::command(std::move(words)), options), code(program.code()) {}
  const std::string& out() const { return program.out(); }
  const std::string& err() const { return program.err(); }
  Program program;
  int code;
};

}  // namespace tutti::test
