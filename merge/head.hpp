// A head turns the features of a tower into the logits of one task. Read from safetensors, computed in plain C++, so
// that coordinator and worker share it. No tower, no text.
//
// The file (`python -m tutti.export head` writes it; all float32, row-major):
//   weight      [classes, width]    for CLIP: the normalised text embeddings
//   bias        [classes]           optional
//   projection  [width, features]   optional: applied first (CLIP's visual_projection)
//   scale       []                  optional, default 1: factor of weight x features (CLIP's exp(logit_scale));
//                                   the bias is added after it, as SigLIP does
// metadata: `classes`, a JSON list of names; `normalize`, "true" if features are divided by their length after the
// projection; `tower`, what the text embeddings were made with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tutti::merge {

class Head {
 public:
  /// Throws Error(usage) that names the file and what is missing or does not fit.
  static Head read(const std::filesystem::path& file);

  std::uint32_t features() const noexcept { return features_; }  ///< values per image that it takes
  std::uint32_t classes() const noexcept { return classes_; }    ///< values per image that it gives
  const std::vector<std::string>& class_names() const noexcept { return class_names_; }  ///< empty: not known
  const std::string& tower() const noexcept { return tower_; }                           ///< empty: not known
  const std::filesystem::path& file() const noexcept { return file_; }

  /// Its parts, as the file has them: see above.
  std::uint32_t width() const noexcept { return width_; }
  std::span<const float> weight() const noexcept { return weight_; }
  std::span<const float> bias() const noexcept { return bias_; }              ///< empty: none
  std::span<const float> projection() const noexcept { return projection_; }  ///< empty: none, and width is features
  float scale() const noexcept { return scale_; }
  bool normalizes() const noexcept { return normalize_; }

  /// `logits` [count, classes] of `features` [count, features]; float32 sums in a fixed order, so the same bits
  /// for any count. Features of length 0 give NaN, as in Python.
  void apply(std::span<const float> features, std::uint32_t count, std::span<float> logits) const;

 private:
  Head() = default;
  void read_metadata(const std::map<std::string, std::string>& metadata);

  std::filesystem::path file_;
  std::uint32_t features_ = 0;
  std::uint32_t width_ = 0;
  std::uint32_t classes_ = 0;
  bool normalize_ = false;
  float scale_ = 1;
  std::vector<float> projection_;  ///< [width, features]; empty: none, and width is features
  std::vector<float> weight_;
  std::vector<float> bias_;  ///< empty: none
  std::vector<std::string> class_names_;
  std::string tower_;
};

}  // namespace tutti::merge
