#include "coordinator/plan/find_python.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include <tutti/error.hpp>

#include "coordinator/plan/find_worker.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsual = "python3";

fs::path in_path(const std::string& name) {
  const char* const variable = std::getenv("PATH");
  std::istringstream folders(variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (const fs::path file = fs::path(folder.empty() ? "." : folder) / name; is_program(file)) return file;
  return {};
}

[[noreturn]] void refuse(const config::MemberSpec& member, const std::string& what, const std::string& hint) {
  const std::string& place = member.model.file_place.text;
  throw Error(ErrorKind::usage, fmt::format("{}{}{}: {}", place, place.empty() ? "" : ": ", member.name, what), {},
              hint);
}

}  // namespace

fs::path find_python(const config::MemberSpec& member) {
  const auto* const model = std::get_if<PythonModel>(&member.model.kind);
  if (model == nullptr) return {};
  const std::string named = model->python.empty() ? kUsual : model->python;
  if (named.find('/') == named.npos) {
    if (const fs::path file = in_path(named); !file.empty()) return fs::absolute(file);
    if (std::error_code unreadable; !fs::is_directory(named, unreadable))
      refuse(member, fmt::format("there is no Python interpreter '{}' in PATH", named),
             "install Python, or name an interpreter or the folder of a virtual environment with 'python' in 'model'");
  }
  if (is_program(named)) return fs::absolute(named);
  std::error_code unreadable;
  if (!fs::is_directory(named, unreadable))
    refuse(member,
           fs::exists(named, unreadable) ? fmt::format("'{}' is not a program that this user may start", named)
                                         : fmt::format("there is no Python interpreter '{}'", named),
           "name an interpreter or the folder of a virtual environment with 'python' in 'model', such as .venv or "
           ".venv/bin/python; relative paths start at the current folder");
  for (const char* program : {"bin/python3", "bin/python"})
    if (const fs::path file = fs::path(named) / program; is_program(file)) return fs::absolute(file);
  refuse(member, fmt::format("the folder '{}' holds no Python interpreter", named),
         fmt::format("make a virtual environment of it: python3 -m venv {}", named));
}

}  // namespace tutti
