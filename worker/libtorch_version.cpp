#include "worker/libtorch_version.hpp"

#include <fmt/format.h>

#include <fstream>
#include <string>

#include <tutti/error.hpp>

namespace tutti::worker {
namespace {

namespace fs = std::filesystem;

/// "2.11.0" of "2.11.0+cu130".
std::string numbers_of(std::string_view version) {
  version = version.substr(0, version.find_first_not_of("0123456789."));
  while (version.ends_with('.')) version.remove_suffix(1);
  return std::string(version);
}

/// As the Python files of a wheel say it, or the file of a zip.
std::string version_told(const fs::path& libtorch) {
  std::ifstream python(libtorch / "version.py");
  for (std::string line; std::getline(python, line);) {
    const std::size_t quote = line.find_first_of("'\"");
    if (line.starts_with("__version__") && quote != line.npos)
      return numbers_of(std::string_view(line).substr(quote + 1));
  }
  std::ifstream zip(libtorch / "build-version");
  std::string line;
  std::getline(zip, line);
  return numbers_of(line);
}

}  // namespace

void check_libtorch_version(const fs::path& libraries, std::string_view wanted) {
  if (wanted.empty()) return;
  const fs::path libtorch = (libraries / "").parent_path().parent_path();  // with a slash at its end or without
  const std::string found = version_told(libtorch);
  if (found.empty() || found == wanted) return;
  throw Error(ErrorKind::failed,
              fmt::format("the LibTorch in '{}' is of version {}, and this Tutti was built with {}", libtorch.string(),
                          found, wanted),
              {}, fmt::format("install that one: pip install 'torch=={}'; or build Tutti with this LibTorch", wanted));
}

}  // namespace tutti::worker
