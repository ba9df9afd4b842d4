// Collects what a run's bytes depend on.
#include "coordinator/plan/fingerprint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "common/build_id.hpp"
#include "common/checksum.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "config/candidates.hpp"
#include "config/effective.hpp"
#include "config/input.hpp"
#include "config/yaml.hpp"
#include "coordinator/plan/units.hpp"
#include "images/sources.hpp"

namespace tutti {
namespace {

constexpr std::string_view kBackend = "backend of ";
constexpr std::string_view kBatch = "batch of ";
constexpr std::string_view kForm = "form of ";

/// Keeps only those of a model's fields that can change a byte and are not separate entries of the fingerprint.
struct Reduction {
  template <class Value, class Form>
  void operator()(std::string_view /*key*/, Value& /*value*/, const Form& /*form*/) const {}
  void operator()(std::string_view, std::string& path, const form::Path&) const { path.clear(); }  // its content counts
  void operator()(std::string_view, std::vector<std::string>& paths, const form::Paths&) const { paths.clear(); }
  void operator()(std::string_view, std::string& factory, const form::Factory&) const {
    const std::size_t colon = factory.rfind(':');  // the content of a file counts
    if (std::string_view(factory).substr(0, colon).ends_with(".py")) factory.erase(0, colon);
  }
  // Its version, and those of its libraries, are part of the backend.
  void operator()(std::string_view, std::string& python, const form::Interpreter&) const { python.clear(); }
  void operator()(std::string_view, std::string& folder, const form::ModuleFolder&) const { folder.clear(); }
  void operator()(std::string_view, std::string& folder, const form::CacheFolder&) const { folder.clear(); }
  void operator()(std::string_view, std::uint64_t& time, const form::Delay&) const { time = 0; }
  void operator()(std::string_view, std::vector<ScriptedFault>& faults, const form::Faults&) const {
    std::erase_if(faults, [](const ScriptedFault& fault) { return fault.kind != FaultKind::nan; });
  }
};

void reduce(config::ModelSpec& model) {
  model.weights.clear();  // the content of the files counts
  for_each_field(model.kind, Reduction{});
}

/// The description without what cannot change a byte, and without what has a separate entry in the fingerprint.
config::EnsembleSpec essence(config::EnsembleSpec spec) {
  const config::EnsembleSpec plain;
  for (config::MemberSpec& member : spec.members) {
    member.device = config::AutoDevice{};  // as resolved, from the plan
    member.train = {};
    member.max_memory = 0;
    reduce(member.model);
    member.last = {};
    for (config::StageSpec& stage : member.before) {
      stage.device = config::AutoDevice{};
      stage.workers = {};
      reduce(stage.model);
    }
  }
  spec.input.decode_threads = 0;
  const OnNan on_nan = spec.failure.on_nan;
  spec.failure = plain.failure;
  spec.failure.on_nan = on_nan;
  spec.train_input = plain.train_input;
  spec.checkpoint_segments = plain.checkpoint_segments;
  spec.slots = plain.slots;
  spec.threads = plain.threads;  // as resolved, from the plan
  spec.start_deadline = plain.start_deadline;
  spec.stop_deadline = plain.stop_deadline;
  spec.masks = plain.masks;
  spec.quorum = plain.quorum;      // what it leaves out is computed again
  spec.coalesce = plain.coalesce;  // runs do not submit
  spec.output.clear();
  spec.workers.clear();  // only fusing changes predictions: add_members()
  return spec;
}

/// members: [{weight: 2}] becomes "members.0.weight" -> "2": what an override on the command line would be called.
void flatten(const config::Tree& tree, const std::string& path, Fingerprint& into) {
  const std::string before = path.empty() ? "" : path + ".";
  for (std::size_t i = 0; i < tree.items.size(); ++i) flatten(tree.items[i], fmt::format("{}{}", before, i), into);
  for (const auto& entry : tree.entries) flatten(entry.value, before + entry.key, into);
  if (tree.kind == config::Tree::Kind::scalar) into[path] = tree.scalar;
}

void add_description(const config::EnsembleSpec& spec, Fingerprint& into) {
  config::Violations violations;
  const auto tree = config::parse_yaml(config::to_yaml(essence(spec)), "the effective configuration", violations);
  violations.raise("the effective configuration");
  flatten(*tree, "", into);
}

/// A form of `kind: auto` or `backend: auto` without its path: "2: onnx", "1: mlp by openvino".
std::string form_name(std::size_t place, const ModelKind& kind) {
  const ComputedBy* const backend = backend_of(kind);
  return fmt::format("{}: {}{}", place + 1, kind_name(kind),
                     backend == nullptr ? "" : fmt::format(" by {}", to_name(*backend)));
}

/// The key of the mode of a worker with these members.
std::string mode_key(const config::EnsembleSpec& spec, const config::UnitSpec& unit) {
  std::vector<std::string> names;
  for (const std::size_t rank : unit.members) names.push_back(spec.members[rank].name);
  return fmt::format("{}the worker of {}", kForm, fmt::join(names, ", "));
}

void add_model_files(const config::MemberSpec& member, Fingerprint& into) {
  std::size_t number = 0;
  for (const auto& file : files_of(member.model.kind, member.model.weights)) {
    into["model of " + member.name + (number == 0 ? "" : fmt::format(", file {}", number))] =
        content_text(file, member.name);
    ++number;
  }
}

void add_members(const config::EnsembleSpec& spec, const Plan& plan, Fingerprint& into) {
  for (const config::UnitSpec& unit : spec.workers) into[mode_key(spec, unit)] = to_name(unit.mode);
  for (const Part& part : parts_of(spec)) {
    const config::MemberSpec& member = part.spec;
    if (!member.model.weights.empty())
      into["weights of " + member.name] = content_text(member.model.weights, member.name);
    const std::vector<ModelForm>& forms = member.model.tried.forms;
    if (const auto chosen = std::ranges::find_if(forms, &ModelForm::chosen); chosen != forms.end())
      into[std::string(kForm) + member.name] =
          form_name(static_cast<std::size_t>(chosen - forms.begin()), member.model.kind);
    add_model_files(member, into);
  }
  for (const WorkerPlan& worker : plan.workers)
    for (const Rank rank : worker.members) {
      const MemberRequest& member = plan.request_of(rank);
      std::string& devices = into["device of " + member.name];
      if (!devices.ends_with(worker.device)) devices += (devices.empty() ? "" : ", ") + worker.device;
      into["threads of " + member.name] = std::to_string(member.threads);
      if (worker.mode != UnitMode::fused || worker.members.size() == 1) continue;
      std::vector<std::string> names;
      for (const Rank other : worker.members) names.push_back(plan.request_of(other).name);
      into["fused network of " + member.name] = fmt::format("{}", fmt::join(names, ", "));
    }
}

/// Cheap on purpose: a data set may be large, and changing a file in place changes its modification time.
void add_file(const std::filesystem::path& file, Fingerprint& into) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return;
  into["file " + file.string()] =
      fmt::format("{} bytes, changed at {}.{:09} s", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

void add_images(const config::InputSpec& input, const Source& source, Fingerprint& into) {
  into["images"] =
      fmt::format("{}: {} of {}, {} classes, {}", source.name(), source.count(), sample_text(source.tensors()),
                  source.classes(), source.labelled() ? "labelled" : "not labelled");
  for (const std::filesystem::path& file : config::array_files(input)) add_file(file, into);
  if (input.dataset == config::Dataset::folder)
    into["folder " + input.path.string()] = images::folder_fingerprint(input.path, {input.labels});
  if (input.path.empty() || input.dataset == config::Dataset::folder) return;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(input.path, code), end; !code && entry != end; entry.increment(code))
    if (entry->path().extension() == ".bin") add_file(entry->path(), into);
}

template <class Counts>
Fingerprint entries_where(const Fingerprint& all, Counts counts) {
  Fingerprint part;
  for (const auto& [key, value] : all)
    if (counts(key)) part.emplace(key, value);
  return part;
}

/// Whether the run had this candidate of a member, which its description named: all that it noted of the model is that.
bool had_candidate(const Fingerprint& was, config::EnsembleSpec spec, std::size_t rank, std::size_t place) {
  config::take_candidate(spec.members[rank].model, place, {});
  Fingerprint described;
  add_description(spec, described);
  const std::string model = fmt::format("members.{}.model.", rank);
  const auto of_model = [&](const std::string& key) { return key.starts_with(model); };
  if (entries_where(was, of_model) != entries_where(described, of_model)) return false;
  Fingerprint files;
  add_model_files(spec.members[rank], files);
  const std::string file = "model of " + spec.members[rank].name;
  return files ==
         entries_where(was, [&](const std::string& key) { return key == file || key.starts_with(file + ", file "); });
}

/// Of the candidate of a member that the run had; nothing if none of them is it.
std::optional<std::size_t> noted_place(const Fingerprint& was, const config::EnsembleSpec& spec, std::size_t rank) {
  const config::MemberSpec& member = spec.members[rank];
  const auto noted = was.find(std::string(kForm) + member.name);
  for (std::size_t place = 0; place < member.model.candidates.size(); ++place)
    if (noted != was.end() ? form_name(place, member.model.candidates[place]) == noted->second
                           : had_candidate(was, spec, rank, place))
      return place;
  return std::nullopt;
}

bool chooses_kernels(std::string_view flag) {
  static constexpr std::array<std::string_view, 11> kBeginnings{"sse4", "avx", "fma",  "f16c", "amx", "asimd",
                                                                "sve",  "sme", "neon", "bf16", "i8mm"};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view beginning) { return flag.starts_with(beginning); });
}

}  // namespace

