#include "coordinator/plan/find_worker.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include <tutti/error.hpp>

#include "common/program_folder.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

fs::path folder_of_this_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&find_worker), &info) == 0 || info.dli_fname == nullptr) return {};
  // Where it really is: the loader may have found it by a link, as /lib is one to /usr/lib.
  std::error_code unreadable;
  const fs::path file = fs::canonical(info.dli_fname, unreadable);
  return (unreadable ? fs::absolute(info.dli_fname) : file).parent_path();
}

fs::path checked(const fs::path& file, std::string_view origin) {
  if (is_program(file)) return fs::absolute(file);
  throw Error(ErrorKind::usage, fmt::format("no worker program at '{}'", file.string()), fmt::format("from {}", origin),
              "name an executable file, or leave it out: Tutti then looks for tutti-worker next to the program");
}

}  // namespace

bool is_program(const fs::path& file) {
  std::error_code unreadable;
  return fs::is_regular_file(file, unreadable) && ::access(file.c_str(), X_OK) == 0;
}

fs::path find_program(const std::string& name, const std::string& hint) {
  std::string tried;
  for (const fs::path& folder : {program_folder(), folder_of_this_library()}) {
    if (folder.empty()) continue;
    for (const char* relative :
         {".", "../libexec/tutti", "../../libexec/tutti", "libexec/tutti", "../bin", "../../bin"}) {
      const fs::path file = (folder / relative / name).lexically_normal();
      if (is_program(file)) return file;
      tried += (tried.empty() ? "" : ", ") + file.string();
    }
  }
  throw Error(ErrorKind::usage, fmt::format("the program {} was not found", name), "looked for " + tried, hint);
}

fs::path find_worker(const fs::path& wanted) {
  if (!wanted.empty()) return checked(wanted, "the option for the worker program");
  if (const char* named = std::getenv("TUTTI_WORKER"); named != nullptr && *named != '\0')
    return checked(named, "the environment variable TUTTI_WORKER");
  return find_program("tutti-worker", "set TUTTI_WORKER to its path, or install Tutti as a whole");
}

}  // namespace tutti
