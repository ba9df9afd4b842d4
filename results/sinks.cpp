// Sinks that write results to files and to memory.
#include "results/sinks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <system_error>
#include <utility>

#include "common/dangling_link.hpp"
#include "results/masks.hpp"

namespace tutti::images {
namespace {

template <class Value>
void append(std::vector<Value>& to, std::span<const Value> from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// Of the array with a prediction for each image.
std::vector<std::uint64_t> all_sizes(std::uint64_t images, const Dims& shape) {
  std::vector<std::uint64_t> sizes{images};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return sizes;
}

void check_masks_of(const ResultForm& form, const Source* names) {
  std::vector<std::string> all;
  for (std::uint64_t image = 0; names != nullptr && image < form.images; ++image)
    all.push_back(names->image_name(image));
  check_own_files(all);
}

}  // namespace

void check_file_name(const std::string& member) {
  if (member.empty() || member == "." || member == ".." || member.find('/') != member.npos)
    throw Error(ErrorKind::usage, fmt::format("cannot save the predictions of member \"{}\"", member),
                "its name cannot be the name of a file", "rename the member, or do not set 'save_members'");
}

NpySink::NpySink(const std::filesystem::path& folder, const ResultForm& form, const Source* names,
                 Unfinished unfinished)
    : folder_(folder), form_(form), names_(names) {
  if (form.masks) check_masks_of(form, names);
  for (const ResultForm::Member& member : form.members) check_file_name(member.name);
  if (form.shape)
    predictions_.emplace(folder / "predictions.npy", NpyType::float32, all_sizes(form.images, *form.shape), unfinished);
  if (form.decided)
    predicted_.emplace(folder / "predicted.npy", NpyType::int64, all_sizes(form.images, *form.decided), unfinished);
  if (form.spread)
    spread_.emplace(folder / "spread.npy", NpyType::float32, all_sizes(form.images, *form.spread), unfinished);
  if (form.labels) labels_.emplace(folder / "labels.npy", NpyType::int64, std::vector{form.images}, unfinished);
  if (form.decided && form.decided->empty() && names != nullptr)
    table_.emplace(folder / "predictions.csv", *names, static_cast<std::uint32_t>(elements_of(form.shape.value())),
                   form.columns);
  if (form.members.empty()) return;
  const std::filesystem::path members = folder / "members";
  std::error_code code;
  if (std::filesystem::create_directory(members, code)) members_folder_.created = members;
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not create the folder {}", members.string()), code.message(),
                dangling_link(members));
  for (const ResultForm::Member& member : form.members)
    members_.emplace_back(members / (member.name + ".npy"), NpyType::float32, all_sizes(form.images, member.shape),
                          unfinished);
}

NpySink::MembersFolder::~MembersFolder() {
  std::error_code not_empty;
  if (!created.empty()) std::filesystem::remove(created, not_empty);
}

void NpySink::write(const SegmentResult& result) {
  if (predictions_) predictions_->write_rows(result.first, result.values);
  if (predicted_) predicted_->write_rows(result.first, result.predicted);
  if (spread_) spread_->write_rows(result.first, result.spread);
  assert(members_.empty() || members_.size() == result.members.size());
  for (std::size_t i = 0; i < members_.size(); ++i) members_[i].write_rows(result.first, result.members[i].values);
  if (labels_) labels_->write_rows(result.first, result.labels);
  if (table_) table_->write(result);
  if (form_.masks) write_masks(result);
  images_ += result.count;
  if (needs_labels()) last_labels_.assign(result.labels.begin(), result.labels.end());
}

bool NpySink::needs_labels() const { return table_ && names_->labelled(); }

void NpySink::write_segment(SumWriter& out) const {
  for (const std::int64_t label : last_labels_) out.count(static_cast<std::uint64_t>(label));
}

void NpySink::read_segment(std::uint64_t first, std::uint32_t count, SumReader& in) {
  last_labels_.resize(needs_labels() ? count : 0);
  // Only the names of classes are asked for by number, and those have one that fits.
  for (std::int64_t& label : last_labels_)
    label = static_cast<std::int64_t>(in.count(std::numeric_limits<std::uint32_t>::max()));
  if (table_ || form_.masks) {
    SegmentResult result = read_combined(first, count);
    // The file was checked when the run was continued, and could have been changed since.
    if (std::ranges::any_of(result.predicted, [&](std::int64_t label) { return label >= std::int64_t{result.width}; }))
      throw SumMisfit{};
    result.labels = last_labels_;
    if (table_) table_->write(result);
    if (form_.masks) write_masks(result);
  }
  images_ += count;
}

SegmentResult NpySink::read_combined(std::uint64_t first, std::uint32_t count) {
  SegmentResult result;
  result.first = first;
  result.count = count;
  if (predictions_) {
    result.width = static_cast<std::uint32_t>(predictions_->row_values());
    read_.values.resize(count * predictions_->row_values());
    predictions_->read_rows(first, std::span(read_.values));
    result.values = read_.values;
  }
  if (predicted_) {
    read_.predicted.resize(count * predicted_->row_values());
    predicted_->read_rows(first, std::span(read_.predicted));
    result.predicted = read_.predicted;
  }
  return result;
}

SegmentResult NpySink::read(std::uint64_t first, std::uint32_t count) {
  SegmentResult result = read_combined(first, count);
  if (spread_) {
    read_.spread.resize(count * spread_->row_values());
    spread_->read_rows(first, std::span(read_.spread));
    result.spread = read_.spread;
  }
  read_.of_members.resize(members_.size());
  read_.members.clear();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    read_.of_members[i].resize(count * members_[i].row_values());
    members_[i].read_rows(first, std::span(read_.of_members[i]));
    read_.members.push_back({static_cast<std::uint32_t>(members_[i].row_values()), read_.of_members[i], true});
  }
  result.members = read_.members;
  return result;
}

