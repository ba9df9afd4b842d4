// A strategy that is loaded and warm: either the pool in this process with its workers, or a child process that holds
// all members.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/comparison/departure.hpp"
#include "bench/comparison/image_set.hpp"
#include "bench/comparison/single_process.hpp"
#include "bench/comparison/strategies.hpp"
#include "config/spec.hpp"
#include "coordinator/plan/machine.hpp"

namespace tutti::bench {

/// What all strategies share.
struct Field {
  config::EnsembleSpec spec = {};     ///< images come from memory; a worker that dies ends the measurement
  std::filesystem::path worker = {};  ///< the program tutti-worker
  std::filesystem::path single = {};  ///< the program tutti-bench-single; empty if the build has none
  Machine machine = {};
  std::vector<int> cores = {};     ///< all that the members may use
  std::uint32_t usable_cores = 1;  ///< how many can be busy at once: a cgroup may allow less
  bool cuda = false;
  bool cache = true;  ///< pools look up the choices of forms, and keep them
  Departure& departure;
};
/// Those of a pool that is measured.
Options pool_options(const Field& field);

/// The images of `input`, read as the members of `spec` prepare them: raw if the workers do that.
ImageSet read_images(const config::EnsembleSpec& spec, const config::InputSpec& input);

/// An empty `single` is looked for next to this program. Throws Error(usage) if the members' devices or the rule cannot
/// be compared.
Field make_field(const config::EnsembleSpec& spec, const std::filesystem::path& worker,
                 const std::filesystem::path& single, Departure& departure);

class Contestant {
 public:
  virtual ~Contestant() = default;
  /// Computes all images with all members and combines them; returns the seconds.
  virtual double pass() = 0;
  /// The predictions of the last pass: images x width.
  virtual std::vector<float> answer() const = 0;
  /// The memory of all its processes, without the images.
  virtual std::optional<std::uint64_t> pss_bytes() const = 0;
  /// "torch 2.11.0".
  virtual std::string backend() const = 0;
};

/// Returns when it is loaded and warm; `images` must outlive it. Throws Refused if the strategy cannot run these
/// members, Error if something broke.
std::unique_ptr<Contestant> start(const Field& field, Contender contender, const Setting& setting,
                                  const ImageSet& images);

/// One pass of the pool with the description's settings, whose trace is written to `file`. Throws Error.
void trace_pool(const Field& field, const ImageSet& images, const std::filesystem::path& file);

/// How to start a process tutti-bench-single. Throws Refused if the build has none.
SingleProcess::Launch single_launch(const Field& field, const Setting& setting);

/// The description of `field` with a setting applied.
config::EnsembleSpec with_setting(const Field& field, const Setting& setting);
/// The job for a process that holds all members.
SingleJob single_job(const Field& field, Strategy strategy, const Setting& setting, const ImageSet& images,
                     bool training);
SingleProcess::Launch single_launch(const Field& field, const Setting& setting);

}  // namespace tutti::bench
