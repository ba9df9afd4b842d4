#include "worker/tensor_differences.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/nearest.hpp"
#include "merge/wrapper_prefix.hpp"

namespace tutti::worker {
namespace {

constexpr std::size_t kMostListed = 20;

std::string with_nearest(std::string text, const std::string& name, const std::vector<std::string>& among) {
  const std::string near = nearest(name, among);
  return near.empty() ? text : fmt::format("{}; the nearest is {}", text, near);
}

}  // namespace

std::string one_of(std::span<const merge::Dtype> types) {
  if (types.empty()) return "one that safetensors cannot hold";
  std::string text;
  for (std::size_t i = 0; i < types.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 == types.size() ? " or " : ", ", merge::dtype_name(types[i]));
  return text;
}

std::vector<std::string> tensor_differences(const TensorForms& found, std::span<const WantedTensor> wanted) {
  std::vector<std::string> known;
  for (const WantedTensor& tensor : wanted) known.push_back(tensor.name);
  std::vector<std::string> sorted = known;
  std::ranges::sort(sorted);
  std::vector<std::string> unknown;  // candidates for a missing name
  for (const auto& row : found)
    if (!std::ranges::binary_search(sorted, row.first)) unknown.push_back(row.first);

  // Then nothing fits, and what is missing or unknown says nothing more.
  if (unknown.size() == found.size())
    if (std::string wrapped = merge::wrapper_text(unknown); !wrapped.empty()) return {std::move(wrapped)};

  std::vector<std::string> lines;
  for (const auto& [name, shape, types] : wanted) {
    const auto there = found.find(name);
    if (there == found.end()) {
      lines.push_back(
          with_nearest(fmt::format("{} is missing, expected {}", name, merge::shape_text(shape)), name, unknown));
      continue;
    }
    const merge::TensorForm& form = there->second;
    if (std::ranges::find(types, form.dtype) == types.end())
      lines.push_back(fmt::format("{} has type {}{}, expected {}", name, merge::dtype_name(form.dtype),
                                  merge::is_supported(form.dtype) ? "" : ", which is not supported", one_of(types)));
    if (form.shape != shape)
      lines.push_back(
          fmt::format("{} has shape {}, expected {}", name, merge::shape_text(form.shape), merge::shape_text(shape)));
  }
  for (const std::string& name : unknown)
    lines.push_back(with_nearest(fmt::format("{} is unknown", name), name, known));
  return lines;
}

std::string listed(std::vector<std::string> differences) {
  const std::size_t count = differences.size();
  if (count > kMostListed) {
    differences.resize(kMostListed);
    differences.push_back(fmt::format("and {} more", count - kMostListed));
  }
  return fmt::format("{}", fmt::join(differences, "\n  "));
}

}  // namespace tutti::worker
