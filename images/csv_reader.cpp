#include "images/csv_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include <tutti/error.hpp>

namespace tutti::images {
namespace {

constexpr std::size_t kCsvBufferBytes = 256 * 1024;
constexpr std::size_t kMostFieldBytes = 1 << 20;
constexpr std::size_t kMostColumns = 1 << 20;
constexpr std::string_view kSeparators = ",;\t";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr const char* kCloseQuotes = "quotes inside a quoted field are doubled";

}  // namespace

CsvReader::CsvReader(InputFile file) : file_(std::move(file)) {
  fill();
  if (std::string_view(buffer_.data(), buffer_.size()).starts_with(kByteOrderMark)) place_ = kByteOrderMark.size();
  choose_separator();
}

void CsvReader::refuse(std::string detail, std::string hint) const {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be used as a table", file_.path().string()), std::move(detail),
              std::move(hint));
}

void CsvReader::choose_separator() {
  bool quoted = false;
  for (std::size_t i = place_; i < buffer_.size() && (quoted || !ends_record(static_cast<unsigned char>(buffer_[i])));
       ++i) {
    if (buffer_[i] == '"') quoted = !quoted;
    if (quoted || kSeparators.find(buffer_[i]) == std::string_view::npos) continue;
    separator_ = buffer_[i];
    return;
  }
}

bool CsvReader::fill() {
  buffer_.resize(std::min<std::uint64_t>(kCsvBufferBytes, file_.size() - read_));
  place_ = 0;
  if (buffer_.empty()) return false;
  file_.read(read_, std::as_writable_bytes(std::span(buffer_)));
  read_ += buffer_.size();
  return true;
}

int CsvReader::peek() {
  if (place_ == buffer_.size() && !fill()) return kEnd;
  return static_cast<unsigned char>(buffer_[place_]);
}

int CsvReader::get() {
  const int letter = peek();
  if (letter != kEnd) ++place_;
  if (letter == '\n') ++here_;
  if (letter == '\r' && peek() != '\n') ++here_;
  return letter;
}

void CsvReader::append(std::string& field, int letter) const {
  if (field.size() == kMostFieldBytes)
    refuse(fmt::format("line {}: a field has more than {} bytes", line_, kMostFieldBytes), "is a quote missing?");
  field += static_cast<char>(letter);
}

void CsvReader::read_plain(std::string& field) {
  for (int letter = peek(); letter != separator_ && !ends_record(letter); letter = peek()) append(field, get());
}

void CsvReader::read_quoted(std::string& field) {
  get();
  for (;;) {
    const int letter = get();
    if (letter == kEnd) refuse(fmt::format("line {}: a quoted field does not end", line_), kCloseQuotes);
    if (letter == '"') {
      if (peek() != '"') break;
      get();
    }
    append(field, letter);
  }
  if (const int letter = peek(); letter != separator_ && !ends_record(letter))
    refuse(fmt::format("line {}: text follows a quoted field", line_), kCloseQuotes);
}

bool CsvReader::next() {
  while (peek() == '\n' || peek() == '\r') get();
  if (peek() == kEnd) return false;
  line_ = here_;
  used_ = 0;
  for (;;) {
    if (used_ == kMostColumns) refuse(fmt::format("line {} has more than {} fields", line_, kMostColumns), "");
    if (used_ == fields_.size()) fields_.emplace_back();
    std::string& field = fields_[used_++];
    field.clear();
    if (peek() == '"')
      read_quoted(field);
    else
      read_plain(field);
    if (get() != separator_) break;
  }
  return true;
}

}  // namespace tutti::images
