#include "images/npy_reader.hpp"

#include <fmt/format.h>

#include <cassert>
#include <limits>
#include <tutti/error.hpp>

#include "common/counted.hpp"

namespace tutti::images {

NpyReader::NpyReader(const std::filesystem::path& path, NpyType type, std::optional<std::size_t> axes)
    : file_(path), type_(type) {
  const NpyHeader header = read_npy_header(file_);
  const bool floats = type == NpyType::float32;
  const auto refuse = [&](std::string detail) {
    throw Error(ErrorKind::usage, fmt::format("{} was not written by a run", path.string()), std::move(detail));
  };
  const std::string wanted = fmt::format("{} of {}", floats ? "<f4" : "<i8",
                                         axes == 1 ? "1 axis"
                                         : axes    ? fmt::format("{} axes", *axes)
                                                   : "1 axis or more");
  const std::size_t found = header.shape.size();
  if (header.descr != (floats ? "<f4" : "<i8") || header.fortran_order || found == 0 || found != axes.value_or(found))
    refuse(fmt::format("it holds {} of the shape {}, and {} is needed", header.descr, header.shape_text(), wanted));
  rows_ = header.shape[0];
  std::uint64_t width = 1;
  for (const std::uint64_t size : std::span(header.shape).subspan(1)) {
    if (size == 0 || size > std::numeric_limits<std::uint32_t>::max() / width)
      refuse(fmt::format("its shape is {}", header.shape_text()));
    width *= size;
    row_shape_.push_back(static_cast<std::uint32_t>(size));
  }
  width_ = static_cast<std::uint32_t>(width);
  offset_ = header.data_offset;
  const std::uint64_t row_bytes = width * (floats ? sizeof(float) : sizeof(std::int64_t));
  // Divided instead of multiplied: the header of a damaged file may say anything.
  if ((file_.size() - offset_) / row_bytes != rows_ || (file_.size() - offset_) % row_bytes != 0)
    refuse(fmt::format("its shape is {}, but {} follow the header", header.shape_text(),
                       counted(file_.size() - offset_, "byte")));
}

void NpyReader::read(std::uint64_t first, std::span<float> values) const {
  assert(type_ == NpyType::float32 && first * width_ + values.size() <= rows_ * width_);
  file_.read(offset_ + first * width_ * sizeof(float), std::as_writable_bytes(values));
}

void NpyReader::read(std::uint64_t first, std::span<std::int64_t> values) const {
  assert(type_ == NpyType::int64 && first * width_ + values.size() <= rows_ * width_);
  file_.read(offset_ + first * width_ * sizeof(std::int64_t), std::as_writable_bytes(values));
}

}  // namespace tutti::images
