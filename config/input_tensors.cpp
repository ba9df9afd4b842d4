#include "config/input_tensors.hpp"

#include <fmt/format.h>

#include "common/array_path.hpp"
#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "config/input.hpp"
#include "config/members.hpp"

namespace tutti::config {
namespace {

constexpr std::uint64_t kMostSize = 1ULL << 28;

void read_dims(Fields& fields, Dims& dims, Violations& violations) {
  const Tree* tree = fields.require("shape", "the sizes of one sample: [5, 100], or [] for a number");
  if (tree == nullptr) return;
  if (tree->kind != Tree::Kind::list || tree->items.size() > kMaxRank) {
    violations.add(
        tree->position,
        fmt::format("'shape' of a tensor must be a list of at most {} sizes, not {}", kMaxRank,
                    tree->kind == Tree::Kind::list ? fmt::format("one of {}", tree->items.size()) : describe(*tree)));
    return;
  }
  for (const Tree& item : tree->items) {
    const auto size = read_whole(item, "each item of 'shape'", 1, kMostSize, violations);
    if (!size) return;
    dims.push_back(static_cast<std::uint32_t>(*size));
  }
}

/// {shape: [5, 100], dtype: float32}
TensorLayout read_layout(const Tree& tree, const std::string& name, Violations& violations) {
  TensorLayout layout;
  Fields fields(tree, fmt::format("tensor '{}'", name), violations);
  if (tree.kind != Tree::Kind::map) return layout;
  read_dims(fields, layout.dims, violations);
  fields.choice("dtype", layout.dtype);
  fields.finish();
  return layout;
}

/// A path; nothing is said about whether the file exists.
std::filesystem::path read_array(const Tree& tree, const std::string& name, Violations& violations) {
  if (tree.kind == Tree::Kind::scalar && !tree.scalar.empty()) {
    const ArrayPath path = array_path(tree.scalar);
    if (format_of_array(path.file) != ArrayFormat::npz || !path.entry.empty()) return tree.scalar;
    violations.add(tree.position,
                   fmt::format("tensor '{0}' needs one array of the archive: {1}:{0}", name, tree.scalar));
  } else {
    violations.add(
        tree.position,
        fmt::format("tensor '{}' must be a file such as x.npy, samples.npz:x or t.csv, not {}", name, describe(tree)));
  }
  return {};
}

InputTensor read_tensor(const Tree::Entry& entry, Dataset dataset, Violations& violations) {
  InputTensor tensor{entry.key, {}, {}};
  if (entry.key.empty())
    violations.add(entry.key_position, "a tensor needs a name");
  else if (std::string problem = name_problem(entry.key, " of a tensor"); !problem.empty())
    violations.add(entry.key_position, std::move(problem));
  if (dataset == Dataset::npy)
    tensor.file = read_array(entry.value, entry.key, violations);
  else
    tensor.layout = read_layout(entry.value, entry.key, violations);
  return tensor;
}

bool is_archive(const Tree& tree) {
  return tree.kind == Tree::Kind::scalar && format_of_array(tree.scalar) == ArrayFormat::npz;
}

void check_size(const std::vector<InputTensor>& tensors, const SourcePosition& position, Violations& violations) {
  std::uint64_t values = 0;
  for (const InputTensor& tensor : tensors) {
    std::uint64_t elements = 1;
    // Each size is bounded, but their product may not fit into 64 bits.
    for (const std::uint32_t size : tensor.layout.dims)
      if (elements <= kMaxImageElements) elements *= size;
    values += elements;
  }
  if (values > kMaxImageElements)
    violations.add(position,
                   fmt::format("a sample of 'inputs' has {} or more values, more than {}", values, kMaxImageElements));
}

void refuse_keys_of_images(Fields& fields, Dataset dataset) {
  const auto refuse = [&](std::string_view key) {
    fields.refuse(key, fmt::format("'{}' is for images, and 'inputs' names tensors; leave one of them out", key));
  };
  if (dataset == Dataset::npy) {
    refuse("images");
    refuse("layout");
  } else {
    refuse("shape");
  }
  fields.refuse("preprocess",
                "'preprocess' is for images, and 'inputs' names tensors; give the members that take an image an "
                "'input'");
}

}  // namespace

std::vector<InputTensor> read_input_tensors(Fields& fields, Dataset dataset, Violations& violations) {
  const Tree* tree = fields.find("inputs");
  if (tree == nullptr) return {};
  refuse_keys_of_images(fields, dataset);
  if (dataset == Dataset::npy && is_archive(*tree)) return {{"", tree->scalar, {}}};
  if (tree->kind != Tree::Kind::map || tree->entries.empty() || tree->entries.size() > kMaxTensors) {
    const bool map = tree->kind == Tree::Kind::map;
    violations.add(tree->position, fmt::format("'inputs' must be a map of 1 to {} names and {}, not {}", kMaxTensors,
                                               dataset == Dataset::npy ? "files, or an .npz archive" : "tensors",
                                               map ? fmt::format("one of {}", tree->entries.size()) : describe(*tree)));
    return {};
  }
  std::vector<InputTensor> tensors;
  const std::size_t before = violations.count();
  for (const Tree::Entry& entry : tree->entries) tensors.push_back(read_tensor(entry, dataset, violations));
  if (violations.count() == before) check_size(tensors, tree->position, violations);
  return tensors;
}

}  // namespace tutti::config
