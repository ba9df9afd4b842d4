// Reads and checks the header of a safetensors file, which says where every tensor is. Only for safetensors_read.cpp,
// which reads all bytes of a file, and checkpoint.cpp, which reads some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/unique_fd.hpp"
#include "merge/safetensors.hpp"

namespace tutti::merge {

/// An open file, read at offsets: the position that it shares with other processes does not change. Any thread; several
/// at once.
class FileReader {
 public:
  /// `what` describes and names the file: "the weights a.safetensors". The caller keeps the descriptor. Throws
  /// Error(usage) if the descriptor is not one of a file.
  FileReader(int fd, std::string name, std::string what);
  /// Opens the file. Throws Error(usage) if it cannot be read.
  explicit FileReader(const std::filesystem::path& file);

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }  ///< when it was opened

  /// Reads out.size() bytes from `offset` on. Throws Error(failed) if the file cannot be read or became shorter.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  FileReader(UniqueFd fd, std::string name, std::string what);

  UniqueFd own_;  ///< empty if the caller keeps the descriptor
  int fd_;
  std::string name_;
  std::string what_;
  std::uint64_t size_ = 0;
};

struct HeaderEntry {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;  ///< in the data, which follows the header
  std::uint64_t end;
};

struct Header {
  std::map<std::string, HeaderEntry, std::less<>> entries;
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  ///< in the file
  std::uint64_t data_bytes = 0;
};

/// Throws Error(usage) like Safetensors::read().
Header read_header(const FileReader& reader);

/// "a, b, c", cut after some of them: "a, b and 190 more"; "none".
std::string listed(std::span<const std::string> names);

/// The error if `file` has no tensor of this name: lists what it has, and suggests the nearest.
[[noreturn]] void refuse_unknown_tensor(const std::string& file, std::string_view name,
                                        std::span<const std::string> names);

}  // namespace tutti::merge
