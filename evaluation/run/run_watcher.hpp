// Who watches a run, and words what it says to people about going on.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "evaluation/watcher.hpp"

namespace tutti {

class RunWatcher : public Watcher {
 public:
  /// What to say if the process ends at once from now on: what is kept, and how to continue. May be empty.
  virtual void keep(const std::string& detail) = 0;
  /// What interrupted the run, for the report: "SIGINT"; empty: nothing did.
  virtual std::string interrupted_by() const = 0;
  /// The report of a run that failed has been written.
  virtual void reported(const std::filesystem::path& report) = 0;

  /// How messages call the option that continues a run: "--resume".
  virtual std::string resume_option() const = 0;
  /// How the run in `folder` is continued: "tutti run e.yaml --resume". `named`: the description names the folder.
  virtual std::string resume_command(const std::filesystem::path& folder, bool named) const = 0;
};

/// A program that called the library: a stop token interrupts the run, and what is said to people is in its errors.
class CallerWatcher : public RunWatcher {
 public:
  explicit CallerWatcher(std::stop_token stop) : stop_(std::move(stop)) {}
  std::shared_ptr<void> guard(Ensemble& ensemble) override { return drained_by(stop_, ensemble); }
  void keep(const std::string& /*detail*/) override {}
  std::string interrupted_by() const override { return stop_.stop_requested() ? "stop" : ""; }
  void reported(const std::filesystem::path& /*report*/) override {}

 private:
  const std::stop_token stop_;
};

}  // namespace tutti
