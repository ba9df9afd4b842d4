#include "evaluation/spread_sink.hpp"

#include <algorithm>
#include <limits>
#include <span>

#include "coordinator/decide/class_axis.hpp"
#include "coordinator/decide/spread.hpp"

namespace tutti {
namespace {

std::vector<std::uint64_t> sizes_of(std::uint64_t images, const Dims& shape) {
  std::vector<std::uint64_t> sizes{images};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return sizes;
}

}  // namespace

SpreadSink::SpreadSink(const std::filesystem::path& folder, const config::CombineSpec& combine, OnNan on_nan,
                       std::size_t members, const Dims& output, std::uint64_t images, Sink* next)
    : combine_(combine),
      on_nan_(on_nan),
      members_(members),
      output_(output),
      file_(folder / "spread.npy", images::NpyType::float32, sizes_of(images, spread_shape(combine, output))),
      next_(next) {}

void SpreadSink::write(const SegmentResult& result) {
  std::vector<std::span<const float>> answers;
  std::vector<bool> present;
  for (const MemberSegmentResult& member : result.members.first(members_)) {
    answers.push_back(member.values);
    present.push_back(member.present && !result.set_aside);
  }
  const std::uint64_t width = elements_of(spread_shape(combine_, output_));
  if (std::find(present.begin(), present.end(), true) == present.end()) {
    spread_.assign(result.count * width, std::numeric_limits<float>::quiet_NaN());
  } else {
    const bool entropy = spread_of(combine_) == Spread::entropy;
    const ClassAxis axis = entropy ? ClassAxis::of(output_, combine_.axis) : ClassAxis::of_row(elements_of(output_));
    spread(spread_of(combine_), answers, present, result.count, axis, spread_);
    if (on_nan_ != OnNan::allow) check_finite_spread(spread_, width, result.first);
  }
  file_.write(spread_);
  rows_ += result.count;
  if (next_ != nullptr) next_->write(result);
}

void SpreadSink::finish() {
  file_.finish();
  images::remove_partial(images::partial_of(file_.path()));
}

void SpreadSink::finish_partial() {
  if (rows_ > 0) file_.finish_partial(images::partial_of(file_.path()), rows_);
}

}  // namespace tutti
