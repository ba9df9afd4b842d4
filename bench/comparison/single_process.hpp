// A child process tutti-bench-single with one strategy in it, and the questions that it is asked (bench/protocol.hpp).
// It measures nothing itself but what the child says.
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

/// What a child says that it cannot do: the members cannot be fused, a file is missing.
class Refused : public Error {
 public:
  using Error::Error;
};

class SingleProcess {
 public:
  struct Place {
    std::filesystem::path program;
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<int> cores;  ///< that it may use; empty: all of ours
  };
  /// Starts the process; `name` is for messages. Throws Error(failed).
  SingleProcess(std::string name, const Place& place, const ImageSet& images, Departure& departure);
  SingleProcess(const SingleProcess&) = delete;
  SingleProcess& operator=(const SingleProcess&) = delete;
  /// Ends its input, at which it leaves; kills it if it does not within 5 s.
  ~SingleProcess();

  /// Loads and warms up; returns the backend's name, "torch 2.11.0". This, like all that follows, throws Refused if
  /// the child says what is wrong, and Error(failed) if it died or said nonsense.
  std::string prepare(const SingleJob& job);
  /// One pass over all images; the seconds that it took in the child.
  double run();
  /// What the last run() answered: images x width.
  std::vector<float> answer() const;
  /// Multiplies matrices on one thread for so long: 10^9 operations per second. Needs no prepare().
  double multiply(double seconds);
  /// All members, one after another.
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
