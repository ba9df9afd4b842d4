#include "images/prediction_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace tutti::images {
namespace {

constexpr std::string_view kPredictions = "predictions";
/// In the order of SavedType.
constexpr std::array<std::string_view, 4> kFloats{"<f2", "<f4", "<f8", kBfloat16};

std::string hint_for(const NpyHeader& header) {
  if (header.descr == kUntyped) return kUntypedHint;
  const char kind = kind_of_elements(header);
  if (kind == 'i' || kind == 'u' || kind == 'b')
    return "give the scores of all classes, not the numbers of classes that were decided for";
  return "save them with numpy.save(path, numpy.ascontiguousarray(p.astype('float32')))";
}

}  // namespace

FoundPredictions look_at_predictions(const OpenArray& array, std::uint64_t most_values) {
  const auto refuse = [&](std::string_view why, std::string_view hint) {
    refuse_array(array.file.path(), kPredictions,
                 fmt::format("its shape is {}, and {}", array.header.shape_text(), why), hint);
  };
  const std::vector<std::uint64_t>& shape = array.header.shape;
  if (shape.empty() || shape.size() > tutti::kMaxRank + 1)
    refuse("it is none of predictions",
           fmt::format("the first axis counts the samples, and at most {} follow it", tutti::kMaxRank));
  if (shape[0] == 0) refuse("so it holds no predictions", "save them again");
  FoundPredictions found;
  std::uint64_t width = 1;
  for (const std::uint64_t size : std::span(shape).subspan(1)) {
    if (size == 0 || size > most_values / width)
      refuse(fmt::format("a prediction has 1 to {} values", most_values),
             "save predictions with fewer axes, or fewer "
             "values along them");
    width *= size;
    found.shape.push_back(static_cast<std::uint32_t>(size));
  }
  // Other types are an error of open_predictions().
  if (const auto type = std::ranges::find(kFloats, array.header.descr); type != kFloats.end())
    found.type = static_cast<SavedType>(type - kFloats.begin());
  return found;
}

RecordFile open_predictions(OpenArray array) {
  const std::size_t rank = array.header.shape.size();
  const std::string hint = hint_for(array.header);
  return open_rows(std::move(array), kPredictions, kFloats, rank, hint);
}

PredictionArray::PredictionArray(const std::filesystem::path& written)
    : PredictionArray(written, open_array(written)) {}

PredictionArray::PredictionArray(const std::filesystem::path& written, OpenArray array)
    : path_(written),
      found_(look_at_predictions(array, std::numeric_limits<std::uint32_t>::max())),
      width_(static_cast<std::uint32_t>(elements_of(found_.shape))),
      records_(open_predictions(std::move(array))) {}

void PredictionArray::read(std::uint64_t first, std::span<float> values) const {
  assert(values.size() % width_ == 0 && first * width_ + values.size() <= rows() * width_);
  if (found_.type == SavedType::float32) return records_.copy_part(first, 0, std::as_writable_bytes(values));
  bytes_.resize(values.size() * size_of(found_.type));
  records_.copy_part(first, 0, bytes_);
  if (found_.type == SavedType::float64)
    for_each_value<double>(bytes_, [&](std::size_t i, double wide) {
      if (std::isfinite(wide) && std::fabs(wide) > static_cast<double>(std::numeric_limits<float>::max()))
        refuse_array(path_, kPredictions,
                     fmt::format("value {} of prediction {} is {}, which float32 cannot hold", i % width_,
                                 first + i / width_, wide),
                     "Tutti combines in float32; scale the values");
    });
  floats_of(found_.type, bytes_, values);
}

}  // namespace tutti::images
