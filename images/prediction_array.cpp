#include "images/prediction_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "common/saved_values.hpp"

namespace tutti::images {
namespace {

constexpr std::string_view kPredictions = "predictions";
constexpr std::array<std::string_view, 3> kFloats{"<f4", "<f2", "<f8"};

std::string hint_for(const NpyHeader& header) {
  const char kind = kind_of_elements(header);
  if (kind == 'i' || kind == 'u' || kind == 'b')
    return "give the scores of all classes, not the numbers of classes that were decided for";
  return "save them with numpy.save(path, numpy.ascontiguousarray(p.astype('float32')))";
}

/// The sizes of a prediction. Throws if there is none, or if they are not those of a prediction.
Dims row_shape_of(const OpenArray& array) {
  const auto refuse = [&](std::string detail, std::string_view hint) {
    refuse_array(array.file.path(), kPredictions, std::move(detail), hint);
  };
  const auto& shape = array.header.shape;
  const std::string found = fmt::format("its shape is {}", array.header.shape_text());
  if (shape.empty() || shape.size() > tutti::kMaxRank + 1)
    refuse(found, fmt::format("the first axis counts the samples, and at most {} follow it", tutti::kMaxRank));
  if (shape[0] == 0) refuse(fmt::format("{}: it holds no predictions", found), "save them again");
  std::uint64_t width = 1;
  Dims dims;
  for (const std::uint64_t size : std::span(shape).subspan(1)) {
    if (size == 0 || size > std::numeric_limits<std::uint32_t>::max() / width)
      refuse(found, "a prediction has 1 to 2^32 values");
    width *= size;
    dims.push_back(static_cast<std::uint32_t>(size));
  }
  return dims;
}

RecordFile open(OpenArray array) {
  const std::size_t rank = array.header.shape.size();
  const std::string hint = hint_for(array.header);
  return open_rows(std::move(array), kPredictions, kFloats, rank, hint);
}

}  // namespace

PredictionArray::PredictionArray(const std::filesystem::path& written)
    : PredictionArray(written, open_array(written)) {}

PredictionArray::PredictionArray(const std::filesystem::path& written, OpenArray array)
    : path_(written),
      descr_(array.header.descr),
      row_shape_(row_shape_of(array)),
      width_(static_cast<std::uint32_t>(elements_of(row_shape_))),
      records_(open(std::move(array))) {}

void PredictionArray::read(std::uint64_t first, std::span<float> values) const {
  assert(values.size() % width_ == 0 && first * width_ + values.size() <= rows() * width_);
  if (descr_ == "<f4") return records_.copy_part(first, 0, std::as_writable_bytes(values));
  const std::size_t each = descr_ == "<f2" ? sizeof(std::uint16_t) : sizeof(double);
  bytes_.resize(values.size() * each);
  records_.copy_part(first, 0, bytes_);
  if (descr_ == "<f2") return floats_of_halves(bytes_, values);
  for_each_value<double>(bytes_, [&](std::size_t i, double wide) {
    if (std::isfinite(wide) && std::fabs(wide) > static_cast<double>(std::numeric_limits<float>::max()))
      refuse_array(path_, kPredictions,
                   fmt::format("value {} of prediction {} is {}, which float32 cannot hold", i % width_,
                               first + i / width_, wide),
                   "Tutti combines in float32; scale the values");
  });
  floats_of_doubles(bytes_, values);
}

}  // namespace tutti::images
