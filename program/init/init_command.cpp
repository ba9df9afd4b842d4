#include "program/init/init_command.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <tutti/ensemble.hpp>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "config/load.hpp"
#include "config/yaml.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/segments.hpp"
#include "program/init/found.hpp"
#include "program/init/init_text.hpp"
#include "program/init/trial.hpp"
#include "program/quick_start.hpp"
#include "program/say.hpp"

namespace tutti::program {
namespace {

constexpr const char* kText = "what 'tutti init' writes";

bool uses_gpus(const Machine& machine) { return !machine.gpus.empty() && machine.why_no_cuda_members.empty(); }

/// The GPUs one after the other, for models that can be on one; the CPU for all others.
std::vector<std::string> devices_for(const std::vector<FoundModel>& models, const Machine& machine) {
  std::vector<std::string> devices;
  std::size_t next = 0;
  for (const FoundModel& model : models) {
    const config::Tree& kind = *model.model.find("kind");
    const bool on_gpu = uses_gpus(machine) && !kind.is_word("onnx") && !kind.is_word("openvino");
    devices.push_back(on_gpu ? fmt::format("cuda:{}", machine.gpus[next++ % machine.gpus.size()].index) : "cpu");
  }
  return devices;
}

std::string machine_text(const Machine& machine) {
  std::string text = fmt::format("Devices. This machine has {} for this program (cpu, or some of them: cpu:{})",
                                 counted(machine.cores.size(), "core"), machine.cores.front());
  if (!uses_gpus(machine))
    return text + fmt::format(", and no GPU that can be used: {}.",
                              machine.gpus.empty() ? machine.why_no_gpu : machine.why_no_cuda_members);
  for (const Gpu& gpu : machine.gpus) text += fmt::format(", cuda:{} ({})", gpu.index, gpu.name);
  return text + ".";
}

/// Starts the only member of a description, and nothing else.
Dims start_one(const config::Tree& description, const Options& options, Interruption& interruption) {
  config::EnsembleSpec spec = config::load_text(config::emit_yaml(description), kText);
  spec = with_segment(spec, input_form(spec, spec.input), false);
  Ensemble ensemble(Spec(std::make_shared<const config::EnsembleSpec>(std::move(spec))), options);
  interruption.check();
  return ensemble.status().members.front().output;
}

std::vector<Trial> trials_of(const CommandLine& line, const Found& found, const std::vector<std::string>& devices,
                             const std::filesystem::path& worker, Interruption& interruption) {
  if (!line.start) return std::vector<Trial>(found.models.size());
  if (!line.quiet)
    say(stderr,
        fmt::format("starting {} once, one by one, to see what they output\n", counted(found.models.size(), "model")));
  const Options options{worker, {}, false};
  return try_models(found, devices,
                    [&](const config::Tree& description) { return start_one(description, options, interruption); });
}

/// What keeps the file from running, a line each; empty: nothing is known.
std::string obstacles_to(const Found& found, const std::vector<Trial>& trials) {
  std::string text;
  if (const std::string wrong = too_many_classes(found, trials); !wrong.empty()) text += "  " + wrong + "\n";
  for (std::size_t i = 0; i < trials.size(); ++i)
    if (!trials[i].problem.empty())
      text += fmt::format("  {} could not be started: {}\n", found.models[i].name, trials[i].problem);
  return text;
}

/// A user who asked for errors only still learns what was left out and what keeps the file from running.
void say_outcome(const CommandLine& line, const Found& found, const std::vector<Trial>& trials) {
  std::string problems;
  for (const std::string& problem : found.problems) problems += "  " + problem + "\n";
  const std::string obstacles = obstacles_to(found, trials);
  problems += obstacles;
  if (line.quiet) return say(stderr, problems);
  say(stdout, fmt::format("wrote {}: {}, {}\n{}{}\n", line.save.string(), counted(found.models.size(), "member"),
                          found.images.summary, problems,
                          obstacles.empty() ? "next: tutti run " + line.save.string()
                                            : "its comments say what to correct before it can run"));
}

}  // namespace

void init(CommandLine line, Interruption& interruption) {
  if (line.save.empty()) line.save = "ensemble.yaml";
  check_words(line);
  if (!line.force) refuse_existing(line.save, "name another file with --output, or replace this one with --force");
  check_writable(line.save);
  Found found = look_at(line.places);
  if (!line.preprocess.empty())
    for (FoundModel& model : found.models) {
      model.input = config::Tree::text(line.preprocess);
      model.prepares_itself = false;
    }
  const std::filesystem::path worker = find_worker(line.worker);
  const Machine machine = look_at_machine(worker, GpuSearch::yes);
  const std::vector<std::string> devices = devices_for(found.models, machine);
  const std::vector<Trial> trials = trials_of(line, found, devices, worker, interruption);
  const std::string text = init_text({found, trials, devices, machine_text(machine), line.rule, line.save});
  config::load_text(text, kText);  // never a file that 'tutti plan' rejects
  AtomicFile out(line.save);
  out.write(text);
  out.commit();
  say_outcome(line, found, trials);
}

}  // namespace tutti::program
