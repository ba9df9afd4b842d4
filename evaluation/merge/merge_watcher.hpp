// Who watches a merge: shows how far it is, and gives it up.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include <tutti/ensemble.hpp>

namespace tutti {

/// Shows the images of a pool; one thread.
class ShownImages {
 public:
  ShownImages() = default;
  ShownImages(const ShownImages&) = delete;
  ShownImages& operator=(const ShownImages&) = delete;
  virtual ~ShownImages() = default;
  /// `done` of all images are finished.
  virtual void show(std::uint64_t done) = 0;
};

/// All calls come from the thread that merges, except that progress of weights may come from any, one at a time.
class MergeWatcher {
 public:
  MergeWatcher() = default;
  MergeWatcher(const MergeWatcher&) = delete;
  MergeWatcher& operator=(const MergeWatcher&) = delete;
  virtual ~MergeWatcher() = default;

  /// While the guard exists, the ensemble is drained if the merge is given up; the ensemble outlives it.
  virtual std::shared_ptr<void> guard(Ensemble& ensemble) = 0;
  /// `ensemble` processes `total` images until this is destroyed; `what` is "members", "soup 2", "statistics".
  virtual std::unique_ptr<ShownImages> show_images(const Ensemble& ensemble, const std::string& what,
                                                   std::uint64_t total) = 0;
  /// Weights are read until this is destroyed: `done` of `total` bytes.
  virtual std::function<void(std::uint64_t done, std::uint64_t total)> show_bytes() = 0;
  /// Gives up the start of a pool, for which there is no guard.
  virtual std::stop_token stop() const { return {}; }
  /// Throws Error(interrupted) if the merge is given up.
  virtual void check() const = 0;
};

}  // namespace tutti
