#include "images/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "common/counted.hpp"
#include "common/nearest.hpp"
#include "images/csv_reader.hpp"
#include "images/scratch_file.hpp"

namespace tutti::images {
namespace {

constexpr std::size_t kMostNamesShown = 20;
constexpr std::size_t kMostLabels = 1 << 20;
constexpr const char* kTableHint =
    "a table holds numbers with a decimal point, separated by commas; pandas writes it with t.to_csv(path, "
    "index=False)";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// As NumPy makes float32 of a text: by way of float64. Nothing if it is not a finite number.
std::optional<double> number_of(std::string_view field) {
  std::string_view text = trimmed(field);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = code == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

/// How tables write that a value is missing.
bool is_missing_mark(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kMarks{"NA",   "N/A",  "nan",  "NaN", "NAN",
                                                          "null", "NULL", "None", "?"};
  return std::ranges::find(kMarks, text) != kMarks.end();
}

enum class FirstLine { values, names, numbers_as_names };

/// pandas calls columns 0, 1, 2 ... that have no names; a shorter line of these is taken for values.
FirstLine kind_of_first_line(std::span<const std::string> fields) {
  constexpr std::size_t kFewestNumbers = 3;
  bool words = false;
  bool whole = true;
  bool counts_up = fields.size() >= kFewestNumbers;
  for (std::size_t place = 0; place < fields.size(); ++place) {
    const std::string_view text = trimmed(fields[place]);
    if (is_missing_mark(text)) return FirstLine::values;
    const bool number = number_of(text).has_value();
    words = words || (!number && !text.empty());
    whole = whole && (!number || text.find_first_not_of("0123456789") == std::string_view::npos);
    counts_up = counts_up && text == std::to_string(place);
  }
  if (words) return whole ? FirstLine::names : FirstLine::values;
  return counts_up ? FirstLine::numbers_as_names : FirstLine::values;
}

/// A table whose first line has been read.
class Table {
 public:
  explicit Table(const std::filesystem::path& file) : reader_(InputFile(file)) {
    if (!reader_.next()) reader_.refuse("it is empty", kTableHint);
    columns_ = reader_.fields().size();
    first_line_ = kind_of_first_line(reader_.fields());
    if (first_line_ == FirstLine::values) return;
    for (const std::string& field : reader_.fields()) names_.emplace_back(trimmed(field));
    at_record_ = reader_.next();
  }

  const CsvReader& reader() const { return reader_; }

  /// For Source::remarks().
  std::string remark() const {
    if (first_line_ != FirstLine::numbers_as_names) return {};
    return fmt::format("the first line of {}, 0, 1, 2 ..., counts as the names of its columns",
                       reader_.path().string());
  }

  /// Calls use(fields) for each row.
  template <class Use>
  void each(Use&& use) {
    for (; at_record_; at_record_ = reader_.next()) {
      const std::size_t found = reader_.fields().size();
      if (found != columns_)
        reader_.refuse(
            fmt::format("line {} has {}, and {} are needed", reader_.line(), counted(found, "field"), columns_),
            has_header() ? "give each row as many fields as the first line has" : kTableHint);
      use(reader_.fields());
    }
  }

  std::size_t place_of(const std::string& column) const {
    if (!has_header())
      reader_.refuse(fmt::format("there is no column '{}': its first line holds numbers, not names", column),
                     "add a line with the names of the columns");
    const auto found = std::ranges::find(names_, column);
    if (found == names_.end()) {
      const std::string near = nearest(column, names_);
      reader_.refuse(fmt::format("it has no column '{}', but {}", column, shown_names()),
                     near.empty() ? "name one of these" : fmt::format("did you mean '{}'?", near));
    }
    if (std::find(found + 1, names_.end(), column) != names_.end())
      reader_.refuse(fmt::format("it has two columns '{}'", column), "give the columns different names");
    return static_cast<std::size_t>(found - names_.begin());
  }

  /// All columns but one.
  std::vector<std::size_t> places_without(const std::string& left_out) const {
    std::vector<std::size_t> places(columns_);
    std::iota(places.begin(), places.end(), 0);
    if (!left_out.empty()) places.erase(places.begin() + static_cast<std::ptrdiff_t>(place_of(left_out)));
    for (const std::size_t place : places)
      if (has_header() && names_[place].empty())
        reader_.refuse(fmt::format("column {} has no name; it may hold the row numbers that pandas writes", place + 1),
                       "save it with t.to_csv(path, index=False), or name the column");
    if (places.empty()) reader_.refuse(fmt::format("it has no column besides '{}'", left_out), kTableHint);
    return places;
  }

  [[noreturn]] void refuse_value(std::size_t column, std::string_view what, const std::string& hint) const {
    const std::string name = has_header() ? fmt::format(" ('{}')", names_[column]) : "";
    reader_.refuse(fmt::format("line {}, column {}{}: {}", reader_.line(), column + 1, name, what), hint);
  }

 private:
  bool has_header() const { return first_line_ != FirstLine::values; }

  std::string shown_names() const {
    const std::span<const std::string> first = std::span(names_).first(std::min(names_.size(), kMostNamesShown));
    return fmt::format("{}{}", fmt::join(first, ", "),
                       names_.size() > first.size() ? fmt::format(" and {} more", names_.size() - first.size()) : "");
  }

  CsvReader reader_;
  std::size_t columns_ = 0;
  FirstLine first_line_ = FirstLine::values;
  bool at_record_ = true;
  std::vector<std::string> names_;
};

float value_of(const Table& table, std::span<const std::string> fields, std::size_t column) {
  const std::string& field = fields[column];
  if (trimmed(field).empty())
    table.refuse_value(column, "a value is missing", "fill it in, or leave out the row or the column");
  const auto number = number_of(field);
  if (!number || !std::isfinite(static_cast<float>(*number)))
    table.refuse_value(
        column, fmt::format("'{}' is not a {}", field, number ? "number that float32 can hold" : "number"), kTableHint);
  return static_cast<float>(*number);
}

/// The distinct texts of a column, numbered in the order in which they come.
class Texts {
 public:
  std::int64_t place_of(const std::string& text) {
    const auto [entry, added] = places_.try_emplace(text, static_cast<std::int64_t>(texts_.size()));
    if (added) texts_.push_back(text);
    return entry->second;
  }
  std::vector<std::string>& all() { return texts_; }

 private:
  std::unordered_map<std::string, std::int64_t> places_;
  std::vector<std::string> texts_;
};

/// The labels that these texts are, if all of them are numbers; `bad` is one that is not whole.
std::vector<std::int64_t> labels_of_numbers(const std::vector<std::string>& texts, std::string& bad) {
  constexpr double kMost = 9e15;
  std::vector<std::int64_t> labels;
  for (const std::string& text : texts) {
    const auto number = number_of(text);
    if (!number) return {};
    if (bad.empty() && (*number != std::floor(*number) || std::abs(*number) > kMost)) bad = text;
    labels.push_back(bad.empty() ? static_cast<std::int64_t>(*number) : 0);
  }
  return labels;
}

std::vector<std::int64_t> labels_of_names(const std::vector<std::string>& texts, std::vector<std::string>& sorted) {
  sorted = texts;
  std::ranges::sort(sorted);
  std::vector<std::int64_t> labels;
  for (const std::string& text : texts) labels.push_back(std::ranges::lower_bound(sorted, text) - sorted.begin());
  return labels;
}

}  // namespace

OpenArray open_table(const std::filesystem::path& file, const std::string& column, const std::string& left_out) {
  Table table(file);
  const std::vector<std::size_t> places =
      column.empty() ? table.places_without(left_out) : std::vector{table.place_of(column)};
  ScratchFile scratch(file);
  std::vector<float> row(places.size());
  std::uint64_t rows = 0;
  table.each([&](std::span<const std::string> fields) {
    for (std::size_t i = 0; i < places.size(); ++i) row[i] = value_of(table, fields, places[i]);
    scratch.write(std::as_bytes(std::span(row)));
    ++rows;
  });
  NpyHeader header{.descr = "<f4", .shape = {rows}};
  if (column.empty()) header.shape.push_back(places.size());
  return {std::move(scratch).finish(column.empty() ? file : std::filesystem::path(file.string() + ":" + column)),
          std::move(header), table.remark()};
}

LabelColumn open_label_column(const std::filesystem::path& file, const std::string& column) {
  Table table(file);
  const std::size_t place = table.place_of(column);
  ScratchFile scratch(file);
  Texts texts;
  std::uint64_t rows = 0;
  table.each([&](std::span<const std::string> fields) {
    const std::string text(trimmed(fields[place]));
    if (text.empty()) table.refuse_value(place, "a label is missing", "fill it in, or leave out the row");
    const std::int64_t number = texts.place_of(text);
    if (texts.all().size() > kMostLabels)
      table.refuse_value(place, fmt::format("the column has more than {} different labels", kMostLabels),
                         "name a column of classes");
    scratch.write(std::as_bytes(std::span(&number, 1)));
    ++rows;
  });
  LabelColumn found{std::move(scratch).finish(file.string() + ":" + column), rows, {}, {}};
  std::string bad;
  found.labels = labels_of_numbers(texts.all(), bad);
  if (found.labels.size() == texts.all().size() && !bad.empty())
    table.reader().refuse(fmt::format("the column '{}' holds '{}', which is not a class", column, bad),
                          "labels are whole numbers from 0 on, or names; targets that are not classes are not "
                          "supported: leave 'labels' out");
  if (found.labels.size() != texts.all().size()) found.labels = labels_of_names(texts.all(), found.names);
  return found;
}

}  // namespace tutti::images
