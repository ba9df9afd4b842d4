// Writing of .npy arrays, format 1.0, row by row.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <system_error>
#include <tutti/error.hpp>

#include "common/checksum.hpp"
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

std::uint64_t product(std::span<const std::uint64_t> shape) {
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

NpyWriter::NpyWriter(const std::filesystem::path& path, NpyType type, const std::vector<std::uint64_t>& shape,
                     Unfinished unfinished)
    : file_(path, unfinished),
      stays_(unfinished != Unfinished::goes),
      type_(type),
      shape_(shape),
      header_bytes_(header_text(type, shape).size()),
      row_values_(shape.empty() ? 1 : product(std::span(shape).subspan(1))),
      announced_(product(shape)) {
  // A run that ended early may have left the same file under this name, too, and it would change with it.
  std::error_code none;
  if (stays_ && std::filesystem::equivalent(unfinished_of(path), partial_of(path), none))
    remove_partial(partial_of(path));
  if (stays_)
    file_.write_at(0, header_text(type, shape));
  else
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
  if (stays_) checksum_ = crc32(bytes);
  file_.write_at(header_bytes_ + offset, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void NpyWriter::append(std::span<const std::byte> bytes, std::size_t values) {
  assert(!stays_);
  count(values);
  file_.write(bytes);
}

void NpyWriter::count(std::size_t values) {
  if (values > announced_ - written_)
    throw Error(ErrorKind::failed, fmt::format("could not write {}", file_.path().string()),
                fmt::format("{} announced, and there are {}", counted(announced_, "value"), written_ + values));
  written_ += values;
}

std::uint64_t NpyWriter::value_bytes() const noexcept {
  return type_ == NpyType::float32 ? sizeof(float) : sizeof(std::int64_t);
}

std::string NpyWriter::mismatch(std::uint64_t first, std::uint64_t rows, std::uint32_t checksum) const {
  const std::string file = unfinished_of(path()).string();
  std::uint64_t left = rows * row_values_ * value_bytes();
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(left, 1 << 20)));
  std::uint64_t offset = header_bytes_ + first * row_values_ * value_bytes();
  std::uint32_t found = 0;
  while (left > 0) {
    const auto part = std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
    if (!file_.read_at(offset, part)) return fmt::format("rows are missing in {}", file);
    found = crc32(part, found);
    offset += part.size();
    left -= part.size();
  }
  return found == checksum ? std::string() : fmt::format("{} holds other rows than were written", file);
}

void NpyWriter::note_rows(std::uint64_t first, std::uint64_t rows) {
  count(rows * row_values_);
  noted_end_ = std::max(noted_end_, first + rows);
}

void NpyWriter::read(std::uint64_t first, std::span<std::byte> bytes) const {
  if (!file_.read_at(header_bytes_ + first * row_values_ * value_bytes(), bytes))
    throw Error(ErrorKind::failed, fmt::format("could not read {}", unfinished_of(path()).string()), "it ended early",
                "make sure that no other program writes into the run folder");
}

void NpyWriter::read_rows(std::uint64_t first, std::span<float> values) const {
  assert(type_ == NpyType::float32);
  read(first, std::as_writable_bytes(values));
}

void NpyWriter::read_rows(std::uint64_t first, std::span<std::int64_t> values) const {
  assert(type_ == NpyType::int64);
  read(first, std::as_writable_bytes(values));
}

void NpyWriter::check_complete() const {
  if (written_ < announced_)
    throw Error(ErrorKind::failed, fmt::format("could not write {}", file_.path().string()),
                fmt::format("{} announced, and only {} came", counted(announced_, "value"), written_));
}

void NpyWriter::finish() {
  check_complete();
  file_.commit();
}

void NpyWriter::finish_and_stay() {
  check_complete();
  file_.link_as(path());
}

// The shape comes before the data, so its text overwrites the old one. It is never longer, since the rows are fewer.
// What the file holds behind these rows, because an earlier run got further there, stays for a later run.
void NpyWriter::finish_partial(const std::filesystem::path& path, std::uint64_t rows) {
  assert(!shape_.empty() && rows <= shape_.front() && rows * row_values_ <= written_);
  shape_.front() = rows;
  file_.write_at(0, header_text(type_, shape_, header_bytes_));
  file_.cut(header_bytes_ + std::max(rows, noted_end_) * row_values_ * value_bytes());
  if (stays_)
    file_.link_as(path);
  else
    file_.commit_as(path);
}

}  // namespace tutti::images
