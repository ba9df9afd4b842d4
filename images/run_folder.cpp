// Creating the folder of a run.
#include "images/run_folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>
#include <tutti/error.hpp>

namespace tutti::images {
namespace {

constexpr const char* kHint = "choose another folder with `output:`";

void create(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  std::error_code unknown;  // whether it exists may itself be hidden
  if (!std::filesystem::is_directory(folder, unknown) && std::filesystem::exists(folder, unknown))
    throw Error(ErrorKind::usage, fmt::format("cannot write results to {}", folder.string()), "it is not a folder",
                kHint);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not create the folder {}", folder.string()), code.message(),
                kHint);
}

// The highest number that names something in `folder`; names that are not numbers do not count. It only saves tries:
// 0 where the folder cannot be listed.
unsigned highest_number(const std::filesystem::path& folder) {
  unsigned highest = 0;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    highest = std::max(highest, run_number(entry->path()).value_or(0));
  }
  return highest;
}

}  // namespace

std::optional<unsigned> run_number(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  unsigned number = 0;
  const auto [rest, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
  return wrong == std::errc{} && rest == name.data() + name.size() ? std::optional(number) : std::nullopt;
}

std::filesystem::path make_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent) {
  if (!requested.empty()) {
    create(requested);
    return requested;
  }
  create(parent);
  for (unsigned number = highest_number(parent) + 1;; ++number) {
    const std::filesystem::path folder = parent / fmt::format("{:04}", number);
    // mkdir() succeeds for one caller only: who gets EEXIST tries the next number.
    if (::mkdir(folder.c_str(), 0777) == 0) return folder;
    if (errno != EEXIST)
      throw Error(ErrorKind::failed, fmt::format("could not create the folder {}", folder.string()),
                  std::generic_category().message(errno), kHint);
  }
}

}  // namespace tutti::images
