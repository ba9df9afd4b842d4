// What a `clip-vit` member needs of its files, whichever library computes it: the tower's form, the tensors of its
// checkpoint, and its head. Reads tensors one by one and computes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/member_request.hpp"
#include "merge/checkpoint.hpp"
#include "merge/clip_config.hpp"
#include "merge/head.hpp"

namespace tutti::worker {

using merge::ClipActivation;
using merge::ClipConfig;

/// quick_gelu(x) = x * sigmoid(1.702 x) = silu(1.702 x) / 1.702: the factor goes into the layers around it.
inline constexpr double kQuickGelu = 1.702;

/// The checkpoint of a tower that has all tensors of the tower, or of a part of its layers, of float32, float16 or
/// bfloat16, in the right shapes.
class ClipFile {
 public:
  /// `weights`: a .safetensors file or a folder with one or with shards; names with "vision_model." before them or
  /// without. Throws Error(usage) that lists every tensor that is missing, of another shape or type, or unknown to the
  /// tower; with `projected` the projection too. Only the tensors of `part`, which is within the tower, are looked at.
  ClipFile(const ClipConfig& config, const std::filesystem::path& weights, bool projected, const LayerRange& part = {});

  const ClipConfig& config() const noexcept { return config_; }
  const merge::Checkpoint& checkpoint() const noexcept { return checkpoint_; }
  bool projected() const noexcept { return projected_; }
  /// The layers from first_layer() on, before end_layer(). The first goes with the embeddings, the last of all with
  /// what is behind it.
  std::int64_t first_layer() const noexcept { return part_.from; }
  std::int64_t end_layer() const noexcept { return part_.to == 0 ? config_.layers : std::int64_t{part_.to}; }
  bool has_embeddings() const noexcept { return part_.from == 0; }
  bool has_output() const noexcept { return part_.to == 0; }
  /// The checkpoint's name of a tensor of the tower: "embeddings.class_embedding".
  std::string name_of(const std::string& tensor) const { return prefix_ + tensor; }
  /// The sizes of a tensor, by the checkpoint's name.
  const std::vector<std::int64_t>& shape(const std::string& name) const { return checkpoint_.form(name).shape; }
  /// Of the tower or its part, and of the projection if it is used.
  std::uint64_t parameters() const;

  /// The checkpoint's name of the projection, [any, hidden].
  static constexpr const char* kProjection = "visual_projection.weight";

 private:
  using Shape = std::vector<std::int64_t>;

  void expect_tower();
  void expect_layer(std::int64_t number);
  void expect_linear(const std::string& name, std::int64_t out, std::int64_t in);
  void expect_norm(const std::string& name);
  void check() const;
  void check_projection(std::vector<std::string>& found) const;
  bool belongs_to_tower(const std::string& name) const;
  bool is_of_other_part(const std::string& name) const;
  std::vector<std::string> differences() const;

  ClipConfig config_;
  merge::Checkpoint checkpoint_;
  bool projected_;
  LayerRange part_;
  std::string prefix_;  ///< "vision_model." or nothing
  std::map<std::string, Shape> expected_;
};

/// The files of a member of kind `clip-vit`. Throws Error(usage) if the folder holds no such tower, its weights do not
/// fit, the images have another size, or the member says that it outputs something else.
ClipFile clip_file_of(const MemberRequest& request);

/// What turns its features into logits, if it outputs these. Throws Error(usage) if the head takes other features.
std::optional<merge::Head> clip_head_of(const MemberRequest& request, const ClipConfig& config);

}  // namespace tutti::worker
