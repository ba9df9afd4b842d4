// What every measuring program says: rows of samples, each with its birth certificate, for people as a table and for
// programs as lines of JSON. It measures nothing.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/json.hpp"

namespace tutti::bench {

/// Where and of what a row was measured.
struct Certificate {
  std::string version;   ///< "tutti 0.1.0-<build id>"
  std::string commit;    ///< of the source tree that this was built from, with "+dirty"; empty where it is not known
  std::string compiler;  ///< "g++ 12.2.0"
  std::string libtorch;  ///< "2.11.0"; empty where none takes part
  std::string cpu;
  unsigned cores = 0;    ///< that this process can keep busy
  std::string governor;  ///< of cpu0; "unknown" in most virtual machines
  std::string kernel;    ///< "Linux 6.1.0"
  int repeats = 0;
  std::string date;     ///< "2026-03-21", in UTC
  std::string options;  ///< the command line as far as it tells what was measured
};
/// Of this program on this machine.
Certificate certificate(int repeats, std::string libtorch = {});

/// One figure. Two runs' rows are the same figure where `bench`, `name` and `conditions` are equal.
struct Row {
  std::string bench = {};        ///< "strategies", "interference", "micro", ...
  std::string name = {};         ///< "multiprocess"
  json::object conditions = {};  ///< what was fixed: {"members": 4, "batch_images": 4, ...}; order does not matter
  std::string unit = {};         ///< "s", "us", "images/s", "MiB"; empty for a ratio or a count
  bool higher_is_better = false;
  std::vector<double> samples = {};  ///< in the order in which they were taken; empty where `skipped`
  std::string aim = {};              ///< "<= 1.5"; empty where none is stated
  std::string note = {};             ///< what was found: "2 threads each, batch 20"
  std::string skipped = {};          ///< the reason why it was not measured: "no GPU"; empty where it was
};

struct Statistics {
  double median = 0;
  double mad = 0;  ///< median of the absolute deviations from the median, not scaled
  double min = 0;
  double max = 0;
};
/// `samples` must not be empty. Of an even number the median is the mean of the two in the middle.
Statistics statistics(std::vector<double> samples);

/// {"schema": "tutti.bench/1", "certificate": {...}, "bench": ..., "name": ..., "conditions": {...}, "unit": ...,
/// "better": "lower" | "higher", "samples": [...], "median": ..., "mad": ..., "min": ..., "aim"?, "note"?, "skipped"?}
json::object to_json(const Row& row, const Certificate& certificate);

/// Prints rows as they come and, where a file was named, appends each as one line of JSON.
class Reporter {
 public:
  /// Throws Error(failed) where the file cannot be written.
  Reporter(Certificate certificate, const std::filesystem::path& json_lines);
  /// For a program that learns it from its workers: "2.11.0". Before the first row.
  void set_libtorch(std::string version) { certificate_.libtorch = std::move(version); }
  /// How often the following rows were repeated.
  void set_repeats(int repeats) { certificate_.repeats = repeats; }
  /// A heading and the columns' names; before the first one the certificate.
  void begin_table(const std::string& title);
  /// A sentence above a table; before the first one the certificate.
  void remark(const std::string& sentence);
  void add(const Row& row);
  /// As add(), but prints nothing: for tables of another form.
  void record(const Row& row);
  const std::vector<Row>& rows() const noexcept { return rows_; }

 private:
  void say_certificate();

  Certificate certificate_;
  std::filesystem::path json_lines_;
  std::vector<Row> rows_;
  bool begun_ = false;
};

/// Four digits, whatever the size: "0.001234", "12.34", "12340".
std::string number_text(double value);

/// "m0", "m1" ... of one model, on the CPU.
std::string members_yaml(const std::string& model, int members);

}  // namespace tutti::bench
