#include "coordinator/plan/choice_cache.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <span>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/atomic_file.hpp"
#include "common/build_id.hpp"
#include "common/checksum.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "config/effective.hpp"
#include "coordinator/plan/fingerprint.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

/// Changes if a reader of the old form would misunderstand the new one.
constexpr const char* kFileForm = "tutti.choice/3";
/// In place of a number, which JSON cannot hold.
constexpr const char* kInfinite = "infinite";
constexpr std::string_view kEnding = ".choice.json";

// ---- the key -------------------------------------------------------------------------------------------------------

/// Without what no speed and no output depends on.
config::EnsembleSpec without_data(config::EnsembleSpec spec) {
  const config::EnsembleSpec plain;
  for (config::MemberSpec& member : spec.members) member.train = {};
  spec.input = plain.input;
  spec.train_input = plain.train_input;
  spec.classes.clear();
  spec.tasks.clear();
  spec.base.reset();
  spec.merge.reset();
  spec.failure = plain.failure;
  spec.output.clear();
  return spec;
}

/// That workers get: what the options set counts before this program's.
std::string variable(const Options& options, std::string_view name) {
  for (const auto& [set, value] : options.environment)
    if (set == name) return value;
  const char* const value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::string() : value;
}

void add_change(const fs::path& file, std::string& lines) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return;
  lines += fmt::format("{}: {} bytes, changed at {}.{:09} s\n", file.string(), status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

/// Another version of a library has other files: cheaper than asking it, which takes a process. The places are those
/// where the plugins look for it (worker/graph/user_library.hpp).
void add_library(const std::string& named, std::string& lines) {
  std::vector<fs::path> files;
  for (const char* const place :
       {".", "capi", "lib", "libs", "onnxruntime/capi", "openvino/libs", "runtime/lib/intel64"}) {
    std::error_code none;
    for (fs::directory_iterator entry(fs::path(named) / place, none), end; !none && entry != end; entry.increment(none))
      if (entry->path().filename().string().starts_with("lib")) files.push_back(entry->path());
  }
  if (files.empty()) files.emplace_back(named);
  std::ranges::sort(files);
  for (const fs::path& file : files) add_change(file, lines);
}

/// Of LD_LIBRARY_PATH; the others name one.
std::vector<std::string> folders_in(const std::string& list) {
  std::vector<std::string> folders;
  std::istringstream rest(list);
  for (std::string folder; std::getline(rest, folder, ':');)
    if (!folder.empty()) folders.push_back(folder);
  return folders;
}

void add_content(const fs::path& file, const std::string& member, std::string& lines) {
  lines += fmt::format("{}: {}\n", file.string(), content_text(file, member));
}

// ---- the file ------------------------------------------------------------------------------------------------------

fs::path file_of(const fs::path& folder, const std::string& key) {
  const auto bytes = std::as_bytes(std::span(key));
  return folder / fmt::format("{:08x}{:08x}{}", crc32(bytes), crc32(bytes, 1), kEnding);
}

json::value candidate_json(const ModelForm& candidate) {
  json::value difference;
  if (candidate.difference)
    difference = std::isfinite(*candidate.difference) ? json::value(*candidate.difference) : json::value(kInfinite);
  return {{"model", candidate.model},
          {"backend", candidate.backend},
          {"batch_images", candidate.batch_images},
          {"images_per_second", candidate.images_per_second},
          {"difference", difference},
          {"reason", candidate.reason}};
}

ModelForm candidate_in(const json::value& value) {
  ModelForm candidate;
  candidate.model = value.at("model").as_string().c_str();
  candidate.backend = value.at("backend").as_string().c_str();
  candidate.batch_images = value.at("batch_images").to_number<std::uint32_t>();
  candidate.images_per_second = value.at("images_per_second").to_number<double>();
  const json::value& difference = value.at("difference");
  if (difference == json::value(kInfinite))
    candidate.difference = std::numeric_limits<double>::infinity();
  else if (!difference.is_null())
    candidate.difference = difference.to_number<double>();
  candidate.reason = value.at("reason").as_string().c_str();
  return candidate;
}

json::array lists_json(const std::vector<std::vector<ModelForm>>& lists) {
  json::array all;
  for (const std::vector<ModelForm>& forms : lists) {
    json::array list;
    for (const ModelForm& form : forms) list.push_back(candidate_json(form));
    all.emplace_back(std::move(list));
  }
  return all;
}

std::vector<std::vector<ModelForm>> lists_in(const json::value& value) {
  std::vector<std::vector<ModelForm>> lists;
  for (const json::value& list : value.as_array()) {
    lists.emplace_back();
    for (const json::value& one : list.as_array()) lists.back().push_back(candidate_in(one));
  }
  return lists;
}

/// Throws if it is not of this form.
std::optional<KeptChoice> choice_in(const json::value& value, const std::string& key) {
  if (value.at("form").as_string() != kFileForm || value.at("key").as_string() != key) return std::nullopt;
  const auto age = std::chrono::seconds(std::time(nullptr) - value.at("written").to_number<std::int64_t>());
  if (age < std::chrono::seconds(0) || age > kChoiceLife) return std::nullopt;
  KeptChoice choice;
  choice.candidates = lists_in(value.at("members"));
  choice.modes = lists_in(value.at("workers"));
  for (const json::value& batch : value.at("batches").as_array())
    choice.batches.push_back(batch.to_number<std::uint32_t>());
  return choice;
}

void remove_old(const fs::path& folder) {
  std::error_code none;
  for (fs::directory_iterator entry(folder, none), end; !none && entry != end; entry.increment(none)) {
    std::error_code unknown;
    const auto changed = fs::last_write_time(entry->path(), unknown);
    if (unknown || !entry->path().filename().string().ends_with(kEnding)) continue;
    if (fs::file_time_type::clock::now() - changed > kChoiceLife) fs::remove(entry->path(), unknown);
  }
}

}  // namespace

