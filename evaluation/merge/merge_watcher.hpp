// Who watches a merge.
#pragma once

#include <cstdint>
#include <functional>

#include "evaluation/watcher.hpp"

namespace tutti {

/// Progress of weights may come from any thread, one at a time.
class MergeWatcher : public Watcher {
 public:
  /// Weights are read until this is destroyed: `done` of `total` bytes.
  virtual std::function<void(std::uint64_t done, std::uint64_t total)> show_bytes() = 0;
  /// Throws Error(interrupted) if the merge is given up.
  virtual void check() const = 0;
};

}  // namespace tutti
