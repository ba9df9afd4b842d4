#include "images/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "common/array_path.hpp"
#include "images/archive.hpp"
#include "images/table.hpp"

namespace tutti::images {
namespace {

std::size_t element_bytes(std::string_view descr) { return static_cast<std::size_t>(descr.back() - '0'); }

}  // namespace

OpenArray open_array(const std::filesystem::path& written, const std::string& left_out) {
  const ArrayPath path = array_path(written);
  switch (format_of_array(path.file)) {
    case ArrayFormat::npz: {
      Archive archive(path.file);
      if (!path.entry.empty()) return archive.open(path.entry);
      throw Error(ErrorKind::usage, fmt::format("{} is an archive, and one array is needed", written.string()),
                  fmt::format("it holds {}", fmt::join(archive.arrays(), ", ")),
                  fmt::format("name the array: {}:{}", written.string(), archive.arrays().front()));
    }
    case ArrayFormat::csv:
      return open_table(path.file, path.entry, left_out);
    case ArrayFormat::npy:
      break;
  }
  InputFile file(written);
  NpyHeader header = read_npy_header(file);
  return {std::move(file), std::move(header)};
}

void refuse_array(const std::filesystem::path& path, std::string_view what, std::string detail, std::string_view hint) {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be used as {}", path.string(), what), std::move(detail),
              std::string(hint));
}

char kind_of_elements(const NpyHeader& header) { return header.descr.size() > 1 ? header.descr[1] : ' '; }

RecordFile open_rows(OpenArray array, std::string_view what, std::span<const std::string_view> types, std::size_t rank,
                     std::string_view hint) {
  const InputFile& file = array.file;
  const NpyHeader& header = array.header;
  const std::filesystem::path& path = file.path();
  if (std::ranges::find(types, header.descr) == types.end())
    refuse_array(
        path, what,
        fmt::format("its element type is '{}', and one of '{}' is needed", header.descr, fmt::join(types, "', '")),
        hint);
  if (header.fortran_order) refuse_array(path, what, "it is in Fortran order, and C order is needed", hint);
  if (header.shape.size() != rank)
    refuse_array(
        path, what,
        fmt::format("its shape is {}, and {} needed", header.shape_text(), rank == 1 ? "1 axis is" : "4 axes are"),
        hint);
  std::uint64_t row = element_bytes(header.descr);
  std::uint64_t all = 0;
  bool fits = true;
  for (std::size_t axis = 1; axis < rank; ++axis) fits &= !__builtin_mul_overflow(row, header.shape[axis], &row);
  fits &= !__builtin_mul_overflow(row, header.shape[0], &all);
  const std::uint64_t there = file.size() - header.data_offset;
  if (!fits || all > there)
    refuse_array(
        path, what,
        fmt::format("it is truncated: shape {} of '{}' needs {} bytes of data, and {} are there", header.shape_text(),
                    header.descr, fits ? fmt::format("{}", all) : "more than 2^64", there),
        "copy or save it again");
  const std::uint64_t offset = header.data_offset;
  const std::uint64_t count = header.shape[0];
  return {std::move(array.file), offset, row, count};
}

}  // namespace tutti::images
