// Tensors that own their bytes, and files of them. For tests only.
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "merge/safetensors.hpp"

namespace tutti::merge::test {

struct Tensor {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

template <class Value>
Tensor tensor_of(std::string name, Dtype dtype, std::vector<std::int64_t> shape, const std::vector<Value>& values) {
  Tensor tensor{std::move(name), dtype, std::move(shape), std::vector<std::byte>(values.size() * sizeof(Value))};
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

inline Tensor f32(std::string name, std::vector<std::int64_t> shape, const std::vector<float>& values) {
  return tensor_of(std::move(name), Dtype::f32, std::move(shape), values);
}

inline Tensor i64(std::string name, std::vector<std::int64_t> shape, const std::vector<std::int64_t>& values) {
  return tensor_of(std::move(name), Dtype::i64, std::move(shape), values);
}

inline void write(const std::filesystem::path& file, const std::vector<Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata = {}) {
  std::vector<TensorView> views;
  for (const Tensor& tensor : tensors) views.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  write_safetensors(file, views, metadata);
}

template <class Value>
std::vector<Value> values(std::span<const std::byte> bytes) {
  std::vector<Value> out(bytes.size() / sizeof(Value));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

}  // namespace tutti::merge::test
