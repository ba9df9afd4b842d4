#include "evaluation/run/run_files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <system_error>

#include "common/counted.hpp"
#include "results/blending.hpp"
#include "results/result_files.hpp"
#include "results/run_folder.hpp"

namespace tutti {
namespace {

/// What is kept of tiles, for the results to be blended of. To be compared with labels, the members are blended, too.
images::ResultForm form_of_tiles(images::ResultForm form, std::uint64_t tiles,
                                 const std::optional<images::TileLabels>& labels) {
  form.images = tiles;
  if (labels && form.members.empty())
    for (const Dims& member : labels->members) form.members.push_back({std::to_string(form.members.size()), member});
  form.decided.reset();
  form.labels = false;
  form.masks = false;
  return form;
}

}  // namespace

RunFiles::RunFiles(const std::filesystem::path& folder, const images::ResultForm& form, const Source& names,
                   const images::Tiling* tiling, const std::optional<images::TileLabels>& labels, bool continues)
    : tiles_(folder / images::kTilesFolder) {
  const Unfinished unfinished = continues ? Unfinished::continues : Unfinished::stays;
  if (tiling == nullptr) {
    rows_ = std::make_unique<images::NpySink>(folder, form, &names, unfinished);
    return;
  }
  blended_ = std::make_unique<images::BlendingSink>(folder, form, *tiling, labels);
  rows_ = std::make_unique<images::NpySink>(images::make_run_folder(tiles_, {}),
                                            form_of_tiles(form, tiling->count(), labels), nullptr, unfinished);
}

// A folder that holds something is not removed. The folders of results stay.
RunFiles::~RunFiles() {
  rows_.reset();
  std::error_code not_empty;
  if (!blended_) return;
  std::filesystem::remove(tiles_ / "members", not_empty);
  std::filesystem::remove(tiles_, not_empty);
}

std::vector<images::NpyWriter*> RunFiles::arrays() const {
  std::vector<images::NpyWriter*> all = rows_->writers();
  if (rules_ != nullptr && rules_->writer() != nullptr) all.push_back(rules_->writer());
  return all;
}

Discarded RunFiles::check(images::Journal& journal) {
  const std::vector<images::NpyWriter*> all = arrays();
  std::map<std::string, std::uint64_t> reasons;
  Discarded discarded;
  for (const std::uint64_t segment : journal.finished()) {
    const std::uint64_t first = segment * journal.header().segment_images;
    const std::uint32_t count = journal.header().count_of(segment);
    const std::vector<std::uint32_t> checksums = journal.record(segment).checksums;
    if (checksums.size() != all.size()) throw journal.misfit(segment);
    std::string reason;
    for (std::size_t i = 0; i < all.size() && reason.empty(); ++i)
      reason = all[i]->mismatch(first, count, checksums[i]);
    if (reason.empty()) {
      for (images::NpyWriter* array : all) array->note_rows(first, count);
      continue;
    }
    ++discarded.segments;
    ++reasons[reason];
    journal.forget(segment);
  }
  std::vector<std::string> texts;
  for (const auto& [reason, segments] : reasons)
    texts.push_back(fmt::format("{} ({})", reason, counted(segments, "segment")));
  discarded.reasons = fmt::format("{}", fmt::join(texts, "; "));
  return discarded;
}

void RunFiles::write(const SegmentResult& result) {
  rows_->write(result);
  if (blended_) blended_->write(result);
}

std::vector<std::uint32_t> RunFiles::checksums() const {
  std::vector<std::uint32_t> all;
  for (const images::NpyWriter* array : arrays()) all.push_back(array->checksum());
  return all;
}

void RunFiles::write_segment(images::SumWriter& out) const {
  if (rules_ != nullptr) rules_->write_segment(out);
  rows_->write_segment(out);
}

void RunFiles::read_segment(const SegmentResult& result, images::SumReader& in) {
  if (rules_ != nullptr) rules_->read_segment(result, in);
  rows_->read_segment(result.first, result.count, in);
  if (blended_) blended_->write(rows_->read(result.first, result.count));
}

void RunFiles::finish(bool whole) {
  images::ResultSink& results = blended_ ? *blended_ : static_cast<images::ResultSink&>(*rows_);
  if (whole) {
    if (rules_ != nullptr) rules_->finish();
    results.finish();
  } else {
    if (rules_ != nullptr) rules_->finish_and_stay();
    results.finish_and_stay();
  }
}

void RunFiles::finish_partial() {
  if (rules_ != nullptr) rules_->finish_partial();
  if (blended_)
    blended_->finish_partial();
  else
    rows_->finish_partial();
}

void RunFiles::keep(bool yes) {
  for (images::NpyWriter* array : arrays()) array->keep(yes);
}

}  // namespace tutti
