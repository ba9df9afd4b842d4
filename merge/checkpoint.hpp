// The weights of one model on disk, read tensor by tensor: a safetensors file, or a folder as Hugging Face writes it
// (model.safetensors, or shards that model.safetensors.index.json lists). Holds only the headers in memory; use
// Safetensors to read all bytes of one small file at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merge/safetensors.hpp"

namespace tutti::merge {

/// A tensor without its bytes.
struct TensorForm {
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;  ///< empty: a scalar
  std::uint64_t bytes = 0;
  friend bool operator==(const TensorForm&, const TensorForm&) = default;
};

/// Files stay open; they are read with pread, not mapped, so that a file which another program truncates causes an
/// Error and not a SIGBUS. Any thread; several at once.
class Checkpoint {
 public:
  /// `path`: a .safetensors file or a folder. Throws Error(usage) that names it: nothing there, no safetensors in the
  /// folder (the hint says how to convert .bin or .pt files), a shard that is missing, a tensor in two shards or in
  /// none, a malformed header.
  static Checkpoint open(const std::filesystem::path& path);

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::vector<std::string>& names() const noexcept { return names_; }  ///< sorted
  bool contains(std::string_view name) const;
  /// Throws Error(usage) naming the file and the nearest name if there is no such tensor.
  const TensorForm& form(std::string_view name) const;
  /// Reads out.size() bytes of a tensor from `offset` on. Throws Error(failed) if the file became shorter or cannot be
  /// read, or if the tensor has fewer bytes.
  void read(std::string_view name, std::uint64_t offset, std::span<std::byte> out) const;
  /// `__metadata__` of the first file.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  /// The open files: one file, or the shards, sorted.
  const std::vector<std::filesystem::path>& files() const noexcept { return files_; }
  /// The size of all tensors.
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  struct Entry;
  Checkpoint();
  const Entry& entry(std::string_view name) const;

  std::filesystem::path path_;
  std::vector<std::string> names_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::filesystem::path> files_;
  std::uint64_t bytes_ = 0;
};

}  // namespace tutti::merge