void NpySink::keep(bool yes) {
  for (NpyWriter* writer : writers()) writer->keep(yes);
}

void NpySink::write_masks(const SegmentResult& result) {
  const Dims& sizes = form_.decided.value();
  const std::uint64_t pixels = elements_of(sizes);
  for (std::uint64_t image = 0; image < result.count; ++image) {
    const std::uint64_t number = result.first + image;
    const std::string name =
        file_name_of(names_ != nullptr ? names_->image_name(number) : std::string(), number, form_.images);
    PalettePng mask(own_file(folder_ / "masks", name, ".png"), sizes[0], sizes[1]);
    write_classes(mask, result.predicted.subspan(image * pixels, pixels));
    mask.finish();
  }
}

// predictions.npy is last: if it is there, all files are.
std::vector<NpyWriter*> NpySink::writers() {
  std::vector<NpyWriter*> all;
  for (NpyWriter& member : members_) all.push_back(&member);
  if (labels_) all.push_back(&*labels_);
  if (spread_) all.push_back(&*spread_);
  if (predicted_) all.push_back(&*predicted_);
  if (predictions_) all.push_back(&*predictions_);
  return all;
}

void NpySink::finish() {
  if (form_.masks) sync_masks(folder_ / "masks");
  if (table_) table_->finish();
  for (NpyWriter* writer : writers()) writer->finish();
  remove_partial_files();
}

void NpySink::finish_and_stay() {
  if (table_) table_->finish();
  for (NpyWriter* writer : writers()) writer->finish_and_stay();
  remove_partial_files();
}

void NpySink::finish_partial() {
  if (images_ == 0) return;
  if (form_.masks) sync_masks(folder_ / "masks");
  if (table_) table_->finish_partial(partial_of(table_->path()));
  for (NpyWriter* writer : writers()) writer->finish_partial(partial_of(writer->path()), images_);
}

void NpySink::remove_partial_files() {
  std::vector<std::filesystem::path> partial{
      partial_of(folder_ / "predictions.npy"), partial_of(folder_ / "predicted.npy"),
      partial_of(folder_ / "labels.npy"), partial_of(folder_ / "predictions.csv"), partial_of(folder_ / "spread.npy")};
  for (const NpyWriter& member : members_) partial.push_back(partial_of(member.path()));
  for (const std::filesystem::path& file : partial) {
    // A member may be called "cnn.partial": its file is not the partial file of member "cnn".
    const bool is_result =
        std::any_of(members_.begin(), members_.end(), [&](const NpyWriter& member) { return member.path() == file; });
    if (!is_result) remove_partial(file);
  }
}

MemorySink::MemorySink(const ResultForm& form) {
  if (form.shape) {
    predictions_.shape = *form.shape;
    predictions_.width = static_cast<std::uint32_t>(elements_of(*form.shape));
    predictions_.values.reserve(form.images * predictions_.width);
  }
  if (form.decided) {
    predictions_.predicted_shape = *form.decided;
    predictions_.predicted.reserve(form.images * elements_of(*form.decided));
  }
  if (form.spread) {
    predictions_.spread_shape = *form.spread;
    predictions_.spread.reserve(form.images * elements_of(*form.spread));
  }
  for (const ResultForm::Member& member : form.members) {
    const auto width = static_cast<std::uint32_t>(elements_of(member.shape));
    predictions_.members.push_back({member.name, member.shape, width, {}});
    predictions_.members.back().values.reserve(form.images * width);
  }
}

void MemorySink::write(const SegmentResult& result) {
  assert(result.first == predictions_.count);
  predictions_.count += result.count;
  append(predictions_.values, result.values);
  append(predictions_.predicted, result.predicted);
  append(predictions_.spread, result.spread);
  if (auto lacks = result.incomplete()) predictions_.incomplete.push_back(std::move(*lacks));
  assert(predictions_.members.empty() || predictions_.members.size() == result.members.size());
  for (std::size_t i = 0; i < predictions_.members.size(); ++i)
    append(predictions_.members[i].values, result.members[i].values);
}

Predictions MemorySink::take() { return std::exchange(predictions_, {}); }

}  // namespace tutti::images
