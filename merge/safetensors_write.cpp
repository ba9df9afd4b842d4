// Writing of safetensors: sorted by name, so that the same tensors give the same bytes.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <tutti/error.hpp>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "common/json.hpp"
#include "merge/safetensors_format.hpp"

namespace tutti::merge {
namespace {

void check(const std::string& name, const std::vector<const TensorView*>& sorted) {
  const auto refuse = [&](std::string detail) {
    throw Error(ErrorKind::usage, fmt::format("cannot write {}", name), std::move(detail));
  };
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const TensorView& tensor = *sorted[i];
    if (tensor.name == kMetadataKey) refuse("a tensor must not be named __metadata__");
    if (i > 0 && sorted[i - 1]->name == tensor.name) refuse(fmt::format("two tensors are named {}", tensor.name));
    const auto bytes = bytes_of(tensor.dtype, tensor.shape);
    const std::string shape = fmt::format("{} of shape [{}]", dtype_name(tensor.dtype), fmt::join(tensor.shape, ", "));
    if (!bytes) refuse(fmt::format("tensor {} cannot be {}", tensor.name, shape));
    if (*bytes != tensor.bytes.size())
      refuse(fmt::format("tensor {} has {}, and {} needs {}", tensor.name, counted(tensor.bytes.size(), "byte"), shape,
                         *bytes));
  }
}

}  // namespace

std::string front_of_file(std::span<const TensorRow> rows, const std::map<std::string, std::string>& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object& texts = header[json::string_view(kMetadataKey)].emplace_object();
    for (const auto& [key, text] : metadata) texts[key] = text;
  }
  std::uint64_t begin = 0;
  for (const TensorRow& row : rows) {
    const std::uint64_t end = begin + row.bytes;
    header[json::string_view(row.name)] = {{"dtype", json::string_view(dtype_name(row.dtype))},
                                           {"shape", json::array(row.shape.begin(), row.shape.end())},
                                           {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = json::serialize(header);
  text.append((kHeaderAlignment - text.size() % kHeaderAlignment) % kHeaderAlignment, ' ');
  const std::uint64_t length = text.size();
  std::string front(kLengthBytes, '\0');
  std::memcpy(front.data(), &length, sizeof length);
  return front + text;
}

void write_safetensors(const ByteSink& sink, const std::string& name, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorView*> sorted;
  for (const TensorView& tensor : tensors) sorted.push_back(&tensor);
  std::ranges::sort(sorted, {}, [](const TensorView* tensor) -> const std::string& { return tensor->name; });
  check(name, sorted);
  std::vector<TensorRow> rows;
  for (const TensorView* tensor : sorted)
    rows.push_back({tensor->name, tensor->dtype, tensor->shape, tensor->bytes.size()});
  const std::string front = front_of_file(rows, metadata);
  sink(std::as_bytes(std::span(front)));
  for (const TensorView* tensor : sorted) sink(tensor->bytes);
}

void write_safetensors(const std::filesystem::path& file, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::optional<AtomicFile> out;  // made with the first byte, so that an error before it touches no file
  const auto append = [&](std::span<const std::byte> bytes) {
    if (!out) out.emplace(file);
    out->write(bytes);
  };
  write_safetensors(append, fmt::format("the weights {}", file.string()), tensors, metadata);
  out->commit();
}

}  // namespace tutti::merge
