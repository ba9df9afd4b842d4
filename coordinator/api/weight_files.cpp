#include "coordinator/api/weight_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>

#include <tutti/error.hpp>

#include "common/folder_obstacle.hpp"

namespace tutti {
namespace {

void make_folder(const std::filesystem::path& folder) {
  constexpr const char* kHint = "choose another folder with 'output' or the member's 'weights'";
  if (const std::string obstacle = folder_obstacle(folder); !obstacle.empty())
    throw Error(ErrorKind::usage, fmt::format("cannot write the weights to {}", folder.string()), obstacle, kHint);
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not create the folder {} for the weights", folder.string()),
                code.message(), kHint);
}

/// The same path for every spelling of a file; neither the file nor its folder has to exist.
std::filesystem::path resolved(const std::filesystem::path& file) {
  std::error_code code;
  const auto folder = std::filesystem::weakly_canonical(file.parent_path(), code);
  return (code ? file.parent_path() : folder) / file.filename();
}

}  // namespace

std::vector<std::filesystem::path> weight_files(const Plan& plan, const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const MemberPlan& member : plan.members) {
    const auto file = std::filesystem::absolute(member.weights.empty() ? folder / (member.request.name + ".safetensors")
                                                                       : member.weights);
    const auto twin =
        std::find_if(files.begin(), files.end(), [&](const auto& other) { return resolved(other) == resolved(file); });
    if (twin != files.end())
      throw Error(
          ErrorKind::usage,
          fmt::format("{} and {} would save their weights to the same file",
                      plan.members[static_cast<std::size_t>(twin - files.begin())].request.name, member.request.name),
          file.string(), "give each member its own 'weights', or leave them out");
    files.push_back(file);
  }
  for (const auto& file : files) make_folder(file.parent_path());
  return files;
}

}  // namespace tutti