std::string content_text(const std::filesystem::path& file, const std::string& member) {
  const auto content = content_of(file);
  if (content) return fmt::format("{} bytes, crc {:08x}", content->bytes, content->crc);
  throw Error(ErrorKind::usage, fmt::format("{}: could not read '{}'", member, file.string()), {},
              "check that it is a file and that this user may read it");
}

Fingerprint kernel_environment(const std::vector<std::pair<std::string, std::string>>& set) {
  Fingerprint result;
  for (const char* const name : {"ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR",
                                 "MKL_ENABLE_INSTRUCTIONS", "MKL_DYNAMIC", "OPENBLAS_CORETYPE"}) {
    const auto named = std::ranges::find(set, name, &std::pair<std::string, std::string>::first);
    const char* const own = std::getenv(name);
    if (named != set.end())
      result[fmt::format("environment {}", name)] = named->second;
    else if (own != nullptr)
      result[fmt::format("environment {}", name)] = own;
  }
  return result;
}

Fingerprint processor_of(const std::string& cpuinfo) {
  Fingerprint result{{"processor", "unknown"}};
  std::set<std::string> instructions;  // of all cores: big and little ones may differ
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = line.substr(std::min(colon + 2, line.size()));
    if (key == "model name" || key == "CPU part") result["processor"] = value;
    if (key != "flags" && key != "Features") continue;
    std::istringstream flags(value);
    for (std::string flag; flags >> flag;)
      if (chooses_kernels(flag)) instructions.insert(flag);
  }
  result["instructions"] = fmt::format("{}", fmt::join(instructions, " "));
  return result;
}

