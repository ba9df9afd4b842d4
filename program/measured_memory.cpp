#include "program/measured_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include <tutti/ensemble.hpp>

#include "common/bytes_text.hpp"
#include "common/counted.hpp"
#include "config/input.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/plan.hpp"
#include "images/sources.hpp"

namespace tutti::program {
namespace {

class Dropped final : public Sink {
 public:
  void write(const SegmentResult& /*result*/) override {}
};

/// Enough images to fill every slot of the arena and of the channels once.
std::unique_ptr<Source> some_images(const config::EnsembleSpec& spec) {
  const std::uint64_t most = std::uint64_t{spec.slots} * spec.segment_images;
  if (spec.input.dataset == config::Dataset::memory) {
    if (config::resizes_pictures(spec.input)) return images::make_random_bytes(most, spec.input.shape, 0);
    const auto tensors = config::known_tensors(spec.input);
    return tensors ? images::make_random(most, *tensors, 0, 0) : images::make_random(most, spec.input.shape, 0, 0);
  }
  return images::limited(open_source(spec, spec.input), most);
}

}  // namespace

MeasuredMemory measure_memory(const config::EnsembleSpec& spec, const Options& options, Interruption& interruption) {
  const std::unique_ptr<Source> source = some_images(spec);
  Ensemble ensemble(Spec(std::make_shared<const config::EnsembleSpec>(spec)), options);
  const Interruption::Watch watch(interruption, ensemble);
  Dropped dropped;
  ensemble.run(*source, dropped);
  const Status status = ensemble.status(StatusDetail::memory);
  return memory_of(status, source->count());
}

MeasuredMemory memory_of(const Status& status, std::uint64_t images) {
  if (!status.pss_bytes)
    throw Error(ErrorKind::failed, "the memory of the processes is not known",
                "/proc/<pid>/smaps_rollup could not be read", "run it as the user who owns the processes");
  MeasuredMemory memory;
  memory.images = images;
  memory.bytes = *status.pss_bytes;
  std::uint64_t rest = memory.bytes;
  std::map<std::uint32_t, std::size_t> rows;  // by worker
  for (const MemberStatus& member : status.members) {
    const auto [row, first] = rows.try_emplace(member.worker, memory.processes.size());
    if (!first) {
      memory.processes[row->second].first += fmt::format(", {}", member.name);
      continue;
    }
    memory.processes.emplace_back(member.name, member.pss_bytes.value_or(0));
    rest -= std::min(rest, memory.processes.back().second);
  }
  memory.processes.emplace_back(
      status.fork_server_pid != 0 ? "this process with the arena, and the fork server" : "this process with the arena",
      rest);
  return memory;
}

std::string measured_text(const MeasuredMemory& memory) {
  std::string text = fmt::format("\nmeasured, after {}\n", counted(memory.images, "image"));
  for (const auto& [name, bytes] : memory.processes) text += fmt::format("{:>12}  {}\n", bytes_text(bytes), name);
  return text + fmt::format("{:>12}  in all (proportional set size)\n", bytes_text(memory.bytes));
}

}  // namespace tutti::program
