// .npz archives: NumPy's zip of .npy arrays. Arrays that are stored are read in place; those that are compressed are
// inflated once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "images/arrays.hpp"

namespace tutti::images {

/// Whether this build has the library for archives.
bool reads_archives() noexcept;

/// An archive whose directory has been read. One thread.
class Archive {
 public:
  /// Throws Error(usage) if the file is not an archive, or if this build has no library for archives.
  explicit Archive(std::filesystem::path file);
  ~Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  /// The names of the arrays, without ".npy", in the order of the archive.
  std::vector<std::string> arrays() const;
  /// Throws Error(usage) if there is no such array, or it is damaged or encrypted.
  OpenArray open(const std::string& array);

 private:
  class Reader;
  std::unique_ptr<Reader> reader_;
};

}  // namespace tutti::images
