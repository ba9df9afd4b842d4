// `tutti plan --measure`: the memory of an ensemble that is started once and has computed as many images as it can hold
// at a time. The figures are what the kernel counts, so they include what an estimate leaves out.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "program/interruption.hpp"

namespace tutti::program {

/// Proportional set sizes (PSS): a page that several processes share counts in parts, which add up to one.
struct MeasuredMemory {
  std::uint64_t images = 0;                                        ///< that were computed
  std::vector<std::pair<std::string, std::uint64_t>> processes{};  ///< what each is, and its bytes
  std::uint64_t bytes = 0;                                         ///< of all
};

/// Starts every member once, predicts the first images of `input` (made-up ones if they come through the API), and ends
/// the workers. Writes no file. Throws Error if the ensemble cannot be started or the kernel does not tell its memory.
MeasuredMemory measure_memory(const config::EnsembleSpec& spec, const Options& options, Interruption& interruption);

/// The processes of an ensemble that has computed `images`, with StatusDetail::memory: one row for each worker. Throws
/// Error(failed) if the kernel did not tell.
MeasuredMemory memory_of(const Status& status, std::uint64_t images);

/// A table, for people.
std::string measured_text(const MeasuredMemory& memory);

}  // namespace tutti::program