fs::path choice_folder() {
  const auto named = [](const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? fs::path() : fs::path(value);
  };
  if (const fs::path cache = named("XDG_CACHE_HOME"); cache.is_absolute()) return cache / "tutti" / "choices";
  if (const fs::path home = named("HOME"); home.is_absolute()) return home / ".cache" / "tutti" / "choices";
  return {};
}

std::string choice_key(const config::EnsembleSpec& spec, const Plan& plan, const Options& options) {
  std::string lines = fmt::format("version: {} (build {})\n", version(), build_id());
  for (const auto& [what, value] : this_processor()) lines += fmt::format("{}: {}\n", what, value);
  for (const WorkerPlan& worker : plan.workers)
    lines += fmt::format("worker: {} on {}, cores {}, {} threads\n", plan.name_of(worker), worker.device,
                         fmt::join(worker.cores, ","), plan.request_of(worker.members.front()).threads);
  lines += fmt::format("samples: {}\n", sample_text(plan.input.tensors));
  for (const Plane& plane : plan.input.planes) lines += fmt::format("plane: {}\n", to_text(plane.resize));
  for (const char* const name : {"TUTTI_LIBTORCH", "TUTTI_ONNXRUNTIME", "TUTTI_OPENVINO", "LD_LIBRARY_PATH"})
    if (const std::string value = variable(options, name); !value.empty()) {
      lines += fmt::format("{}: {}\n", name, value);
      for (const std::string& folder : folders_in(value)) add_library(folder, lines);
    }
  for (const auto& [what, value] : kernel_environment(options.environment))
    lines += fmt::format("{}: {}\n", what, value);
  for (const config::MemberSpec& member : spec.members) {
    const config::ModelSpec& model = member.model;
    if (!model.weights.empty()) add_content(model.weights, member.name, lines);
    std::vector<ModelKind> kinds = model.candidates;
    if (kinds.empty()) kinds.push_back(model.kind);
    for (const ModelKind& kind : kinds)
      for (const fs::path& file : files_of(kind, model.weights)) add_content(file, member.name, lines);
  }
  return lines + config::to_yaml(without_data(spec));
}

std::optional<KeptChoice> kept_choice(const fs::path& folder, const std::string& key) {
  if (folder.empty()) return std::nullopt;
  const fs::path file = file_of(folder, key);
  std::error_code unknown;
  if (!fs::is_regular_file(file, unknown)) return std::nullopt;
  try {
    return choice_in(parse_json(read_text(file, "a kept choice"), "a kept choice"), key);
  } catch (const std::exception& error) {  // another program wrote it, or a disk lost a part of it
    log::debug("{} is not used: {}", file.string(), error.what());
    return std::nullopt;
  }
}

void keep_choice(const fs::path& folder, const std::string& key, const KeptChoice& choice) {
  if (folder.empty()) return;
  const json::object file{{"form", kFileForm},
                          {"written", static_cast<std::int64_t>(std::time(nullptr))},
                          {"members", lists_json(choice.candidates)},
                          {"workers", lists_json(choice.modes)},
                          {"batches", json::array(choice.batches.begin(), choice.batches.end())},
                          {"key", key}};
  try {
    fs::create_directories(folder);
    remove_old(folder);
    AtomicFile written(file_of(folder, key));
    written.write(pretty_json(file));
    written.commit();
  } catch (const std::exception& error) {
    log::info("the choice is not kept for the next start: {}", error.what());
  }
}

}  // namespace tutti
