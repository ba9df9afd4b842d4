#include "config/workers.hpp"

#include <algorithm>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/counted.hpp"
#include "config/assignment.hpp"
#include "config/candidates.hpp"
#include "config/ranks.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

std::string_view name_of(Library library) {
  switch (library) {
    case Library::torch:
      return "LibTorch";
    case Library::onnxruntime:
      return "ONNX Runtime";
    case Library::openvino:
      return "OpenVINO";
    case Library::python:
      return "Python";
    case Library::none:
      break;
  }
  return "no library";
}

/// Whether one of these forms computes with another library than the first.
bool has_several(const std::vector<ModelKind>& candidates) {
  const auto library = [](const ModelKind& kind) { return facts_of(kind).library; };
  return std::ranges::any_of(candidates,
                             [&](const ModelKind& one) { return library(one) != library(candidates.front()); });
}

/// Members with equal forms get the same one (model_choice.cpp); of others, each might get another library.
bool check_choices(const ReadUnit& unit, const std::vector<ReadMember>& members, Violations& violations) {
  const auto open = std::ranges::find_if(
      unit.spec.members, [&](std::size_t rank) { return has_several(members[rank].spec.model.candidates); });
  if (open == unit.spec.members.end()) return true;
  const MemberSpec& chosen = members[*open].spec;
  const auto other = std::ranges::find_if(unit.spec.members, [&](std::size_t rank) {
    return members[rank].spec.model.candidates != chosen.model.candidates;
  });
  if (other == unit.spec.members.end()) return true;
  violations.add(unit.position,
                 fmt::format("members '{}' and '{}' cannot share a worker: the library of '{}' is chosen at the start "
                             "('auto'), and '{}' does not have the same forms to choose from; give them a worker "
                             "each, or name a form of each",
                             chosen.name, members[*other].spec.name, chosen.name, members[*other].spec.name));
  return false;
}

/// Two libraries in one process would each start threads for all of its cores.
void check_libraries(const ReadUnit& unit, const std::vector<ReadMember>& members, Violations& violations) {
  if (!check_choices(unit, members, violations)) return;
  const ReadMember* first = nullptr;
  for (const std::size_t rank : unit.spec.members) {
    const Library library = facts_of(members[rank].spec.model.kind).library;
    if (library == Library::none) continue;
    if (first == nullptr) {
      first = &members[rank];
      continue;
    }
    const Library other = facts_of(first->spec.model.kind).library;
    if (library == other) continue;
    violations.add(unit.position,
                   fmt::format("members '{}' and '{}' cannot share a worker: one computes with {}, the "
                               "other with {}; give them a worker each",
                               first->spec.name, members[rank].spec.name, name_of(other), name_of(library)));
    return;
  }
}

/// The folders that Python gets to look for the modules of this member, first one first.
std::vector<std::string> module_folders(const PythonModel& python) {
  std::vector<std::string> folders{python.folder};
  if (python.is_file()) folders.insert(folders.begin(), std::filesystem::path(python.module()).parent_path().string());
  for (std::string& folder : folders)
    folder = (std::filesystem::absolute(folder.empty() ? "." : folder) / "").lexically_normal().string();
  if (folders.front() == folders.back()) folders.resize(1);
  return folders;
}

/// What keeps two Python members out of one worker, which is a process of one interpreter; empty: nothing.
std::string why_apart(const PythonModel& first, const PythonModel& other) {
  if (first.python != other.python) return "their 'python' differs, and a worker is a process of one interpreter";
  const std::vector<std::string> here = module_folders(first);
  const std::vector<std::string> there = module_folders(other);
  if (here == there) return {};
  return fmt::format(
      "their modules are looked for in different folders ('{}' and '{}'), and an interpreter holds one "
      "module of a name",
      fmt::join(here, "', '"), fmt::join(there, "', '"));
}

void check_interpreters(const ReadUnit& unit, const std::vector<ReadMember>& members, Violations& violations) {
  const MemberSpec* first = nullptr;
  for (const std::size_t rank : unit.spec.members) {
    const MemberSpec& member = members[rank].spec;
    const auto* python = std::get_if<PythonModel>(&member.model.kind);
    if (python == nullptr) continue;
    if (first == nullptr) first = &member;
    const std::string why = why_apart(std::get<PythonModel>(first->model.kind), *python);
    if (why.empty()) continue;
    violations.add(unit.position,
                   fmt::format("members '{}' and '{}' cannot share a worker: {}; give them a worker each", first->name,
                               member.name, why));
    return;
  }
}

