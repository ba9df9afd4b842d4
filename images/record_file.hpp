// A file of records of equal size after a header, read at any place with pread, such as CIFAR batches and .npy arrays.
// It does not know what the records mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/unique_fd.hpp"

namespace tutti::images {

/// A file opened for reading, by position. Moves, does not copy.
class InputFile {
 public:
  /// Throws Error(usage) if `path` cannot be opened, is a folder or a Git LFS pointer; `hint` says where such a file
  /// comes from. Error(failed) if this process has no descriptor or memory left.
  explicit InputFile(std::filesystem::path path, std::string_view hint = {});
  /// A file without a name of `bytes` bytes, which messages call `name`.
  InputFile(std::filesystem::path name, UniqueFd file, std::uint64_t bytes);
  /// `bytes` bytes of this file from `begin` on, which it has, as a file that messages call `name`.
  InputFile part(std::filesystem::path name, std::uint64_t begin, std::uint64_t bytes) &&;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t size() const noexcept { return size_; }  ///< bytes, when it was opened

  /// Fills `bytes` from `offset`. Throws Error(failed) if the file ends before, or cannot be read.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
  std::uint64_t begin_ = 0;  ///< of the part
  std::uint64_t size_ = 0;
};

/// Reads records of `record_bytes` each that begin at `first_byte`; a run of consecutive records is one system call.
class RecordFile {
 public:
  RecordFile(InputFile file, std::uint64_t first_byte, std::size_t record_bytes, std::uint64_t count)
      : file_(std::move(file)), first_byte_(first_byte), record_bytes_(record_bytes), count_(count) {}

  const std::filesystem::path& path() const noexcept { return file_.path(); }
  std::uint64_t count() const noexcept { return count_; }

  /// Calls `use(i, record)` for each record indices[i], in order of i. The record is valid only during the call.
  /// `base`, the number of this file's first record in a set of several files, is subtracted from every index.
  template <class Use>
  void read(std::span<const std::uint64_t> indices, std::uint64_t base, Use&& use) {
    for (std::size_t begin = 0; begin < indices.size();) {
      const std::size_t length = run_length(indices.subspan(begin), at_once());
      const std::span<const std::byte> records = load(indices[begin] - base, length);
      for (std::size_t i = 0; i < length; ++i) use(begin + i, records.subspan(i * record_bytes_, record_bytes_));
      begin += length;
    }
  }

  /// Copies the bytes of one record from `offset` on.
  void copy_part(std::uint64_t record, std::uint64_t offset, std::span<std::byte> out) const {
    file_.read(first_byte_ + record * record_bytes_ + offset, out);
  }
  /// Copies the records to `out`, one after another.
  void copy(std::span<const std::uint64_t> indices, std::span<std::byte> out) const;

 private:
  // How many of the first indices are consecutive, up to `most`.
  static std::size_t run_length(std::span<const std::uint64_t> indices, std::size_t most);
  // The most records that the buffer holds.
  std::size_t at_once() const;
  std::span<const std::byte> load(std::uint64_t first, std::size_t records);

  InputFile file_;
  std::uint64_t first_byte_;
  std::size_t record_bytes_;
  std::uint64_t count_;
  std::vector<std::byte> buffer_;
};

}  // namespace tutti::images
