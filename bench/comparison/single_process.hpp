// A child process tutti-bench-single that holds one strategy, and the requests to it (bench/protocol.hpp). It measures
// nothing itself; the figures come from the child.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/comparison/departure.hpp"
#include "bench/comparison/image_set.hpp"
#include "bench/protocol.hpp"
#include "common/json.hpp"
#include "common/wire/shared_memory.hpp"
#include "coordinator/process/child.hpp"

namespace tutti::bench {

/// The child cannot do what it was asked to: the members cannot be fused, a file is missing.
class Refused : public Error {
 public:
  using Error::Error;
};

class SingleProcess {
 public:
  struct Launch {
    std::filesystem::path program;
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<int> cores;  ///< that it may use; empty: all cores of this process
  };
  /// Starts the process; `name` is for messages. Throws Error(failed).
  SingleProcess(std::string name, const Launch& launch, const ImageSet& images, Departure& departure);
  SingleProcess(const SingleProcess&) = delete;
  SingleProcess& operator=(const SingleProcess&) = delete;
  /// Closes its input, so that it ends; kills it if it does not end within 5 s.
  ~SingleProcess();

  /// Loads and warms up; returns the backend's name, "torch 2.11.0". This, like all that follows, throws Refused if
  /// the child reports an error, and Error(failed) if it died or sent nonsense.
  std::string prepare(const SingleJob& job);
  /// One pass over all images; returns the seconds measured in the child.
  double run();
  /// The predictions of the last run(): images x width.
  std::vector<float> answer() const;
  /// Multiplies matrices on one thread for this time; returns 10^9 operations per second. Needs no prepare().
  double multiply(double seconds);
  /// Trains all members, one after another.
  double train(std::uint32_t epochs);

  int pid() const noexcept { return child_->pid(); }

 private:
  json::object ask(const std::string& question, std::string_view answer);
  std::string read_line();
  [[noreturn]] void explain_end();

  std::string name_;
  Departure& departure_;
  MemoryFile answers_;
  UniqueFd to_child_;
  UniqueFd from_child_;
  std::string received_;
  std::optional<Child> child_;
};

}  // namespace tutti::bench
