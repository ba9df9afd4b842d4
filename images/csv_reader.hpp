// Reads the records of a .csv file, as RFC 4180 describes them: fields may be in quotes, with commas, quotes and ends
// of lines in them. Lines may end in LF, CR LF or CR. Not what the fields mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "images/record_file.hpp"

namespace tutti::images {

/// Memory for one record at a time; one thread.
class CsvReader {
 public:
  /// Fields are separated by the first comma, semicolon or tab of the first line, whichever it is.
  explicit CsvReader(InputFile file);

  /// Goes to the next record; empty lines are passed over. False at the end. Throws Error(usage) if quotes do not
  /// match.
  bool next();
  std::span<const std::string> fields() const { return std::span(fields_).first(used_); }
  /// Where the record begins, counted from 1.
  std::uint64_t line() const noexcept { return line_; }
  const std::filesystem::path& path() const noexcept { return file_.path(); }

  /// Throws Error(usage): "<file> cannot be used as a table".
  [[noreturn]] void refuse(std::string detail, std::string hint) const;

 private:
  static constexpr int kEnd = -1;

  int peek();
  int get();
  bool fill();
  void choose_separator();
  bool ends_record(int letter) const { return letter == '\n' || letter == '\r' || letter == kEnd; }
  void read_quoted(std::string& field);
  void read_plain(std::string& field);
  void append(std::string& field, int letter) const;

  InputFile file_;
  std::vector<char> buffer_;
  std::size_t place_ = 0;   ///< in the buffer
  std::uint64_t read_ = 0;  ///< bytes of the file so far
  std::uint64_t here_ = 1;  ///< the current line
  std::uint64_t line_ = 1;
  char separator_ = ',';
  std::vector<std::string> fields_;  ///< kept for their memory
  std::size_t used_ = 0;
};

}  // namespace tutti::images
