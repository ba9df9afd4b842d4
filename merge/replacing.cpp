#include "merge/replacing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <tutti/error.hpp>

#include "merge/numbers.hpp"
#include "merge/safetensors_format.hpp"

namespace tutti::merge {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

void check(const Checkpoint& checkpoint, const Safetensors& replacements) {
  for (const std::string& name : replacements.names()) {
    const TensorView tensor = replacements.tensor(name);
    const auto refuse = [&](const std::string& there) {
      throw Error(ErrorKind::failed, fmt::format("cannot replace tensor {}", name),
                  fmt::format("{} {} was computed, and the checkpoint has {}", dtype_name(tensor.dtype),
                              shape_text(tensor.shape), there));
    };
    if (!checkpoint.contains(name)) refuse("none of this name");
    const TensorForm& form = checkpoint.form(name);
    const bool fits = form.dtype == tensor.dtype || (is_floating(form.dtype) && is_floating(tensor.dtype));
    if (!fits || form.shape != tensor.shape)
      refuse(fmt::format("{} {}", dtype_name(form.dtype), shape_text(form.shape)));
  }
}

std::vector<std::byte> converted(const TensorView& tensor, Dtype dtype) {
  if (dtype == tensor.dtype) return {tensor.bytes.begin(), tensor.bytes.end()};
  std::vector<double> values(tensor.bytes.size() / size_of(tensor.dtype));
  decode<double>(tensor.dtype, tensor.bytes, values);
  std::vector<std::byte> bytes(values.size() * size_of(dtype));
  encode<double>(dtype, values, bytes);
  return bytes;
}

void copy_tensor(const Checkpoint& checkpoint, const std::string& name, const ByteSink& sink) {
  std::vector<std::byte> piece;
  const std::uint64_t bytes = checkpoint.form(name).bytes;
  for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, bytes - at)));
    checkpoint.read(name, at, piece);
    sink(piece);
  }
}

}  // namespace

void write_replaced(const Checkpoint& checkpoint, const Safetensors& replacements, const ByteSink& sink,
                    const std::map<std::string, std::string>& metadata) {
  check(checkpoint, replacements);
  std::vector<TensorRow> rows;
  for (const std::string& name : checkpoint.names()) {
    const TensorForm& form = checkpoint.form(name);
    rows.push_back({name, form.dtype, form.shape, form.bytes});
  }
  const std::string front = front_of_file(rows, metadata);
  sink(std::as_bytes(std::span(front)));
  for (const std::string& name : checkpoint.names()) {
    if (replacements.contains(name))
      sink(converted(replacements.tensor(name), checkpoint.form(name).dtype));
    else
      copy_tensor(checkpoint, name, sink);
  }
}

}  // namespace tutti::merge