Fingerprint this_processor() {
  std::ostringstream cpuinfo;
  cpuinfo << std::ifstream("/proc/cpuinfo").rdbuf();
  return processor_of(cpuinfo.str());
}

Fingerprint fingerprint_of(const config::EnsembleSpec& spec, const Plan& plan) {
  Fingerprint result = this_processor();
  result["version"] = fmt::format("{} (build {})", version(), build_id());
  add_description(spec, result);
  add_members(spec, plan, result);
  for (std::size_t p = 0; p < plan.input.planes.size(); ++p)
    result[fmt::format("plane {}", p)] = to_text(plan.input.planes[p].resize);
  result.merge(kernel_environment());
  return result;
}

Fingerprint fingerprint_of(const config::EnsembleSpec& spec, const Plan& plan, const Source& source) {
  Fingerprint result = fingerprint_of(spec, plan);
  add_images(spec.input, source, result);
  return result;
}

void add_backends(Fingerprint& fingerprint, const Status& status) {
  for (const MemberStatus& member : status.members) {
    fingerprint[std::string(kBackend) + member.name] = member.backend;
    for (const MemberStatus& stage : member.stages) fingerprint[std::string(kBackend) + stage.name] = stage.backend;
  }
}

void add_batch(Fingerprint& fingerprint, const std::string& member, std::uint32_t batch_images) {
  fingerprint[std::string(kBatch) + member] = std::to_string(batch_images);
}

