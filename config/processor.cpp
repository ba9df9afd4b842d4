#include "config/processor.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/json.hpp"

namespace tutti::config {
namespace {

/// Image processors that only resize, crop, rescale and normalise, in this order, with the values of keys that a file
/// may leave out.
struct Family {
  std::string_view name;
  std::optional<bool> crops;  ///< nothing: versions of transformers differ
  std::int64_t resample;      ///< by Pillow's numbers
};
constexpr std::array<Family, 12> kFamilies{{{"CLIP", true, 3},
                                            {"ChineseCLIP", true, 3},
                                            {"Bit", true, 3},
                                            {"DeiT", true, 3},
                                            {"MobileNetV1", true, 2},
                                            {"MobileNetV2", true, 2},
                                            {"ViT", false, 2},
                                            {"Siglip", false, 3},
                                            {"Segformer", false, 2},
                                            {"Pvt", false, 2},
                                            {"Beit", std::nullopt, 3},
                                            {"ConvNext", false, 2}}};
constexpr Family kUnnamed{"", false, 2};  // files of old versions
constexpr std::array<std::string_view, 4> kClassEndings{"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil",
                                                        "FeatureExtractor"};
/// Keys of other processors that change pixels without being called do_...
constexpr std::array<std::string_view, 5> kChanging{"rescale_offset", "include_top", "keep_aspect_ratio",
                                                    "size_divisor", "apply_ocr"};
constexpr double kConvNextCrop = 224.0 / 256;

const Family* family_of(std::string_view name) {
  for (const Family& family : kFamilies)
    if (name.starts_with(family.name) &&
        std::ranges::find(kClassEndings, name.substr(family.name.size())) != kClassEndings.end())
      return &family;
  return nullptr;
}

constexpr std::array<std::string_view, 7> kKnownSteps{"do_resize", "do_center_crop", "do_rescale",      "do_normalize",
                                                      "do_pad",    "do_convert_rgb", "do_reduce_labels"};
constexpr std::int64_t kMostPixels = 1 << 20;  // of one side

class Processor {
 public:
  Processor(std::filesystem::path file, json::object config, ProcessorClasses classes)
      : file_(std::move(file)), config_(std::move(config)), classes_(classes) {}

  MemberInput input() {
    family_ = family();
    check_steps();
    MemberInput input;
    if (step("do_resize")) input.resize = resize();
    if (step("do_normalize")) {
      input.mean = numbers("image_mean");
      input.std = numbers("image_std");
    }
    return input;
  }

 private:
  [[noreturn]] void refuse(std::string what) const {
    throw Error(ErrorKind::usage, fmt::format("'{}': {}", file_.string(), what),
                "Tutti only resizes, crops, divides by 255 and normalises",
                "write the 'input' of this member; 'input: {}' if its images need nothing");
  }

