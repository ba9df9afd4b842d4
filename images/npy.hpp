// The .npy format of NumPy: reads the header, and writes arrays row by row. Not an array library; make_npy() of
// images/sources.hpp reads images from it.
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/atomic_file.hpp"
#include "images/record_file.hpp"

namespace tutti::images {

/// How ml_dtypes writes bfloat16, which NumPy does not have: the only type of two bytes with an order that is none of
/// NumPy's. Two bytes without a type, which NumPy makes of it if ml_dtypes is not there, are kUntyped.
inline constexpr std::string_view kBfloat16 = "<V2";
inline constexpr std::string_view kUntyped = "|V2";
/// What to do about that.
inline constexpr const char* kUntypedHint =
    "NumPy reads bfloat16 without its type; save it with numpy.save(path, x.view(ml_dtypes.bfloat16))";

struct NpyHeader {
  std::string descr;  ///< "<f4", "|u1", ...; kBfloat16 also if the file says "bfloat16"
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::uint64_t data_offset = 0;  ///< bytes before the first element

  /// For messages: "(3, 4)", "(5,)", "()", as Python writes it.
  std::string shape_text() const;
};

/// The header of an array, in format 1.0, 2.0 or 3.0. Throws Error(usage) that names the file if it has no such header.
NpyHeader read_npy_header(const InputFile& file);

/// The name for the results of a run that ended early: predictions.npy -> predictions.partial.npy, in the same folder.
std::filesystem::path partial_of(std::filesystem::path file);
/// Removes such a file of an earlier run, if there is one, once the results are complete. Throws Error(failed).
void remove_partial(const std::filesystem::path& partial);

/// The element types that are written.
enum class NpyType { float32, int64 };

/// Writes an array of a shape that is known from the start, rows in order; the file appears at finish(), complete, or
/// never. Throws Error(failed) that names the file: no space, no permission, fewer or more values than announced.
/// Moves, does not copy; one thread.
///
/// An array that stays (Unfinished) is written by write_rows(), in a file of the whole array's header and of the rows
/// so far, each in its place.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, NpyType type, const std::vector<std::uint64_t>& shape,
            Unfinished unfinished = Unfinished::goes);

  /// Appends whole rows or parts of rows. The element type must be the one that was announced.
  void write(std::span<const float> values);
  void write(std::span<const std::int64_t> values);
  /// Writes values from place `first` of the array on, in any order; each value once, and none is appended then.
  void write_at(std::uint64_t first, std::span<const float> values);
  void write_at(std::uint64_t first, std::span<const std::int64_t> values);
  /// Writes whole rows from row `first` on, in any order; each row once, and none is appended then.
  void write_rows(std::uint64_t first, std::span<const float> values) { write_at(first * row_values_, values); }
  void write_rows(std::uint64_t first, std::span<const std::int64_t> values) { write_at(first * row_values_, values); }
  /// The CRC-32 of the values of the last call that wrote any; 0 unless the array stays.
  std::uint32_t checksum() const noexcept { return checksum_; }

  /// Why the file does not hold rows with this checksum: "rows are missing in <path>", "<path> holds other rows than
  /// were written". Empty if it does. It reads them piece by piece.
  std::string mismatch(std::uint64_t first, std::uint64_t rows, std::uint32_t checksum) const;
  /// Rows that an earlier object wrote are in the file, and count as written.
  void note_rows(std::uint64_t first, std::uint64_t rows);
  /// Rows that are in the file. Throws Error(failed) if it became shorter.
  void read_rows(std::uint64_t first, std::span<float> values) const;
  void read_rows(std::uint64_t first, std::span<std::int64_t> values) const;
  /// Whether the destructor leaves an array that stays; see AtomicFile::keep().
  void keep(bool yes) noexcept { file_.keep(yes); }

  /// Syncs the complete array and puts it in place.
  void finish();
  /// The same of an array that stays, which can still be continued after that.
  void finish_and_stay();
  /// Puts an array of only the first `rows` rows, of which all were written, in place as `path`, in the same folder. An
  /// array that stays can still be continued after that.
  void finish_partial(const std::filesystem::path& path, std::uint64_t rows);
  const std::filesystem::path& path() const noexcept { return file_.path(); }
  /// Values per row.
  std::uint64_t row_values() const noexcept { return row_values_; }

 private:
  void append(std::span<const std::byte> bytes, std::size_t values);
  void place(std::uint64_t offset, std::span<const std::byte> bytes, std::size_t values);
  void count(std::size_t values);
  void check_complete() const;
  std::uint64_t value_bytes() const noexcept;
  void read(std::uint64_t first, std::span<std::byte> bytes) const;

  AtomicFile file_;
  bool stays_;
  NpyType type_;
  std::vector<std::uint64_t> shape_;
  std::uint64_t header_bytes_;
  std::uint64_t row_values_;
  std::uint64_t announced_;
  std::uint64_t written_ = 0;
  std::uint64_t noted_end_ = 0;  ///< behind the last row that an earlier object wrote
  std::uint32_t checksum_ = 0;
};

}  // namespace tutti::images
