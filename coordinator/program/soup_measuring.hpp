// Measures models side by side on the held-out images of a greedy soup, in a pool that lives for one round.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "coordinator/program/interruption.hpp"

namespace tutti::program {

class SoupMeasuring {
 public:
  /// Opens the images. All outlive it. Throws Error(usage) where they have no labels.
  SoupMeasuring(const config::EnsembleSpec& spec, std::filesystem::path worker, Interruption& interruption, bool quiet);

  /// How many candidates are worth measuring at once: one for each core.
  std::size_t at_once() const;

  /// The accuracy of each. Throws Error where a worker fails, where one of the images was not answered, or where the
  /// user ended it.
  std::vector<double> operator()(const std::vector<config::MemberSpec>& models);

 private:
  const config::EnsembleSpec& spec_;
  const std::filesystem::path worker_;
  Interruption& interruption_;
  const bool quiet_;
  int round_ = 0;
};

}  // namespace tutti::program
