// Fills a ClipTower from a checkpoint: which tensors there must be, under which names, and what is wrong with those in
// the file. Only for ClipTower.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "merge/checkpoint.hpp"
#include "worker/torch/clip_tower.hpp"

namespace tutti::worker {

class ClipLoader {
 public:
  ClipLoader(const ClipConfig& config, const std::filesystem::path& weights, bool projected, at::Device device);

  /// Throws like ClipTower's constructor.
  void fill(ClipTower& tower) const;

 private:
  using Shape = std::vector<std::int64_t>;

  void expect_tower();
  void expect_layer(std::int64_t number);
  void expect_linear(const std::string& name, std::int64_t out, std::int64_t in);
  void expect_norm(const std::string& name);
  void check() const;
  bool belongs_to_tower(const std::string& name) const;
  std::vector<std::string> differences() const;

  at::Tensor read(const std::string& name) const;
  /// Several parallel layers as one.
  PackedLinear linear(const std::vector<std::string>& names, double scale = 1) const;
  PackedLinear place(at::Tensor weight, at::Tensor bias, double scale) const;
  ClipTower::Norm norm(const std::string& name) const;
  ClipTower::Layer layer(std::int64_t number) const;

  ClipConfig config_;
  merge::Checkpoint checkpoint_;
  bool projected_;
  at::Device device_;
  std::string prefix_;  ///< "vision_model." or nothing
  std::map<std::string, Shape> expected_;
};

}  // namespace tutti::worker
