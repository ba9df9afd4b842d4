// The figures with aims for the pool itself: how fast it starts, how much memory it takes, what the coordination costs,
// and that an idle pool does nothing. One row per figure, with the aim.
// It compares nothing with other systems.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/pool_load.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"
#include "coordinator/plan/input.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;

/// utime + stime of a process in clock ticks, and its voluntary context switches: an idle process must add none.
std::uint64_t activity_of(int pid) {
  std::uint64_t activity = 0;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string word;
  for (int field = 1; stat >> word; ++field)
    if (field == 14 || field == 15) activity += std::stoull(word);
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("voluntary_ctxt_switches:")) activity += std::stoull(line.substr(24));
  return activity;
}

std::vector<double> repeat(int repeats, const std::function<double()>& measure) {
  std::vector<double> samples;
  for (int i = 0; i < repeats; ++i) samples.push_back(measure());
  return samples;
}

void add_row(Reporter& out, const std::string& name, std::vector<double> samples, const std::string& unit,
             const std::string& aim) {
  out.add({.bench = "foundation", .name = name, .unit = unit, .samples = std::move(samples), .aim = aim});
}

void measure_start(Reporter& out, const std::string& name, const Spec& spec, int repeats, const std::string& aim) {
  std::vector<double> memory;
  const auto seconds = repeat(repeats, [&] {
    const Ensemble ensemble(spec);
    const Status status = ensemble.status(StatusDetail::memory);
    memory.push_back(static_cast<double>(status.pss_bytes.value_or(0)) / (1 << 20));
    return status.start_up_seconds;
  });
  add_row(out, name + ": start to all ready", seconds, "s", aim);
  add_row(out, name + ": memory of the whole family (PSS)", memory, "MiB",
          name.starts_with("small-cnn") ? "<= 450" : "");
}

/// Images of one value each, so that only coordination costs time.
void measure_coordination(Reporter& out, int members, int repeats) {
  constexpr std::uint64_t kSegments = 20000;
  const Spec spec = parse_spec(members_yaml("{kind: fake, classes: 1}", members) +
                               fmt::format("input: {{dataset: random, count: {}, shape: [1, 1, 1], classes: 1}}\n"
                                           "segment_images: 1\nbatch_images: 1\n",
                                           kSegments));
  Ensemble ensemble(spec);
  const auto source = open_source(spec.checked().input);
  NullSink sink;
  const double pairs = static_cast<double>(kSegments) * members;
  std::vector<double> loop;
  std::vector<double> wall;
  const auto process = repeat(repeats, [&] {
    const double loop_before = ensemble.status().coordinator_cpu_seconds;
    const double before = process_cpu_seconds();
    const auto begin = std::chrono::steady_clock::now();
    ensemble.run(*source, sink);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    wall.push_back(elapsed.count() / static_cast<double>(kSegments) * 1e6);
    loop.push_back((ensemble.status().coordinator_cpu_seconds - loop_before) / pairs * 1e6);
    return (process_cpu_seconds() - before) / pairs * 1e6;
  });
  const std::string name = fmt::format("{} fake members of no cost", members);
  add_row(out, name + ": coordinator CPU per (segment, member)", process, "us", "<= 15");
  add_row(out, name + ": ... of it the loop's thread", loop, "us", "");
  add_row(out, name + ": wall time per segment", wall, "us", "");
}

void measure_copies(Reporter& out, int members) {
  constexpr std::uint64_t kImages = 2000;
  const Spec spec = parse_spec(members_yaml("{kind: fake, classes: 10}", members) +
                               fmt::format("input: {{dataset: random, count: {}, shape: [3, 32, 32]}}\n", kImages));
  Ensemble ensemble(spec);
  NullSink sink;
  ensemble.run(*open_source(spec.checked().input), sink);
  const double copies =
      static_cast<double>(ensemble.status().input_bytes_copied) / (kImages * 3 * 32 * 32 * sizeof(float));
  add_row(out, fmt::format("{} members: copies of each image", members), {copies}, "", "1");
}

void measure_idle(Reporter& out, const Spec& spec) {
  const Ensemble ensemble(spec);
  const Status status = ensemble.status();
  const auto activity = [&] {
    std::uint64_t sum = 0;
    for (const MemberStatus& member : status.members) sum += activity_of(member.pid);
    return sum;
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double before = ensemble.status().coordinator_cpu_seconds;
  const std::uint64_t workers_before = activity();
  std::this_thread::sleep_for(std::chrono::seconds(3));
  add_row(out, "idle for 3 s: CPU of the coordinator's loop",
          {(ensemble.status().coordinator_cpu_seconds - before) * 1e6}, "us", "0");
  add_row(out, "idle for 3 s: CPU ticks and wake-ups of the workers",
          {static_cast<double>(activity() - workers_before)}, "", "0");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  CLI::App app("The figures with aims for the pool itself");
  int repeats = 7;
  std::filesystem::path json_lines;
  bool without_torch = false;
  app.add_option("--repeats", repeats, "samples per row")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_flag("--without-torch", without_torch, "fake members only");
  app.add_option("--json", json_lines, "append each row to this file as a line of JSON")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  try {
    Reporter out(certificate(repeats), json_lines);
    out.begin_table("figure");
    const std::string input = "input: {shape: [3, 32, 32]}\nbatch_images: 20\n";
    const Spec fakes = parse_spec(members_yaml("{kind: fake}", 4) + input);
    measure_start(out, "4 fake members", fakes, repeats, "");
    if (!without_torch) {
      const Spec cnns = parse_spec(members_yaml("{kind: small-cnn}", 4) + input);
      measure_start(out, "small-cnn, 4 members", cnns, repeats, "<= 1.5");
      measure_idle(out, cnns);
    } else {
      measure_idle(out, fakes);
    }
    measure_coordination(out, 1, repeats);
    measure_coordination(out, 4, repeats);
    measure_copies(out, 1);
    measure_copies(out, 4);
  } catch (const Error& error) {
    fmt::print(stderr, "tutti-bench-foundation: {}\n", error.what());
    return 1;
  }
  return 0;
}