void add_batches(Fingerprint& fingerprint, const Status& status) {
  for (const MemberStatus& member : status.members)
    if (member.batch_images_measured) add_batch(fingerprint, member.name, member.batch_images);
}

std::vector<std::uint32_t> batches_of(const Fingerprint& fingerprint, const std::vector<config::MemberSpec>& members,
                                      std::uint32_t segment_images) {
  std::vector<std::uint32_t> batches;
  for (const config::MemberSpec& member : members) {
    const auto found = fingerprint.find(std::string(kBatch) + member.name);
    if (found == fingerprint.end()) return {};
    const std::string& text = found->second;
    std::uint32_t batch = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), batch);
    if (code != std::errc() || end != text.data() + text.size() || batch == 0 || batch > segment_images) return {};
    batches.push_back(batch);
  }
  return batches;
}

std::optional<config::EnsembleSpec> with_noted_forms(const Fingerprint& fingerprint, const config::EnsembleSpec& spec) {
  config::EnsembleSpec chosen = spec;
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    if (spec.members[rank].model.candidates.empty()) continue;
    const auto place = noted_place(fingerprint, spec, rank);
    if (!place) return std::nullopt;
    config::take_candidate(chosen.members[rank].model, *place, "the run was started with another form");
  }
  for (config::UnitSpec& unit : chosen.workers) {
    if (unit.modes.empty()) continue;
    const auto noted = fingerprint.find(mode_key(spec, unit));
    if (noted == fingerprint.end()) return std::nullopt;
    const auto place = std::ranges::find(unit.modes, noted->second, [](UnitMode mode) { return to_name(mode); });
    if (place == unit.modes.end()) return std::nullopt;
    config::take_mode(unit, static_cast<std::size_t>(place - unit.modes.begin()),
                      "the run was started with another mode");
  }
  chosen.effective_yaml = config::to_yaml(chosen);
  return chosen;
}

std::vector<std::string> differences(const Fingerprint& was, const Fingerprint& now) {
  Fingerprint all = was;
  all.insert(now.begin(), now.end());
  std::vector<std::string> lines;
  for (const auto& [key, ignored] : all) {
    if (key.starts_with(kForm)) continue;
    const auto before = was.find(key);
    const auto after = now.find(key);
    const bool both = before != was.end() && after != now.end();
    if (both ? before->second == after->second : key.starts_with(kBackend)) continue;
    const auto text = [](bool there, const auto& entry) { return there ? entry->second : std::string("nothing"); };
    lines.push_back(
        fmt::format("{}: was {}, now {}", key, text(before != was.end(), before), text(after != now.end(), after)));
  }
  return lines;
}

}  // namespace tutti
