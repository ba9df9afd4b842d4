#include "evaluation/command_report.hpp"

#include <ctime>

#include "common/build_id.hpp"
#include "common/processor.hpp"

namespace tutti {
namespace {

std::string cpu_name() {
  const std::string name = processor_name();
  return name.empty() ? "unknown" : name;
}

}  // namespace

images::Report begin_report(const std::string& command, const config::EnsembleSpec& spec, const Plan& plan,
                            const Machine& machine) {
  images::Report report;
  report.version = version();
  report.build_id = build_id();
  report.command = command;
  report.started = images::iso_8601(std::time(nullptr));
  report.seed = spec.seed;
  report.machine = {cpu_name(), static_cast<std::uint32_t>(machine.cores.size()), machine.memory.bytes};
  report.configuration = spec.effective_yaml;
  report.memory.bounds = plan.bounds;
  return report;
}

}  // namespace tutti
