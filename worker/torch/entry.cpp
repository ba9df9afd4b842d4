#include "worker/torch/entry.hpp"

#include <ATen/core/function_schema.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include <tutti/error.hpp>

#include "common/nearest.hpp"

namespace tutti::worker {
namespace {

/// An output may have very many items, so the message lists only some.
constexpr std::size_t kMostListed = 20;

std::string listed_entries(std::span<const AnswerEntry> entries) {
  std::vector<std::string> lines;
  for (const AnswerEntry& entry : entries.first(std::min(entries.size(), kMostListed)))
    lines.push_back(entry.tensor.defined()
                        ? fmt::format("'{}': [{}]", entry.name, fmt::join(entry.tensor.sizes(), ", "))
                        : fmt::format("'{}': {}", entry.name, entry.type));
  if (entries.size() > kMostListed) lines.push_back(fmt::format("and {} more", entries.size() - kMostListed));
  return fmt::format("it has {}", lines.empty() ? "nothing" : fmt::format("{}", fmt::join(lines, ", ")));
}

/// As Python calls it; LibTorch has several kinds of lists and dicts.
std::string type_of(const c10::IValue& value) {
  if (value.isTuple()) return "tuple";
  if (value.isList()) return "list";
  if (value.isGenericDict()) return "dict";
  if (value.isInt()) return "int";
  if (value.isDouble()) return "float";
  if (value.isBool()) return "bool";
  if (value.isString()) return "str";
  return value.tagKind();
}

std::string first_tensor(std::span<const AnswerEntry> entries) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [](const AnswerEntry& entry) { return entry.tensor.defined(); });
  return found == entries.end() ? "" : found->name;
}

AnswerEntry entry_of(std::string name, const c10::IValue& value) {
  return {std::move(name), value.isTensor() ? value.toTensor() : at::Tensor(), type_of(value)};
}

std::vector<AnswerEntry> entries_of_tuple(const c10::IValue& answer) {
  std::vector<AnswerEntry> entries;
  const auto tuple = answer.toTuple();
  const auto& schema = tuple->type()->schema();  // of a NamedTuple, whose fields have names
  for (std::size_t i = 0; i < tuple->elements().size(); ++i)
    entries.push_back(entry_of(schema ? schema->arguments()[i].name() : std::to_string(i), tuple->elements()[i]));
  return entries;
}

std::vector<AnswerEntry> entries_of(const c10::IValue& answer) {
  std::vector<AnswerEntry> entries;
  if (answer.isTuple()) return entries_of_tuple(answer);
  if (answer.isList())
    for (const c10::IValue& value : answer.toListRef())
      entries.push_back(entry_of(std::to_string(entries.size()), value));
  if (answer.isGenericDict())
    for (const auto& item : answer.toGenericDict())
      entries.push_back(
          entry_of(item.key().isString() ? item.key().toStringRef() : fmt::format("{}", entries.size()), item.value()));
  return entries;
}

}  // namespace

at::Tensor chosen_entry(std::span<const AnswerEntry> entries, const std::string& output, std::string_view what) {
  if (output.empty()) {
    const std::string proposal = first_tensor(entries);
    throw Error(ErrorKind::usage, fmt::format("the model outputs a {}, not a tensor", what), listed_entries(entries),
                proposal.empty() ? "let it output one tensor of shape [images, classes or features]"
                                 : fmt::format("choose one with 'output' in 'model', such as 'output: {}'", proposal));
  }
  std::vector<std::string> names;
  const AnswerEntry* found = nullptr;
  for (const AnswerEntry& entry : entries) {
    if (entry.name == output) found = &entry;
    names.push_back(entry.name);
  }
  for (std::size_t i = 0; found == nullptr && i < entries.size(); ++i)
    if (std::to_string(i) == output) found = &entries[i];
  if (found == nullptr) {
    const std::string near = nearest(output, names);
    throw Error(ErrorKind::usage, fmt::format("the model's output has no '{}'", output),
                fmt::format("{} of {}: {}", what, entries.size(), listed_entries(entries)),
                near.empty() ? "correct 'output' in 'model'" : fmt::format("did you mean 'output: {}'?", near));
  }
  if (!found->tensor.defined())
    throw Error(ErrorKind::usage,
                fmt::format("'{}' of the model's output is of type {}, not a tensor", output, found->type),
                listed_entries(entries), "choose another with 'output' in 'model'");
  return found->tensor;
}

void refuse_entry_of_tensor(const std::string& output) {
  if (!output.empty())
    throw Error(ErrorKind::usage, fmt::format("the model's output has no '{}'", output),
                "it is one tensor, with nothing to choose from", "leave 'output' out of 'model'");
}

at::Tensor chosen_entries(std::span<const AnswerEntry> entries, const std::vector<std::string>& names,
                          std::string_view what, std::vector<NamedLayout>& parts) {
  if (names.size() < 2) return chosen_entry(entries, names.empty() ? "" : names.front(), what);
  parts.clear();
  std::vector<at::Tensor> rows;
  for (const std::string& name : names) {
    const at::Tensor tensor = chosen_entry(entries, name, what);
    const std::int64_t samples = rows.empty() ? (tensor.dim() > 0 ? tensor.size(0) : 0) : rows.front().size(0);
    const auto refuse = [&](std::string_view needed) {
      throw Error(ErrorKind::usage, fmt::format("'{}' of the model's output cannot be joined to the others", name),
                  fmt::format("its shape is [{}] and its type {}, and {}", fmt::join(tensor.sizes(), ", "),
                              c10::toString(tensor.scalar_type()), needed),
                  "leave it out of 'output' in 'model'");
    };
    if (tensor.dim() == 0 || tensor.size(0) != samples || tensor.numel() == 0)
      refuse("its first axis must count the same samples as that of the others");
    if (!tensor.is_floating_point()) refuse("scores or other floats are needed");
    parts.push_back({name, {Dtype::float32, Dims(tensor.sizes().begin() + 1, tensor.sizes().end())}});
    rows.push_back(tensor.reshape({samples, -1}));
  }
  return at::cat(rows, 1);
}

at::Tensor chosen_entries(const c10::IValue& answer, const std::vector<std::string>& names,
                          std::vector<NamedLayout>& parts) {
  if (answer.isTensor()) {
    if (!names.empty()) refuse_entry_of_tensor(names.front());
    return answer.toTensor();
  }
  return chosen_entries(entries_of(answer), names, type_of(answer), parts);
}

}  // namespace tutti::worker
