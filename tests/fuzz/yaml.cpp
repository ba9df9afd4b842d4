// Configurations from anywhere: rejected with a message, or understood, and then the effective configuration that the
// run keeps is understood too and says the same. Comments that begin with "#=" are arguments key=value of the command
// line, those with "#@" are --assign.
#include <algorithm>
#include <cstdio>

#include "config/load.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

namespace {

config::Overrides overrides_in(std::string_view text) {
  config::Overrides overrides;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with("#=")) overrides.assignments.emplace_back(line.substr(2));
    if (line.starts_with("#@")) overrides.devices.emplace_back(line.substr(2));
  }
  return overrides;
}

void load(std::string_view text) {
  const config::EnsembleSpec spec = config::load_text(text, "fuzz.yaml", overrides_in(text));
  fuzz::must(!spec.members.empty(), "an ensemble has members");
  std::string effective;
  try {
    effective = config::load_text(spec.effective_yaml, "effective.yaml").effective_yaml;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n%s\n", spec.effective_yaml.c_str(), error.what());
    fuzz::must(false, "the effective configuration can be used");
  }
  if (effective != spec.effective_yaml)
    std::fprintf(stderr, "%s\n%s\n", spec.effective_yaml.c_str(), effective.c_str());
  fuzz::must(effective == spec.effective_yaml, "the effective configuration says the same");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::refuses_with(ErrorKind::usage, [&] { load(fuzz::text_of(data, size)); });
  return 0;
}
