// Weights of `fake` members: a bias for each class. For tests only.
#pragma once

#include <cstring>
#include <filesystem>
#include <span>
#include <vector>

#include "merge/safetensors.hpp"

namespace tutti::test {

inline void write_bias(const std::filesystem::path& file, const std::vector<float>& bias) {
  const merge::TensorView view{
      "bias", merge::Dtype::f32, {static_cast<std::int64_t>(bias.size())}, std::as_bytes(std::span(bias))};
  merge::write_safetensors(file, std::span(&view, 1));
}

inline std::vector<float> bias_of(const std::filesystem::path& file) {
  const auto tensors = merge::Safetensors::read(file);
  std::vector<float> bias(tensors.tensor("bias").bytes.size() / sizeof(float));
  std::memcpy(bias.data(), tensors.tensor("bias").bytes.data(), bias.size() * sizeof(float));
  return bias;
}

}  // namespace tutti::test
