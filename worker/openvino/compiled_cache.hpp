// Where a user has compiled models kept, so that later starts need not compile them again: one file for each model and
// everything that its compiled form depends on. It saves time and nothing else: a file that is missing, damaged, of
// another version or cannot be written means that the model is compiled.
//
// OpenVINO has a cache of its own (CACHE_DIR). It is not used, because it computes other outputs from some damaged
// files without an error, and writes its files where another process may be reading them.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::worker::ov {

/// One thread; any number of objects and processes may use the same folder.
class CompiledCache {
 public:
  /// `model`: what the model is made from, as lines.
  CompiledCache(std::filesystem::path folder, std::string model);

  /// The bytes that were kept for this model and these `dependencies`, if they are what was written.
  std::optional<std::string> kept(std::string_view dependencies);
  /// Keeps what `write` writes to the path that it gets, in a file that appears complete or not at all. If that fails,
  /// nothing is kept.
  void keep(std::string_view dependencies, const std::function<void(const std::string& path)>& write);

  /// What the user should know about the calls so far.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  std::string key_of(std::string_view dependencies) const;
  std::filesystem::path file_of(std::string_view key) const;

  std::filesystem::path folder_;
  std::string model_;
  std::vector<std::string> notes_;
};

}  // namespace tutti::worker::ov
