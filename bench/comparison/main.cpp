// The program tutti-bench, which `tutti bench` executes: compares ways to run an ensemble and prints the rows. It does
// not link LibTorch: the pool's workers and the processes of single strategies do.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>

#include <tutti/error.hpp>

#include "bench/comparison/command_line.hpp"
#include "bench/comparison/comparison.hpp"
#include "bench/comparison/interference.hpp"
#include "bench/comparison/report_program.hpp"
#include "bench/comparison/sweep.hpp"
#include "bench/comparison/training.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"
#include "common/standard_streams.hpp"
#include "config/load.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;

/// "4 x small-cnn, mean; 6000 images (random, 3x32x32); batch 4, segments of 500".
std::string workload_text(const Field& field, const ImageSet& images) {
  return fmt::format("{} x {}, {}; {} ({}, {}); batch {}, segments of {}", field.spec.members.size(),
                     kinds_of(field.spec), to_name(field.spec.combine.rule), counted(images.count(), "image"),
                     images.name(), images.shape().text(), field.spec.batch_images, field.spec.segment_images);
}

void print_rows(Reporter& out, const std::string& title, const std::vector<Row>& rows) {
  out.begin_table(title);
  for (const Row& row : rows) out.add(row);
  std::fflush(stdout);
}

/// A backend's name looks like "torch 2.11.0".
std::string libtorch_of(const std::string& backend) {
  return backend.starts_with("torch ") ? backend.substr(6) : std::string();
}

void check_agreement(const ComparisonResult& result) {
  const std::vector<std::string> names = result.disagreeing();
  if (names.empty()) return;
  std::string text;
  for (const std::string& name : names) text += fmt::format("{}'{}'", text.empty() ? "" : ", ", name);
  throw Error(ErrorKind::failed, fmt::format("the predictions differ beyond the tolerance: {}", text), {},
              "their times are not comparable, because they do not compute the same as sequential");
}

/// What is compared must compute the same.
config::EnsembleSpec asking_all(config::EnsembleSpec spec) {
  if (!spec.cascade.empty()) log::info("the cascade is left out: every strategy asks all members");
  if (spec.quorum) log::info("the quorum is left out: every strategy waits for all members");
  spec.ask_all();
  return spec;
}

Field field_of(const config::EnsembleSpec& spec, const std::filesystem::path& worker, const CommandLine& line,
               Departure& departure) {
  Field field = make_field(spec, worker, line.single, departure);
  field.cache = line.cache;
  return field;
}

/// Everything that one call of the program does.
class Bench {
 public:
  Bench(const CommandLine& line, Departure& departure)
      : line_(line),
        spec_(asking_all(config::load_file(line.file, {line.overrides, line.assign}))),
        worker_(find_worker(line.worker)),
        field_(field_of(spec_, worker_, line, departure)),
        images_(read_images(spec_, spec_.input)) {
    if (!line.page.empty()) report_program_ = find_report_program();
    if (!line.page.empty() && line.json_lines.empty()) folder_.emplace(departure);
  }

  void run() {
    Certificate made = certificate(line_.repeats);
    made.options = line_.text;
    const std::filesystem::path rows = folder_ ? folder_->path() / "rows.jsonl" : line_.json_lines;
    Reporter out(std::move(made), rows);
    if (!line_.trace.empty()) trace_pool(field_, images_, line_.trace);
    const ComparisonResult result = compare(out);
    if (line_.training)
      print_rows(out, "training", training_rows(field_, read_images(spec_, spec_.train_input), line_.repeats));
    if (line_.interference) print_rows(out, "interference", interference_rows(field_, images_, line_.repeats));
    if (line_.sweep) sweep(field_, images_, line_.sweep_time, out);
    if (!line_.page.empty()) draw_report(report_program_, rows, line_.page, line_.trace);
    check_agreement(result);
  }

 private:
  ComparisonResult compare(Reporter& out) {
    config::EnsembleSpec described = spec_;
    described.segment_images = field_.spec.segment_images;  // chosen, if the description leaves it open
    const std::vector<std::uint32_t> batches = batches_to_try(described, line_.batches, field_.cuda);
    if (spec_.measure_batch_images)
      log::info("batch_images is auto: rows at {}, and each strategy at its own best of {}", field_.spec.batch_images,
                fmt::join(batches, ", "));
    ComparisonResult result =
        compare_strategies(field_, images_, {line_.contenders, batches, line_.repeats, line_.seconds});
    out.set_libtorch(libtorch_of(result.backend()));
    out.set_repeats(result.rounds);
    const ImageSet& images = result.images(images_);
    for (const std::string& line : verdict_of(result)) out.remark(line);
    print_rows(out, workload_text(field_, images), strategy_rows(result, field_, images));
    print_rows(out, "beside it", other_rows(result, field_, images));
    out.set_repeats(line_.repeats);
    return result;
  }

  const CommandLine& line_;
  const config::EnsembleSpec spec_;
  const std::filesystem::path worker_;
  const Field field_;
  const ImageSet images_;
  std::filesystem::path report_program_;
  std::optional<FolderForATime> folder_;
};

int explain(const Error& error) {
  log::flush();
  fmt::print(stderr, "tutti bench: {}\n", error.what());
  return error.kind() == ErrorKind::usage ? 2 : 1;
}

int run_program(int argc, char** argv) {
  try {
    const auto line = parse_command_line(argc, argv);
    if (!line) return 0;
    log::set_level(line->quiet ? log::Level::error : log::Level::info);
    Departure departure;
    Bench(*line, departure).run();
    return 0;
  } catch (const Error& error) {
    return explain(error);
  } catch (const std::exception& error) {
    return explain(Error(ErrorKind::failed, error.what()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  // If the reader closes the pipe, the write fails with an error, instead of ending the program silently.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  ::setenv("HWLOC_HIDE_ERRORS", "2", 0);
  return run_program(argc, argv);
}