/// A process has one state of random numbers, which each member of kind `python` and `torchscript` would set for its
/// own segments: which of them draws from it would depend on the threads.
void check_random(const ReadUnit& unit, const std::vector<ReadMember>& members, Violations& violations) {
  if (unit.spec.mode != UnitMode::threads || unit.spec.members.size() < 2) return;
  for (const std::size_t rank : unit.spec.members) {
    const MemberSpec& member = members[rank].spec;
    if (!facts_of(member.model.kind).random) continue;
    violations.add(unit.position,
                   fmt::format("member '{}' is random, and cannot share a worker in threads: the others would draw "
                               "from its random numbers, and no run would repeat; use 'mode: loop'",
                               member.name));
    return;
  }
}

void check_fused(const ReadUnit& unit, const std::vector<ReadMember>& members, Violations& violations) {
  if (unit.spec.mode != UnitMode::fused || unit.spec.members.empty()) return;
  const MemberSpec& first = members[unit.spec.members.front()].spec;
  for (const std::size_t rank : unit.spec.members) {
    const MemberSpec& member = members[rank].spec;
    const std::string_view why = why_not_fused(first, member);
    if (why.empty()) continue;
    const bool alone = &member == &first;
    violations.add(unit.position, fmt::format("{} cannot be fused: {}; use 'mode: loop' or 'mode: threads'",
                                              alone ? fmt::format("member '{}'", first.name)
                                                    : fmt::format("members '{}' and '{}'", first.name, member.name),
                                              why));
    return;
  }
}

/// `mode: auto`: those that these members can have; none if that is one, which leaves no choice.
std::vector<UnitMode> possible_modes(const ReadUnit& unit, const std::vector<ReadMember>& members) {
  if (unit.spec.members.size() < 2) return {};  // or all modes would be the same
  std::vector<UnitMode> modes{UnitMode::loop};
  const auto spec_of = [&](std::size_t rank) -> const MemberSpec& { return members[rank].spec; };
  if (std::ranges::none_of(unit.spec.members,
                           [&](std::size_t rank) { return facts_of(spec_of(rank).model.kind).random; }))
    modes.push_back(UnitMode::threads);
  if (std::ranges::all_of(unit.spec.members, [&](std::size_t rank) {
        return why_not_fused(spec_of(unit.spec.members.front()), spec_of(rank)).empty();
      }))
    modes.push_back(UnitMode::fused);
  if (modes.size() == 1) modes.clear();
  return modes;
}

void read_mode(Fields& fields, ReadUnit& unit, const std::vector<ReadMember>& members) {
  const auto word = fields.one_of_words("mode", mode_words());
  if (word == kAutoKind)
    unit.spec.modes = possible_modes(unit, members);
  else if (word)
    unit.spec.mode = *from_name<UnitMode>(*word);
}

/// A device and the number of replicas there, as in `{cpu:0: 1, cpu:1: 2}`.
void read_replicas_on(const Tree::Entry& entry, UnitSpec& unit, Violations& violations) {
  Tree key = Tree::plain(entry.key);
  key.position = entry.key_position;
  const std::optional<Device> device = read_device(key, violations);
  const auto count =
      read_whole(entry.value, fmt::format("the number of replicas on '{}'", entry.key), 1, kMaxReplicas, violations);
  if (device && std::ranges::count(unit.devices, *device) > 0)
    violations.add(entry.key_position, fmt::format("'replicas' names the device {} twice", to_text(*device)));
  else if (device && count)
    unit.devices.insert(unit.devices.end(), *count, *device);
}

/// What is computed on different kinds of devices differs in the last bits.
void check_same_bits(const Fields& fields, const UnitSpec& unit, Violations& violations) {
  const auto on_cpu = [](const Device& device) { return std::holds_alternative<CpuDevice>(device); };
  if (!unit.same_bits && std::ranges::all_of(unit.devices, on_cpu))
    return violations.add(
        fields.position_of("same_bits"),
        "'same_bits: off' is for replicas on different kinds of devices; these compute the same bits");
  if (!unit.same_bits || unit.devices.empty()) return;
  for (const Device& device : unit.devices)
    if (device.index() != unit.devices.front().index())
      return violations.add(fields.position_of("replicas"),
                            fmt::format("replicas on {} and on {} compute different last bits, so the result would "
                                        "depend on which is faster; use devices of one kind, or accept that with "
                                        "'same_bits: off'",
                                        to_text(unit.devices.front()), to_text(device)));
}

}  // namespace

void read_replicas(Fields& fields, UnitSpec& unit, Violations& violations) {
  const Tree* tree = fields.find("replicas");
  if (tree == nullptr || tree->kind != Tree::Kind::map) {
    fields.whole("replicas", unit.replicas, 1, kMaxReplicas);
    fields.refuse("same_bits", "'same_bits' belongs to 'replicas' on several devices, such as {cpu:0: 1, cuda:0: 1}");
    return;
  }
  fields.refuse("device", "'replicas' names the devices here, so 'device' would say it twice");
  fields.boolean("same_bits", unit.same_bits);
  const std::size_t before = violations.count();
  for (const Tree::Entry& entry : tree->entries) read_replicas_on(entry, unit, violations);
  if (violations.count() != before) return;
  unit.replicas = static_cast<std::uint32_t>(unit.devices.size());
  if (unit.replicas == 0 || unit.replicas > kMaxReplicas)
    violations.add(tree->position, fmt::format("'replicas' names {}; a unit has 1 to {}",
                                               counted(unit.replicas, "worker"), kMaxReplicas));
  check_same_bits(fields, unit, violations);
}

