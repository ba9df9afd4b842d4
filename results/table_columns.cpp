#include "results/table_columns.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/nearest.hpp"

namespace tutti::images {
namespace {

using What = TableColumn::What;

constexpr std::string_view kScoreOf = "score:";
constexpr std::array<std::pair<std::string_view, What>, 8> kWords{{{"id", What::id},
                                                                   {"file", What::file},
                                                                   {"path", What::path},
                                                                   {"number", What::number},
                                                                   {"label", What::label},
                                                                   {"class", What::class_},
                                                                   {"score", What::score},
                                                                   {"classes", What::scores_all}}};

constexpr const char* kHint = "write --csv id,label, or --csv image=id,breed=label, or --csv id,classes";

[[noreturn]] void refuse_column(const std::string& message, const std::string& near = {}) {
  std::vector<std::string> words;
  for (const auto& [word, what] : kWords) words.emplace_back(word);
  throw Error(ErrorKind::usage, "--csv: " + message,
              fmt::format("columns are {} and score:CLASS, each with HEADER= before it if it is to be called otherwise",
                          fmt::join(words, ", ")),
              near.empty() ? kHint : fmt::format("did you mean '{}'?", near));
}

TableColumn parse_column(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view what = equals == text.npos ? text : text.substr(equals + 1);
  const bool named = equals != text.npos;
  TableColumn column{std::string(named ? text.substr(0, equals) : what), What::id};
  if (what.empty() || (named && equals == 0)) refuse_column(fmt::format("'{}' is not a column", text));
  if (what.starts_with(kScoreOf) && what.size() > kScoreOf.size()) {
    column.what = What::score_of;
    column.class_name = what.substr(kScoreOf.size());
    if (!named) column.header = column.class_name;
    return column;
  }
  const auto word = std::ranges::find(kWords, what, [](const auto& one) { return one.first; });
  if (word == kWords.end()) {
    std::vector<std::string> words;
    for (const auto& [known, unused] : kWords) words.emplace_back(known);
    refuse_column(fmt::format("there is no column '{}'", what), nearest(what, words));
  }
  column.what = word->second;
  if (column.what == What::scores_all && !named) column.header.clear();
  return column;
}

std::optional<std::uint32_t> number_in(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

void check_distinct(What what, const Source& names) {
  std::unordered_map<std::string, std::uint64_t> seen;
  for (std::uint64_t image = 0; image < names.count(); ++image) {
    const auto [first, added] = seen.emplace(image_text(what, names, image), image);
    if (!added)
      throw Error(ErrorKind::usage, fmt::format("--csv: two images would be called '{}'", first->first),
                  fmt::format("{} and {}", names.image_name(first->second), names.image_name(image)),
                  "write 'path' instead, which has the folder and the ending: --csv image=path,label");
  }
}

}  // namespace

std::vector<TableColumn> parse_columns(std::string_view list) {
  std::vector<TableColumn> columns;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    columns.push_back(parse_column(list.substr(at, end - at)));
    at = end + 1;
  }
  for (std::size_t later = 1; later < columns.size(); ++later)
    for (std::size_t first = 0; first < later; ++first)
      if (columns[first].header == columns[later].header)
        refuse_column(columns[first].header.empty()
                          ? "'classes' is there twice"
                          : fmt::format("two columns would be called '{}'", columns[first].header));
  return columns;
}

std::vector<TableColumn> asked_columns(std::string_view list) {
  return list.empty() ? std::vector<TableColumn>() : parse_columns(list);
}

std::uint32_t class_of(const TableColumn& column, const Source& names, std::uint32_t classes) {
  std::vector<std::string> known;
  for (std::uint32_t label = 0; label < classes; ++label) {
    known.push_back(names.class_name(label));
    if (known.back() == column.class_name) return label;
  }
  if (const auto number = number_in(column.class_name); number && *number < classes) return *number;
  const std::string near = nearest(column.class_name, known);
  throw Error(
      ErrorKind::usage, fmt::format("--csv: there is no class '{}'", column.class_name),
      known.empty() || known.front().empty()
          ? fmt::format("the classes have no names, only the numbers 0 to {}", classes - 1)
          : fmt::format("the classes are {}{}",
                        fmt::join(known.begin(), known.begin() + std::min<std::ptrdiff_t>(std::ssize(known), 20), ", "),
                        known.size() > 20 ? ", ..." : ""),
      near.empty() ? "name a class as 'classes' does, or by its number" : fmt::format("did you mean '{}'?", near));
}

std::string image_text(What what, const Source& names, std::uint64_t image) {
  const std::string name = what == What::number ? std::string() : names.image_name(image);
  if (name.empty()) return std::to_string(image);
  const std::filesystem::path path(name);
  if (what == What::id) return path.stem().string();
  return what == What::file ? path.filename().string() : name;
}

void check_columns(const std::vector<TableColumn>& columns, const Source& names, std::uint32_t classes) {
  for (const TableColumn& column : columns) {
    if (column.what == What::score_of) class_of(column, names, classes);
    if (column.what == What::id || column.what == What::file) check_distinct(column.what, names);
  }
}

void check_table(const std::vector<TableColumn>& columns, bool has_table, const Source& source, std::uint32_t classes) {
  if (!has_table)
    throw Error(ErrorKind::usage, "--csv needs predictions of one class per image, and these are not",
                "rule none, tiles, masks, numbers, features and 'activation: sigmoid' have no predictions.csv",
                "leave --csv out, and read predictions.npy");
  check_columns(columns, source, classes);
}

}  // namespace tutti::images
