#include "worker/row_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <utility>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/tensor_text.hpp"

namespace tutti::worker {
namespace {

std::atomic<bool> next_index_is_spoilt = false;

/// For messages: "e.yaml:5:9", or nothing.
std::string place_of_step(const MemberRequest& request, std::size_t step) {
  return step < request.step_places.size() ? request.step_places[step] : "";
}

/// What crop_boxes or reduce makes of a row of the model, for the steps behind it.
Dims dims_at(const MemberRequest& request, std::size_t at, const Dims& made) {
  return at == request.steps.size() ? made : dims_behind(std::span(request.steps).subspan(at, 1), made).value_or(made);
}

}  // namespace

const TensorLayout& picture_of(const MemberRequest& request) {
  return request.picture ? request.picture->seen : request.seen();
}

void reduce_rows(const ReduceStep& step, std::span<const float> rows, std::span<float> to) {
  const std::size_t width = to.size();
  TUTTI_CHECK(width > 0 && rows.size() % width == 0);
  if (rows.empty()) {
    std::ranges::fill(to, step.empty);
    return;
  }
  const std::size_t count = rows.size() / width;
  for (std::size_t value = 0; value < width; ++value) {
    double sum = 0;
    float most = rows[value];
    for (std::size_t row = 0; row < count; ++row) {
      const float next = rows[row * width + value];
      sum += static_cast<double>(next);
      if (next > most || std::isnan(next)) most = std::isnan(most) ? most : next;  // NaN stays NaN
    }
    to[value] = step.by == ReduceBy::mean ? static_cast<float>(sum / static_cast<double>(count)) : most;
  }
}

void spoil_next_index() { next_index_is_spoilt = true; }

bool RowWork::is_needed(const MemberRequest& request) {
  return request.fed_rows > 0 || rows_behind(request.steps, request.fed_rows) > 0;
}

RowWork::RowWork(const MemberRequest& request, const Dims& made)
    : made_width_(elements_of(made)),
      at_(first_row_step(request.steps)),
      most_(rows_behind(request.steps, request.fed_rows)),
      behind_(request, std::min(at_ + 1, request.steps.size()), request.steps.size(), dims_at(request, at_, made)) {
  if (const auto wrong = misplaced_row_step(request.steps, request.fed_rows)) {
    const std::string place = place_of_step(request, wrong->step);
    throw Error(ErrorKind::usage,
                fmt::format("{}{}step '{}': {}", place, place.empty() ? "" : ": ",
                            step_name(request.steps[wrong->step]), wrong->what),
                {}, wrong->hint);
  }
  if (std::uint64_t{most_} * elements_of(output()) > kMostRowValues)
    throw Error(ErrorKind::usage,
                fmt::format("up to {} rows of {} for each sample are more than {} values", most_, dims_text(output()),
                            kMostRowValues),
                {}, "lower 'max' of the step crop_boxes before it");
  if (at_ == request.steps.size()) return;
  if (const auto* step = std::get_if<CropBoxesStep>(&request.steps[at_]))
    crops_.emplace(*step, made, picture_of(request), place_of_step(request, at_));
  else
    reduce_ = std::get<ReduceStep>(request.steps[at_]);
}

void RowWork::begin(std::uint32_t samples, std::span<const std::uint32_t> counts, std::span<float> output) {
  TUTTI_CHECK(counts.empty() || counts.size() == samples);
  TUTTI_CHECK(output.size() == std::size_t{samples} * std::max(1U, most_) * elements_of(behind_.output()));
  samples_ = samples;
  taken_ = counts;
  output_ = output;
  rows_ = 0;
  counts_.clear();
  sum_ = 0;
  if (reduce_) before_.make_room(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * made_width_);
}

std::span<float> RowWork::room(std::uint32_t count) {
  const std::size_t values = count * made_width_;
  if (crops_) return {before_.make_room(values), values};
  if (reduce_) {
    const std::size_t all = std::accumulate(taken_.begin(), taken_.end(), std::size_t{0});
    return std::span(before_.make_room(all * made_width_), all * made_width_).subspan(rows_ * made_width_, values);
  }
  return output_.subspan(rows_ * made_width_, values);
}

void RowWork::add(std::uint32_t count, const float* pictures) {
  if (crops_) add_crops(count, pictures);
  rows_ += count;
}

void RowWork::add_crops(std::uint32_t count, const float* pictures) {
  const std::span<const float> outputs(before_.make_room(count * made_width_), count * made_width_);
  boxes_.clear();
  const std::size_t first = counts_.size();
  for (std::size_t sample = 0; sample < count; ++sample)
    counts_.push_back(crops_->choose(outputs.subspan(sample * made_width_, made_width_), boxes_));
  const std::size_t width = elements_of(behind_.output());
  const std::span<float> rows = output_.subspan(sum_ * width, boxes_.size() * width);
  const std::size_t size = elements_of(crops_->output());
  const std::span<float> room = behind_.room(boxes_.size(), rows);
  const std::size_t values = crops_->values_of_picture();
  std::size_t next = 0;
  for (std::size_t sample = 0; sample < count; ++sample)
    for (std::uint32_t row = 0; row < counts_[first + sample]; ++row, ++next)
      crops_->cut(boxes_[next], {pictures + sample * values, values}, room.subspan(next * size, size));
  behind_.apply(boxes_.size(), rows);
  sum_ += boxes_.size();
}

void RowWork::end() {
  if (reduce_) return reduce();
  if (crops_) return;
  counts_.assign(taken_.begin(), taken_.end());
  sum_ = rows_;
}

void RowWork::reduce() {
  const std::span<const float> all(before_.make_room(rows_ * made_width_), rows_ * made_width_);
  const std::span<float> room = behind_.room(samples_, output_);
  std::size_t first = 0;
  for (std::size_t sample = 0; sample < samples_; ++sample) {
    const std::size_t values = taken_[sample] * made_width_;
    reduce_rows(*reduce_, all.subspan(first, values), room.subspan(sample * made_width_, made_width_));
    first += values;
  }
  behind_.apply(samples_, output_);
  counts_.assign(samples_, 1);
  sum_ = samples_;
}

std::span<const float> RowWork::made() const { return output_.first(sum_ * elements_of(behind_.output())); }

RowIndex RowWork::index(SegmentId segment) const {
  RowIndex index{{segment.value(), samples_, static_cast<std::uint32_t>(sum_)}, counts_};
  if (next_index_is_spoilt.exchange(false) && !index.counts.empty()) index.counts.front() += most_ + 1;
  return index;
}

}  // namespace tutti::worker
