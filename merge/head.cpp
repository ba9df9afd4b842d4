#include "merge/head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/json.hpp"
#include "common/nearest.hpp"
#include "merge/safetensors.hpp"

namespace tutti::merge {
namespace {

constexpr std::array<std::string_view, 4> kTensors{"weight", "bias", "projection", "scale"};
constexpr const char* kWriteHead = "write the head with 'python -m tutti.export head'";

[[noreturn]] void refuse_head(const std::filesystem::path& file, std::string detail, std::string hint = kWriteHead) {
  throw Error(ErrorKind::usage, fmt::format("{} is not a head", file.string()), std::move(detail), std::move(hint));
}

/// A float32 tensor with `extents` dimensions, none of them 0.
std::vector<float> floats(const std::filesystem::path& file, const TensorView& tensor, std::size_t extents) {
  if (tensor.dtype != Dtype::f32)
    refuse_head(file, fmt::format("tensor {} is {}, and must be F32", tensor.name, dtype_name(tensor.dtype)));
  if (tensor.shape.size() != extents || tensor.bytes.empty())
    refuse_head(file, fmt::format("tensor {} has the shape {}, and must have {} dimensions, none of them 0",
                                  tensor.name, shape_text(tensor.shape), extents));
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
    refuse_head(file, fmt::format("tensor {} holds NaN or infinity", tensor.name));
  return values;
}

std::uint32_t extent(const TensorView& tensor, std::size_t axis) {
  return static_cast<std::uint32_t>(tensor.shape[axis]);
}

void check_names(const std::filesystem::path& file, const Safetensors& tensors) {
  if (!tensors.contains("weight"))
    refuse_head(file,
                fmt::format("it has no tensor weight; it has {}",
                            tensors.names().empty() ? "none" : fmt::format("{}", fmt::join(tensors.names(), ", "))));
  static const std::vector<std::string> known(kTensors.begin(), kTensors.end());
  for (const std::string& name : tensors.names()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string close = nearest(name, known);
    refuse_head(file, fmt::format("a head has no tensor {}", name),
                close.empty() ? kWriteHead : fmt::format("did you mean {}?", close));
  }
}

std::vector<std::string> parse_class_names(const std::filesystem::path& file, const std::string& text) {
  json::value parsed;
  try {
    parsed = parse_json(text, "the list of classes in its metadata");
  } catch (const Error& error) {
    refuse_head(file, fmt::format("{}: {}", error.message(), error.detail()));
  }
  std::vector<std::string> names;
  if (!parsed.is_array()) refuse_head(file, "the classes in its metadata are not a list of names");
  for (const json::value& name : parsed.as_array()) {
    if (!name.is_string()) refuse_head(file, "the classes in its metadata are not a list of names");
    names.emplace_back(name.as_string());
  }
  return names;
}

bool parse_normalize(const std::filesystem::path& file, const std::string& text) {
  if (text != "true" && text != "false")
    refuse_head(file, fmt::format("normalize in its metadata must be true or false, not '{}'", text));
  return text == "true";
}

// These lanes fix the order of the sums. The compiler may put them into one register, and need not reorder anything.
constexpr std::size_t kLanes = 16;

float dot(const float* a, const float* b, std::size_t count) {
  std::array<float, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  for (std::size_t lane = 0; i + lane < count; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

}  // namespace

Head Head::read(const std::filesystem::path& file) {
  const Safetensors tensors = Safetensors::read(file);
  check_names(file, tensors);
  Head head;
  head.file_ = file;
  const TensorView weight = tensors.tensor("weight");
  head.weight_ = floats(file, weight, 2);
  head.classes_ = extent(weight, 0);
  head.width_ = extent(weight, 1);
  head.features_ = head.width_;
  if (tensors.contains("projection")) {
    const TensorView projection = tensors.tensor("projection");
    head.projection_ = floats(file, projection, 2);
    head.features_ = extent(projection, 1);
    if (extent(projection, 0) != head.width_)
      refuse_head(file,
                  fmt::format("the projection {} gives {}, and the weight {} takes {}", shape_text(projection.shape),
                              counted(extent(projection, 0), "value"), shape_text(weight.shape), head.width_));
  }
  if (tensors.contains("bias")) {
    head.bias_ = floats(file, tensors.tensor("bias"), 1);
    if (head.bias_.size() != head.classes_)
      refuse_head(file, fmt::format("the bias has {} for {}", counted(head.bias_.size(), "value"),
                                    counted(head.classes_, "class")));
  }
  if (tensors.contains("scale")) head.scale_ = floats(file, tensors.tensor("scale"), 0).front();
  head.read_metadata(tensors.metadata());
  return head;
}

void Head::read_metadata(const std::map<std::string, std::string>& metadata) {
  for (const auto& [key, text] : metadata) {
    if (key == "classes") class_names_ = parse_class_names(file_, text);
    if (key == "normalize") normalize_ = parse_normalize(file_, text);
    if (key == "tower") tower_ = text;
  }
  if (!class_names_.empty() && class_names_.size() != classes_)
    refuse_head(file_,
                fmt::format("it names {}, and its weight has {}", counted(class_names_.size(), "class"), classes_));
}

void Head::apply(std::span<const float> features, std::uint32_t count, std::span<float> logits) const {
  assert(features.size() == std::size_t{count} * features_);
  assert(logits.size() == std::size_t{count} * classes_);
  std::vector<float> projected(width_);
  for (std::size_t image = 0; image < count; ++image) {
    const float* from = features.data() + image * features_;
    if (projection_.empty())
      projected.assign(from, from + width_);
    else
      for (std::size_t i = 0; i < width_; ++i) projected[i] = dot(projection_.data() + i * features_, from, features_);
    if (normalize_) {
      const float length = std::sqrt(dot(projected.data(), projected.data(), width_));
      for (float& value : projected) value /= length;  // 0 / 0 is NaN: the vector has no direction
    }
    float* to = logits.data() + image * classes_;
    for (std::size_t label = 0; label < classes_; ++label) {
      to[label] = scale_ * dot(weight_.data() + label * width_, projected.data(), width_);
      if (!bias_.empty()) to[label] += bias_[label];
    }
  }
}

}  // namespace tutti::merge
