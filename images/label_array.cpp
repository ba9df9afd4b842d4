#include "images/label_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "common/array_path.hpp"
#include "common/counted.hpp"
#include "images/arrays.hpp"
#include "images/table.hpp"

namespace tutti::images {
namespace {

constexpr std::uint64_t kMostClasses = std::numeric_limits<std::int32_t>::max();
constexpr std::string_view kLabelsWhat = "labels";
constexpr std::array<std::string_view, 3> kLabelTypes{"<i8", "<i4", "|u1"};

/// The call that makes labels of the array, if there is one: nothing rounds what is not a class.
std::string labels_hint(const NpyHeader& header) {
  const auto& shape = header.shape;
  const bool one_each = shape.size() == 2 && shape[1] == 1;
  if (shape.size() > 1 && !one_each)
    return "one row per image in one-hot form is saved as y.argmax(1); if several labels per image may be right, set "
           "combine: {activation: sigmoid}";
  if (kind_of_elements(header) == 'f')
    return fmt::format(
        "if all values are whole numbers of classes, save y{}.astype('int64'); numbers that the members predict need "
        "combine: {{over: values}}",
        one_each ? "[:, 0]" : "");
  return fmt::format("save it with numpy.save(path, numpy.ascontiguousarray(y{}.astype('int64')))",
                     one_each ? "[:, 0]" : "");
}

template <class Integer>
Integer whole_number(std::span<const std::byte> record) {
  Integer number;
  std::memcpy(&number, record.data(), sizeof number);
  return number;
}

}  // namespace

LabelArray::LabelArray(const std::filesystem::path& written, std::uint64_t count, std::string_view noun,
                       std::uint32_t classes)
    : noun_(noun), limit_(classes == 0 ? kMostClasses : classes) {
  open(written);
  if (records_->count() != count)
    refuse_array(records_->path(), kLabelsWhat,
                 fmt::format("it has {} for {}", counted(records_->count(), "label"), counted(count, noun_)),
                 fmt::format("give one label per {}", noun_));
  if (names_.size() > limit_)
    refuse_array(records_->path(), kLabelsWhat,
                 fmt::format("it has {} different names, and 'classes' says {}", names_.size(), classes),
                 "correct 'classes', or leave it out");
  const std::int64_t largest = check_all();
  classes_ = classes == 0 ? static_cast<std::uint32_t>(largest + 1) : classes;
}

void LabelArray::open(const std::filesystem::path& written) {
  const ArrayPath path = array_path(written);
  if (format_of_array(path.file) == ArrayFormat::csv) {
    if (path.entry.empty())
      refuse_array(path.file, kLabelsWhat, "it is a table, and one of its columns holds the labels",
                   fmt::format("name the column: labels: {}:species", path.file.string()));
    LabelColumn column = open_label_column(path.file, path.entry);
    descr_ = kLabelTypes[0];
    records_.emplace(std::move(column.places), 0, sizeof(std::int64_t), column.rows);
    labels_ = std::move(column.labels);
    names_ = std::move(column.names);
    return;
  }
  OpenArray array = open_array(written);
  const std::string hint = labels_hint(array.header);
  descr_ = array.header.descr;
  records_.emplace(open_rows(std::move(array), kLabelsWhat, kLabelTypes, 1, hint));
}

void LabelArray::read(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels) {
  records_->read(indices, 0, [&](std::size_t i, std::span<const std::byte> record) {
    labels[i] = value(record);
    check(indices[i], labels[i]);
  });
}

std::int64_t LabelArray::value(std::span<const std::byte> record) const {
  if (descr_ == "<i4") return whole_number<std::int32_t>(record);
  if (descr_ == "|u1") return whole_number<std::uint8_t>(record);
  const auto number = whole_number<std::int64_t>(record);
  return labels_.empty() ? number : labels_.at(static_cast<std::size_t>(number));
}

void LabelArray::check(std::uint64_t index, std::int64_t label) const {
  if (label < 0 || static_cast<std::uint64_t>(label) >= limit_)
    refuse_array(records_->path(), kLabelsWhat,
                 fmt::format("the label of {} {} is {}, and labels are 0 to {}", noun_, index, label, limit_ - 1),
                 "number the classes from 0, or correct 'classes'");
}

std::int64_t LabelArray::check_all() {
  constexpr std::uint64_t kPart = 4096;
  std::vector<std::uint64_t> indices;
  std::vector<std::int64_t> labels;
  std::int64_t largest = -1;
  for (std::uint64_t first = 0; first < records_->count(); first += kPart) {
    indices.resize(std::min(kPart, records_->count() - first));
    labels.resize(indices.size());
    std::iota(indices.begin(), indices.end(), first);
    read(indices, labels);
    largest = std::max(largest, *std::ranges::max_element(labels));
  }
  return largest;
}

}  // namespace tutti::images
