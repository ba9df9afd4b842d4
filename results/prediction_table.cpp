#include "results/prediction_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "common/unsigned_nan.hpp"

namespace tutti::images {
namespace {

bool names_its_images(const Source& source) { return source.count() > 0 && !source.image_name(0).empty(); }

/// Orders by score, the lower class first if scores are equal; NaN comes last.
bool stands_before(std::span<const float> scores, std::size_t a, std::size_t b) {
  const bool nan_a = std::isnan(scores[a]);
  const bool nan_b = std::isnan(scores[b]);
  if (nan_a != nan_b) return nan_b;
  if (!nan_a && scores[a] != scores[b]) return scores[a] > scores[b];
  return a < b;
}

/// `decided`, then the classes with the highest scores: `count` in all.
std::vector<std::size_t> best_classes(std::span<const float> scores, std::size_t decided, std::size_t count) {
  std::vector<std::size_t> best{decided};
  for (std::size_t label = 0; label < scores.size(); ++label) {
    if (label == decided) continue;
    auto place = best.end();
    while (place != best.begin() + 1 && stands_before(scores, label, *std::prev(place))) --place;
    if (place == best.end() && best.size() == count) continue;
    best.insert(place, label);
    if (best.size() > count) best.pop_back();
  }
  return best;
}

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"') quoted += letter;
    quoted += letter;
  }
  return quoted + "\"";
}

PredictionTable::PredictionTable(const std::filesystem::path& file, const Source& names, std::uint32_t width,
                                 std::vector<TableColumn> columns)
    : file_(file), names_(names), width_(width), shown_(std::min(width, kTableClasses)), columns_(std::move(columns)) {
  for (const TableColumn& column : columns_)
    scored_.push_back(column.what == TableColumn::What::score_of ? class_of(column, names, width) : 0);
  append_head();
  lines_ += '\n';
  file_.write(lines_);
  bytes_ = lines_.size();
}

void PredictionTable::append_head() {
  if (columns_.empty()) {
    lines_ = names_its_images(names_) ? "file" : "image";
    if (names_.labelled()) lines_ += ",label";
    for (std::uint32_t place = 1; place <= shown_; ++place) lines_ += fmt::format(",class_{0},score_{0}", place);
    return;
  }
  const auto add = [&](const std::string& header) { lines_ += (lines_.empty() ? "" : ",") + csv_field(header); };
  for (const TableColumn& column : columns_) {
    if (column.what != TableColumn::What::scores_all) {
      add(column.header);
      continue;
    }
    for (std::uint32_t label = 0; label < width_; ++label) add(column.header + class_text(label));
  }
}

void PredictionTable::write(const SegmentResult& result) {
  lines_.clear();
  for (std::uint32_t image = 0; image < result.count; ++image) append_line(result, image);
  file_.write(lines_);
  bytes_ += lines_.size();
}

void PredictionTable::append_column(std::size_t place, const SegmentResult& result, std::uint32_t image) {
  using What = TableColumn::What;
  const TableColumn& column = columns_[place];
  const std::int64_t decided = result.predicted[image];
  const std::span<const float> scores = result.values.subspan(std::size_t{image} * result.width, result.width);
  const auto add_score = [&](std::size_t label) {
    if (decided >= 0) fmt::format_to(std::back_inserter(lines_), "{}", unsigned_nan(scores[label]));
  };
  switch (column.what) {
    case What::id:
    case What::file:
    case What::path:
    case What::number:
      lines_ += csv_field(image_text(column.what, names_, result.first + image));
      break;
    case What::label:
      if (decided >= 0) append_class(decided);
      break;
    case What::class_:
      if (decided >= 0) lines_ += std::to_string(decided);
      break;
    case What::score:
      add_score(static_cast<std::size_t>(std::max<std::int64_t>(decided, 0)));
      break;
    case What::score_of:
      add_score(scored_[place]);
      break;
    case What::scores_all:
      for (std::uint32_t label = 0; label < width_; ++label) {
        if (label > 0) lines_ += ',';
        add_score(label);
      }
      break;
  }
}

void PredictionTable::append_line(const SegmentResult& result, std::uint32_t image) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) lines_ += ',';
    append_column(i, result, image);
  }
  if (!columns_.empty()) {
    lines_ += '\n';
    return;
  }
  const std::string name = names_.image_name(result.first + image);
  lines_ += name.empty() ? std::to_string(result.first + image) : csv_field(name);
  if (names_.labelled()) {
    lines_ += ',';
    append_class(result.labels[image]);
  }
  append_scores(result.values.subspan(std::size_t{image} * result.width, result.width), result.predicted[image]);
  lines_ += '\n';
}

std::string PredictionTable::class_text(std::int64_t label) const {
  const std::string name = names_.class_name(static_cast<std::uint32_t>(label));
  return name.empty() ? std::to_string(label) : name;
}

void PredictionTable::append_class(std::int64_t label) { lines_ += csv_field(class_text(label)); }

void PredictionTable::append_scores(std::span<const float> scores, std::int64_t predicted) {
  if (predicted < 0) {
    lines_.append(std::size_t{2} * shown_, ',');
    return;
  }
  assert(static_cast<std::size_t>(predicted) < scores.size());
  for (const std::size_t label : best_classes(scores, static_cast<std::size_t>(predicted), shown_)) {
    lines_ += ',';
    append_class(static_cast<std::int64_t>(label));
    fmt::format_to(std::back_inserter(lines_), ",{}", unsigned_nan(scores[label]));
  }
}

void PredictionTable::finish_partial(const std::filesystem::path& path) {
  file_.cut(bytes_);
  file_.commit_as(path);
}

}  // namespace tutti::images
