// Writes files of arrays and reads samples of tensors. For tests only.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>

namespace tutti::test {

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// An .npy array of any type: `descr` as NumPy writes it, `shape` as Python does.
template <class Value>
void write_array(const std::filesystem::path& path, const std::string& descr, const std::string& shape,
                 const std::vector<Value>& values) {
  const std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  bytes += header;
  const std::size_t begin = bytes.size();
  bytes.resize(begin + values.size() * sizeof(Value));
  if (!values.empty()) std::memcpy(&bytes[begin], values.data(), values.size() * sizeof(Value));
  write_file(path, bytes);
}

/// Samples of tensors, as bytes, and their labels.
struct ReadSamples {
  std::vector<std::vector<std::byte>> tensors;
  std::vector<std::int64_t> labels;

  template <class Value>
  std::vector<Value> values(std::size_t tensor) const {
    std::vector<Value> all(tensors.at(tensor).size() / sizeof(Value));
    if (!all.empty()) std::memcpy(all.data(), tensors[tensor].data(), tensors[tensor].size());
    return all;
  }
};

inline ReadSamples read_samples(Source& source, const std::vector<std::uint64_t>& indices) {
  ReadSamples samples;
  std::vector<std::span<std::byte>> places;
  for (const NamedLayout& tensor : source.tensors())
    samples.tensors.emplace_back(indices.size() * tensor.layout.bytes(), std::byte{77});
  for (std::vector<std::byte>& tensor : samples.tensors) places.emplace_back(tensor);
  if (source.labelled()) samples.labels.assign(indices.size(), -7);
  source.read_tensors(indices, places, samples.labels);
  return samples;
}

}  // namespace tutti::test
