// The header of a safetensors file, read and checked: where every tensor stands. Shared by those who read all bytes of
// a file (safetensors_read.cpp) and those who read some (checkpoint.cpp). Not for others.
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

/// An open file, read at offsets: the position that it shares with other processes stays as it is. Any thread; several
/// at once.
class FileReader {
 public:
  /// `what` is the name with what it is: "the weights a.safetensors". The descriptor stays the caller's. Throws
  /// Error(usage) if it is none of a file.
  FileReader(int fd, std::string name, std::string what);
  /// Opens the file. Throws Error(usage) if it cannot be read.
  explicit FileReader(const std::filesystem::path& file);

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }  ///< when it was opened

  /// out.size() bytes from `offset` on. Throws Error(failed) if the file cannot be read or became shorter.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  FileReader(UniqueFd fd, std::string name, std::string what);

  UniqueFd own_;  ///< empty if the descriptor is the caller's
  int fd_;
  std::string name_;
  std::string what_;
  std::uint64_t size_ = 0;
};

struct HeaderEntry {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;  ///< in the data, which follow the header
  std::uint64_t end;
};

struct Header {
  std::map<std::string, HeaderEntry, std::less<>> entries;
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  ///< in the file
  std::uint64_t data_bytes = 0;
};

/// Throws Error(usage) as Safetensors::read() says.
Header read_header(const FileReader& reader);

/// "a, b, c", cut after some of them: "a, b and 190 more"; "none".
std::string listed(std::span<const std::string> names);

/// That `file` has no tensor of this name: what it has, and the nearest.
[[noreturn]] void refuse_unknown_tensor(const std::string& file, std::string_view name,
                                        std::span<const std::string> names);

}  // namespace tutti::merge
