// Fills a ClipTower with the tensors of its file. Only for ClipTower.
#pragma once

#include <string>
#include <vector>

#include "worker/clip_file.hpp"
#include "worker/torch/clip_tower.hpp"

namespace tutti::worker {

class ClipLoader {
 public:
  ClipLoader(const ClipFile& file, at::Device device) : file_(file), config_(file.config()), device_(device) {}

  /// Throws like ClipTower's constructor.
  void fill(ClipTower& tower) const;

 private:
  /// By the tower's names.
  at::Tensor tower_tensor(const std::string& name) const { return read(file_.name_of(name)); }
  /// By the checkpoint's names.
  at::Tensor read(const std::string& name) const;
  /// Several parallel layers as one.
  PackedLinear linear(const std::vector<std::string>& names, double scale = 1) const;
  PackedLinear place(at::Tensor weight, at::Tensor bias, double scale) const;
  ClipTower::Norm norm(const std::string& name) const;
  ClipTower::Layer layer(std::int64_t number) const;

  const ClipFile& file_;
  const ClipConfig& config_;
  at::Device device_;
};

}  // namespace tutti::worker