  const json::value* find(std::string_view key) const {
    const json::value* value = config_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  bool is_true(std::string_view key) const {
    const json::value* value = find(key);
    return value != nullptr && value->is_bool() && value->get_bool();
  }

  /// All steps are on unless the file says otherwise.
  bool step(std::string_view key) const { return find(key) == nullptr || is_true(key); }

  /// Whether a crop follows.
  bool crops() const {
    if (find("do_center_crop") != nullptr) return is_true("do_center_crop");
    if (!family_.crops && step("do_resize"))
      refuse("'do_center_crop' is missing, and its default differs between versions of transformers");
    return family_.crops.value_or(false);
  }

  /// That of the class that the file names.
  Family family() const {
    const bool clip = classes_ == ProcessorClasses::clip;
    Family found = clip ? kFamilies.front() : kUnnamed;
    for (const char* key : {"feature_extractor_type", "image_processor_type"}) {
      const json::value* name = find(key);
      if (name == nullptr) continue;
      const Family* const named = name->is_string() ? family_of(name->get_string()) : nullptr;
      if (named == nullptr || (clip && named != &kFamilies.front()))
        refuse(fmt::format("'{}' is {}, {}", key, json::serialize(*name),
                           clip ? "not CLIP's" : "which may do more than resize, crop and normalise"));
      found = *named;
    }
    return found;
  }

  void check_steps() const {
    for (const auto& [key, value] : config_) {
      const bool known = std::ranges::find(kKnownSteps, std::string_view(key)) != kKnownSteps.end();
      if (std::string_view(key).starts_with("do_") && !known && is_true(key))
        refuse(fmt::format("'{}' is true", std::string_view(key)));
    }
    for (const std::string_view key : kChanging)
      if (const json::value* value = find(key); value != nullptr && *value != false && *value != 0)
        refuse(fmt::format("'{}' is {}", key, json::serialize(*value)));
    if (is_true("do_pad")) refuse("'do_pad' is true");
    if (!step("do_rescale")) refuse("'do_rescale' is false");
    if (!step("do_resize") && is_true("do_center_crop")) refuse("'do_center_crop' is true without 'do_resize'");
    if (const json::value* factor = find("rescale_factor"); factor != nullptr) {
      const double scale = number(*factor, "rescale_factor") * 255;
      if (std::abs(scale - 1) > 1e-6) refuse(fmt::format("'rescale_factor' is {}", json::serialize(*factor)));
    }
  }

  Resize resize() const {
    const json::value& size = at("size");
    Resize resize;
    resize.interpolation = interpolation();
    std::tie(resize.height, resize.width) = sides(size, "size");
    if (family_.name == "ConvNext" || find("crop_pct") != nullptr) return enlarged(resize);
    // A bare number, of old files: the shorter side if a crop follows.
    const bool edge = size.is_object() && size.get_object().contains("shortest_edge");
    const bool cropped = crops();
    resize.rule = edge || (!size.is_object() && cropped) ? ResizeRule::shorter : ResizeRule::exact;
    if (cropped) {
      const json::value* crop = find("crop_size");
      std::tie(resize.crop_height, resize.crop_width) = sides(crop == nullptr ? size : *crop, "crop_size");
      resize.crop_rounding = CropRounding::floor;  // as all processors of transformers crop
    }
    return resize;
  }

  /// ConvNeXt: below 384 the image is made larger first, and cropped.
  Resize enlarged(Resize resize) const {
    const std::uint32_t edge = resize.height;
    resize.rule = ResizeRule::exact;
    resize.width = edge;
    if (edge >= 384) return resize;
    const json::value* part = find("crop_pct");
    const double kept = part == nullptr ? kConvNextCrop : number(*part, "crop_pct");
    if (!(kept > 0 && kept <= 1)) refuse(fmt::format("'crop_pct' is {}", json::serialize(*part)));
    resize.rule = ResizeRule::shorter;
    resize.height = resize.width = static_cast<std::uint32_t>(edge / kept);
    resize.crop_height = resize.crop_width = edge;
    resize.crop_rounding = CropRounding::floor;
    return resize;
  }

  Interpolation interpolation() const {
    const json::value* named = find("resample");
    const json::value number = named == nullptr ? json::value(family_.resample) : *named;
    if (number == 3) return Interpolation::bicubic;
    if (number == 2) return Interpolation::bilinear;
    if (number == 0) return Interpolation::nearest;
    refuse(fmt::format("'resample' is {}, and 0, 2 and 3 can be computed", json::serialize(number)));
  }

  /// Height and width.
  std::pair<std::uint32_t, std::uint32_t> sides(const json::value& size, const char* key) const {
    if (!size.is_object()) return {side(size, key), side(size, key)};
    const json::object& fields = size.get_object();
    if (const json::value* edge = fields.if_contains("shortest_edge"); edge != nullptr)
      return {side(*edge, key), side(*edge, key)};
    const json::value* height = fields.if_contains("height");
    const json::value* width = fields.if_contains("width");
    if (height == nullptr || width == nullptr) refuse(fmt::format("'{}' is {}", key, json::serialize(size)));
    return {side(*height, key), side(*width, key)};
  }

  std::uint32_t side(const json::value& value, const char* key) const {
    json::error_code code;
    const auto number = value.to_number<std::int64_t>(code);
    if (code || number < 1 || number > kMostPixels) refuse(fmt::format("'{}' is {}", key, json::serialize(value)));
    return static_cast<std::uint32_t>(number);
  }

  double number(const json::value& value, const char* key) const {
    json::error_code code;
    const auto found = value.to_number<double>(code);
    if (code) refuse(fmt::format("'{}' is {}", key, json::serialize(value)));
    return found;
  }

  std::vector<float> numbers(const char* key) const {
    const json::value& list = at(key);
    if (!list.is_array()) refuse(fmt::format("'{}' is {}", key, json::serialize(list)));
    std::vector<float> found;
    for (const json::value& value : list.get_array()) found.push_back(static_cast<float>(number(value, key)));
    return found;
  }

  const json::value& at(const char* key) const {
    const json::value* value = find(key);
    if (value == nullptr) refuse(fmt::format("'{}' is missing", key));
    return *value;
  }

  std::filesystem::path file_;
  json::object config_;
  ProcessorClasses classes_;
  Family family_ = kUnnamed;
};

/// Nothing if there is no such file.
std::optional<json::object> object_in(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  json::value parsed = parse_json(read_text(file, "the configuration of the image processor"), file.string());
  if (!parsed.is_object()) throw Error(ErrorKind::usage, fmt::format("{} is not a JSON object", file.string()));
  return std::move(parsed.get_object());
}

}  // namespace

std::optional<MemberInput> processor_input(const std::filesystem::path& folder, ProcessorClasses classes) {
  const std::filesystem::path whole = folder / "processor_config.json";
  if (auto processor = object_in(whole))
    if (json::value* inner = processor->if_contains("image_processor"); inner != nullptr && inner->is_object())
      return Processor(whole, std::move(inner->get_object()), classes).input();
  const std::filesystem::path file = folder / "preprocessor_config.json";
  auto processor = object_in(file);
  return processor ? std::optional(Processor(file, std::move(*processor), classes).input()) : std::nullopt;
}

}  // namespace tutti::config
