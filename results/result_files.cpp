// Removing the results of an earlier command.
#include "results/result_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/values.hpp"
#include "images/npy.hpp"
#include "results/journal.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReport = "report.json";
constexpr std::array kAnswers{"predictions.npy", "predicted.npy",    "spread.npy",
                              "labels.npy",      "disagreement.npy", "predictions.csv"};
constexpr std::array kOfRule{"predictions.npy", "predicted.npy", "predictions.csv"};

/// The command of a report that Tutti wrote; empty if there is none. Every version uses the same names.
std::string command_of(const fs::path& report) {
  std::error_code code;
  if (!fs::is_regular_file(report, code)) return {};
  try {
    const json::value json = parse_json(read_text(report, "the report"), report.string());
    const std::string schema(json.at("schema").as_string());
    return schema.starts_with("tutti.report/") ? std::string(json.at("command").as_string()) : std::string();
  } catch (const std::exception&) {
    return {};
  }
}

bool is_folder(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(fs::symlink_status(path, code));
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    entries.push_back(entry->path());
  return entries;
}

class Removal {
 public:
  explicit Removal(const std::vector<fs::path>& inputs) : inputs_(inputs) {}

  void remove(const fs::path& file) {
    std::error_code code;
    const fs::file_status status = fs::symlink_status(file, code);
    if (!fs::is_regular_file(status) && !fs::is_symlink(status)) return;
    if (is_input(file)) return;
    if (fs::remove(file, code)) ++files_;
    if (code)
      throw Error(ErrorKind::failed, fmt::format("could not remove {}", file.string()),
                  fmt::format("{}; an earlier command wrote it", code.message()), "choose another run folder");
  }

  void remove_answers(const fs::path& folder) {
    for (const char* name : kAnswers) {
      remove(folder / name);
      remove(partial_of(folder / name));
    }
    for (const char* name : {"members", "predictions", "predicted", "spread"}) remove_below(folder / name, ".npy");
    remove_below(folder / "masks", ".png");
    for (const auto& rule : enum_names(CombineRule{}))
      below(folder / std::string(rule.name), [&](const fs::path& own) {
        for (const char* name : kOfRule) remove(own / name);
      });
  }

  void remove_unfinished(const fs::path& folder) {
    for (const char* name : kAnswers) remove(unfinished_of(folder / name));
    for (const char* name : {"members", kTilesFolder}) remove_below(folder / name, ".npy.unfinished");
  }

  void remove_tasks(const fs::path& tasks) {
    below(tasks, [&](const fs::path&) {
      for (const fs::path& task : entries_of(tasks)) below(task, [&](const fs::path& own) { remove_answers(own); });
    });
  }

  std::size_t files() const { return files_; }

 private:
  bool is_input(const fs::path& path) const {
    return std::any_of(inputs_.begin(), inputs_.end(), [&](const fs::path& input) { return same(path, input); });
  }

  static bool same(const fs::path& a, const fs::path& b) {
    std::error_code different;
    return fs::equivalent(a, b, different);
  }

  void remove_below(const fs::path& folder, const char* ending) {
    below(folder, [&](const fs::path& own) {
      for (const fs::path& entry : entries_of(own)) {
        if (is_folder(entry))
          remove_below(entry, ending);
        else if (entry.filename().string().ends_with(ending))
          remove(entry);
      }
    });
  }

  /// Does `work` on a subfolder of a command's folder, and removes the subfolder if it is then empty.
  template <class Work>
  void below(const fs::path& folder, const Work& work) {
    std::error_code not_empty;
    if (!is_folder(folder) || fs::exists(folder / kReport, not_empty) || is_input(folder)) return;
    const std::size_t before = files_;
    work(folder);
    if (files_ > before) fs::remove(folder, not_empty);
  }

  const std::vector<fs::path>& inputs_;
  std::size_t files_ = 0;
};

}  // namespace

RemovedResults remove_results(const fs::path& folder, const std::vector<fs::path>& inputs) {
  const std::string command = command_of(folder / kReport);
  if (command.empty()) return {};
  Removal removal(inputs);
  removal.remove_answers(folder);
  if (!Journal::exists(folder)) removal.remove_unfinished(folder);
  removal.remove_tasks(folder / "tasks");
  removal.remove(folder / "tasks.svg");
  removal.remove(folder / kReport);
  return {removal.files(), command};
}

void remove_unfinished(const fs::path& folder) {
  const std::vector<fs::path> none;
  Removal(none).remove_unfinished(folder);
}

bool clear_results(const RunFolder& folder, const std::vector<std::filesystem::path>& inputs) {
  const RemovedResults removed = remove_results(folder.path(), inputs);
  if (removed.files > 0)
    log::info("removed {} from {}: results of an earlier 'tutti {}'", counted(removed.files, "file"),
              folder.path().string(), removed.command);
  return removed.files > 0;
}

}  // namespace tutti::images
