// What an earlier `tutti run` or `tutti evaluate` left in its output folder, as `tutti combine` needs it: read from
// report.json, and held against the files beside it. It changes nothing there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>

#include "common/json.hpp"
#include "images/npy_reader.hpp"
#include "program/evaluate/evaluation_report.hpp"
#include "results/report.hpp"

namespace tutti::program {

/// One task of it, or its only one.
struct SavedTask {
  std::string name;
  std::string source;
  std::filesystem::path folder;  ///< of members/ and labels.npy
  bool in_own_folder = false;    ///< below the run's
  std::uint64_t images = 0;
  std::vector<IncompleteSegment> incomplete;  ///< in order
};

struct SavedRun {
  std::string configuration;  ///< as it was in effect
  std::vector<EvaluatedModel> models;
  std::vector<images::MemberReport> members;  ///< their name, role, kind and number of parameters
  std::vector<SavedTask> tasks;
};

/// Reads the report of `folder`. Throws Error(usage): there is none, it is not one of this schema, its command is
/// neither `run` nor `evaluate`, or it did not complete.
SavedRun read_saved_run(const std::filesystem::path& folder);

/// The saved answers of one task, in order: what the pool handed to the sinks then, the combined answer left out.
class SavedAnswers {
 public:
  /// Opens the files. Throws Error(usage) where a model's answers were not saved, or a file has not as many rows as the
  /// report says images.
  SavedAnswers(const SavedTask& task, const std::vector<EvaluatedModel>& models);

  std::uint64_t images() const noexcept { return images_; }
  std::uint32_t width(std::size_t model) const { return files_.at(model).width(); }
  const std::filesystem::path& file(std::size_t model) const { return files_.at(model).path(); }

  /// Hands all of it to `sink`, in parts of a few images; a part is whole, or lacks the same models throughout.
  void replay(Sink& sink) const;

 private:
  struct Part {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    const IncompleteSegment* incomplete = nullptr;
  };
  std::vector<Part> parts() const;
  void hand_over(const Part& part, std::uint64_t first, std::uint32_t count, Sink& sink) const;

  std::vector<images::NpyReader> files_;
  std::optional<images::NpyReader> labels_;
  std::uint64_t images_;
  std::vector<IncompleteSegment> incomplete_;
};

}  // namespace tutti::program
