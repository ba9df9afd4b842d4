// Writing of .npy arrays, format 1.0, row by row.
#include <fmt/format.h>

#include <cassert>
#include <cstring>
#include <system_error>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "images/npy.hpp"

namespace tutti::images {
namespace {

constexpr std::size_t kAlignment = 64;  // where NumPy wants the data to begin

/// As long as NumPy would make it, or `bytes` long: room for more digits.
std::string header_text(NpyType type, const std::vector<std::uint64_t>& shape, std::size_t bytes = 0) {
  NpyHeader header;
  header.shape = shape;
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                 type == NpyType::float32 ? "<f4" : "<i8", header.shape_text());
  const std::size_t before = 10 + text.size() + 1;
  text.append(bytes > before ? bytes - before : (kAlignment - before % kAlignment) % kAlignment, ' ');
  text += '\n';
  const auto length = static_cast<std::uint16_t>(text.size());
  std::string start("\x93NUMPY\x01\x00??", 10);
  std::memcpy(&start[8], &length, sizeof length);
  return start + text;
}

std::uint64_t product(const std::vector<std::uint64_t>& shape) {
  std::uint64_t values = 1;
  for (const std::uint64_t extent : shape) values *= extent;
  return values;
}

}  // namespace

std::filesystem::path partial_of(std::filesystem::path file) {
  const std::string extension = file.extension().string();
  return file.replace_extension(".partial" + extension);
}

void remove_partial(const std::filesystem::path& partial) {
  std::error_code code;
  std::filesystem::remove(partial, code);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not remove {}", partial.string()), code.message(),
                "it is of an earlier run that ended early; the results of this run are complete");
}

NpyWriter::NpyWriter(const std::filesystem::path& path, NpyType type, const std::vector<std::uint64_t>& shape)
    : file_(path),
      type_(type),
      shape_(shape),
      header_bytes_(header_text(type, shape).size()),
      announced_(product(shape)) {
  file_.write(header_text(type, shape));
}

void NpyWriter::write(std::span<const float> values) {
  assert(type_ == NpyType::float32);
  append(std::as_bytes(values), values.size());
}

void NpyWriter::write(std::span<const std::int64_t> values) {
  assert(type_ == NpyType::int64);
  append(std::as_bytes(values), values.size());
}

void NpyWriter::write_at(std::uint64_t first, std::span<const float> values) {
  assert(type_ == NpyType::float32);
  place(first * sizeof(float), std::as_bytes(values), values.size());
}

void NpyWriter::write_at(std::uint64_t first, std::span<const std::int64_t> values) {
  assert(type_ == NpyType::int64);
  place(first * sizeof(std::int64_t), std::as_bytes(values), values.size());
}

void NpyWriter::place(std::uint64_t offset, std::span<const std::byte> bytes, std::size_t values) {
  count(values);
  file_.write_at(header_bytes_ + offset, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void NpyWriter::append(std::span<const std::byte> bytes, std::size_t values) {
  count(values);
  file_.write(bytes);
}

void NpyWriter::count(std::size_t values) {
  if (values > announced_ - written_)
    throw Error(ErrorKind::failed, fmt::format("could not write {}", file_.path().string()),
                fmt::format("{} announced, and there are {}", counted(announced_, "value"), written_ + values));
  written_ += values;
}

void NpyWriter::finish() {
  if (written_ < announced_)
    throw Error(ErrorKind::failed, fmt::format("could not write {}", file_.path().string()),
                fmt::format("{} announced, and only {} came", counted(announced_, "value"), written_));
  file_.commit();
}

// The shape comes before the data, so its text overwrites the old one. It is never longer, since the rows are fewer.
void NpyWriter::finish_partial(const std::filesystem::path& path, std::uint64_t rows) {
  assert(!shape_.empty() && rows <= shape_.front());
  shape_.front() = rows;
  const std::uint64_t value_bytes = type_ == NpyType::float32 ? sizeof(float) : sizeof(std::int64_t);
  assert(product(shape_) <= written_);
  file_.write_at(0, header_text(type_, shape_, header_bytes_));
  file_.cut(header_bytes_ + product(shape_) * value_bytes);
  file_.commit_as(path);
}

}  // namespace tutti::images
