// Who watches long work with an ensemble: shows how far it is, and gives it up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include <tutti/ensemble.hpp>

namespace tutti {

/// The position of these images among others: part `number`, counted from 0, of `of`.
struct Part {
  std::size_t number = 0;
  std::size_t of = 1;
};

/// Images that an ensemble is about to process.
struct ShownWork {
  std::string what;         ///< "predict", "members", "soup 2", or the name of a task
  std::uint64_t total = 0;  ///< images
  std::uint64_t known = 0;  ///< of these, that need no computing
  Part part{};              ///< which of several tasks it is
};

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

/// A guard that drains the ensemble when a stop is requested, or has been.
inline std::shared_ptr<void> drained_by(const std::stop_token& stop, Ensemble& ensemble) {
  const auto drain = [&ensemble] { ensemble.drain(); };
  return std::make_shared<std::stop_callback<decltype(drain)>>(stop, drain);
}

/// All calls come from the thread that does the work.
class Watcher {
 public:
  Watcher() = default;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  virtual ~Watcher() = default;

  /// While the guard exists, the ensemble is drained if the work is given up; the ensemble outlives it.
  virtual std::shared_ptr<void> guard(Ensemble& ensemble) = 0;
  /// `ensemble` processes these images until what is returned is destroyed.
  virtual std::unique_ptr<ShownImages> show_images(const Ensemble& ensemble, const ShownWork& work) = 0;
  /// Gives up the start of a pool, for which there is no guard.
  virtual std::stop_token stop() const { return {}; }
};

}  // namespace tutti