namespace {

ReadUnit read_unit(const Tree& tree, const std::vector<ReadMember>& members, Violations& violations) {
  ReadUnit unit{{}, {}, tree.position};
  Fields fields(tree, "an entry of 'workers'", violations);
  if (const Tree* list = fields.require("members", "the members that share the worker, such as [cnn-0, cnn-1]");
      list != nullptr) {
    unit.spec.members = read_ranks(*list, "members", members, violations);
    std::ranges::sort(unit.spec.members);
    if (unit.spec.members.size() > kMaxUnit)
      violations.add(list->position, fmt::format("a worker hosts {} here; the most are {}; use several workers",
                                                 counted(unit.spec.members.size(), "member"), kMaxUnit));
  }
  read_replicas(fields, unit.spec, violations);
  if (!unit.spec.devices.empty())
    unit.device = unit.spec.devices.front();
  else if (const Tree* device = fields.find("device"); device != nullptr)
    unit.device = read_device(*device, violations);
  read_mode(fields, unit, members);
  fields.finish();
  check_libraries(unit, members, violations);
  check_interpreters(unit, members, violations);
  check_random(unit, members, violations);
  check_fused(unit, members, violations);
  return unit;
}

}  // namespace

std::vector<ReadUnit> read_workers(const Tree& tree, const std::vector<ReadMember>& members, Violations& violations) {
  std::vector<ReadUnit> units;
  if (tree.kind != Tree::Kind::list) {
    violations.add(tree.position, fmt::format("'workers' must be a list such as [{{members: [cnn-0, cnn-1], device: "
                                              "cpu:0}}], not {}",
                                              describe(tree)));
    return units;
  }
  std::vector<bool> named(members.size());
  for (const Tree& item : tree.items) {
    ReadUnit unit = read_unit(item, members, violations);
    for (const std::size_t rank : unit.spec.members) {
      if (named[rank])
        violations.add(item.position, fmt::format("'workers' names member '{}' twice; it runs in one of them",
                                                  members[rank].spec.name));
      named[rank] = true;
    }
    units.push_back(std::move(unit));
  }
  return units;
}

std::vector<std::string> mode_words() {
  std::vector<std::string> words;
  for (const auto& entry : enum_names(UnitMode{})) words.emplace_back(entry.name);
  words.emplace_back(kAutoKind);
  return words;
}

std::string_view why_not_fused(const MemberSpec& first, const MemberSpec& member) {
  ModelKind by_torch = member.model.kind;
  if (ComputedBy* const backend = backend_of(by_torch); backend != nullptr) *backend = ComputedBy::torch;
  if (!facts_of(by_torch).fusable) return "only members of the kind small-cnn or mlp can";
  if (member.model.kind != by_torch || !member.model.candidates.empty()) return "only LibTorch can: 'backend: torch'";
  if (member.model.kind != first.model.kind) return "they are different networks";
  if (member.takes != first.takes || member.input != first.input) return "they see different samples";
  if (!member.views.empty()) return "members with 'views' see several samples for one";
  return {};
}

std::uint32_t slots_for(const std::vector<UnitSpec>& units) {
  std::uint32_t most = 0;
  for (const UnitSpec& unit : units) most = std::max(most, unit.replicas);
  return most <= 1 ? 1 : 2 * most + 2;
}

std::vector<std::optional<Device>> devices_of(const std::vector<ReadUnit>& units, std::size_t members) {
  std::vector<std::optional<Device>> devices(members);
  for (const ReadUnit& unit : units)
    for (const std::size_t rank : unit.spec.members) devices[rank] = unit.device;
  return devices;
}

void check_devices(const std::vector<ReadUnit>& units, const std::vector<ReadMember>& members, Violations& violations) {
  for (const ReadUnit& unit : units)
    for (const std::size_t rank : unit.spec.members) {
      const MemberSpec& first = members[unit.spec.members.front()].spec;
      const MemberSpec& other = members[rank].spec;
      if (first.device == other.device) continue;
      violations.add(unit.position, fmt::format("members '{}' and '{}' share a worker, but one is assigned {} and the "
                                                "other {}; give both the same device, or say 'device' here",
                                                first.name, other.name, to_text(first.device), to_text(other.device)));
      break;
    }
}

}  // namespace tutti::config
