// What `tutti combine` combines: predictions that an earlier `tutti run` or `tutti evaluate` left in its run folder,
// read from report.json and compared with the files next to it; or arrays that were computed elsewhere
// (given_arrays.hpp). It changes nothing there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/predictions.hpp>

#include "common/json.hpp"
#include "evaluation/evaluation_report.hpp"
#include "images/label_tensor.hpp"
#include "images/prediction_array.hpp"
#include "results/report.hpp"

namespace tutti {

/// One task of the run, or its only one.
struct SavedTask {
  std::string name;
  std::string source;
  std::filesystem::path folder;  ///< the one with members/ and labels.npy
  bool in_own_folder = false;    ///< whether it is a sub-folder of the run's folder
  std::uint64_t images = 0;
  std::vector<IncompleteSegment> incomplete;  ///< in order
  /// Arrays of predictions by model, computed elsewhere; empty: members/<model>.npy.
  std::vector<std::filesystem::path> arrays{};
  std::filesystem::path labels{};  ///< of these arrays, if there are any
};

/// What arrays hold, and what must be true of it.
struct ArrayContent {
  config::CombineSpec combine{};
  bool logits = false;  ///< `activation` makes probabilities of them
  OnNan on_nan = OnNan::error;
};

struct SavedRun {
  std::string configuration;  ///< the configuration in effect
  std::vector<EvaluatedModel> models;
  std::vector<images::MemberReport> members;  ///< with their name, role, kind and number of parameters
  std::vector<SavedTask> tasks;
  std::optional<ArrayContent> content{};  ///< of arrays that were computed elsewhere
  bool cascaded = false;                  ///< some members predicted only some images
};

/// Whether it can be the name of a member or a task: names become names of files, which do not lead out of a folder.
bool is_name(std::string_view name);

/// Reads the report in `folder`. Throws Error(usage) if there is none, if it has another schema, if its command is
/// neither `run` nor `evaluate`, or if it did not complete.
SavedRun read_saved_run(const std::filesystem::path& folder);

/// The saved outputs of one task, in order: what the pool gave to the sinks, except for the combined output.
class SavedAnswers {
 public:
  /// Opens the files; `labels` says what form the labels have. Throws Error(usage) if a model's outputs were not saved,
  /// or if a file does not have one row for each image.
  SavedAnswers(const SavedTask& task, const SavedRun& run, const images::LabelFile& labels);

  std::uint64_t images() const noexcept { return images_; }
  std::uint32_t width(std::size_t model) const { return files_.at(model).width(); }
  /// Sizes of a prediction.
  const Dims& output(std::size_t model) const { return files_.at(model).row_shape(); }
  const std::filesystem::path& file(std::size_t model) const { return files_.at(model).path(); }
  /// Null if there are none.
  Source* labels() const { return labels_.get(); }
  const std::filesystem::path& labels_file() const { return labels_file_; }

  /// Passes all of it to `sink`, in parts of a few images; all images of a part lack the same models, if any. Throws
  /// Error(usage) if an array that was computed elsewhere holds a NaN without `on_nan: allow`, or what is not a
  /// probability where one is needed.
  void replay(Sink& sink) const;

 private:
  struct Part {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    const IncompleteSegment* incomplete = nullptr;
  };
  std::vector<Part> parts() const;
  std::uint64_t images_per_part() const;
  void hand_over(const Part& part, std::uint64_t first, std::uint32_t count, Sink& sink) const;

  std::vector<images::PredictionArray> files_;
  std::vector<std::string> names_;
  std::optional<ArrayContent> content_;
  std::filesystem::path labels_file_;
  std::unique_ptr<Source> labels_;
  std::uint64_t images_;
  std::vector<IncompleteSegment> incomplete_;
};

}  // namespace tutti
