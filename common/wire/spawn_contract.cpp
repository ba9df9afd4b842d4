#include "common/wire/spawn_contract.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdlib>

#include <tutti/error.hpp>

namespace tutti {
namespace {

int to_int(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0)
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a number", text));
  return value;
}

std::vector<int> to_list(std::string_view text) {
  std::vector<int> values;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    values.push_back(to_int(text.substr(0, comma)));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return values;
}

}  // namespace

std::filesystem::path find_plugin(const std::filesystem::path& worker_folder, std::string_view file) {
  for (const auto& candidate : {worker_folder / file, worker_folder / ".." / "lib" / file})
    if (std::error_code unreadable; std::filesystem::exists(candidate, unreadable)) return candidate;
  return {};
}

std::filesystem::path chosen_libtorch() {
  const char* named = std::getenv("TUTTI_LIBTORCH");
  if (named == nullptr || *named == '\0') return {};
  const std::filesystem::path folder(named);
  std::error_code unreadable;
  return std::filesystem::exists(folder / "libc10.so", unreadable) ? folder : folder / "lib";
}

std::vector<std::string> to_arguments(const LaunchOptions& options) {
  std::vector<std::string> arguments{"--member=" + options.member, fmt::format("--parent={}", options.parent)};
  if (!options.cores.empty()) arguments.push_back(fmt::format("--cores={}", fmt::join(options.cores, ",")));
  if (options.debug) arguments.emplace_back("--debug");
  if (options.core_files) arguments.emplace_back("--core-files");
  // Its workers will show their arguments in its place, and longer ones than its own.
  if (options.preload) arguments.emplace_back("--preload");
  if (!options.python.empty()) arguments.push_back("--python=" + options.python);
  if (options.fork_server) arguments.push_back(fmt::format("--fork-server={:-<400}", ""));
  return arguments;
}

std::string join_fork_request(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) text += argument + '\0';
  return text;
}

std::vector<std::string> split_fork_request(std::string_view text) {
  std::vector<std::string> arguments;
  for (std::size_t end = 0; (end = text.find('\0')) != text.npos; text.remove_prefix(end + 1))
    arguments.emplace_back(text.substr(0, end));
  return arguments;
}

LaunchOptions parse_arguments(const std::vector<std::string_view>& arguments) {
  LaunchOptions options;
  for (const std::string_view argument : arguments) {
    const std::string_view value = argument.substr(std::min(argument.find('=') + 1, argument.size()));
    if (argument.starts_with("--member="))
      options.member = value;
    else if (argument.starts_with("--parent="))
      options.parent = to_int(value);
    else if (argument.starts_with("--cores="))
      options.cores = to_list(value);
    else if (argument == "--debug")
      options.debug = true;
    else if (argument == "--core-files")
      options.core_files = true;
    else if (argument == "--preload")
      options.preload = true;
    else if (argument.starts_with("--python="))
      options.python = value;
    else if (argument.starts_with("--fork-server="))
      options.fork_server = true;
    else
      throw Error(ErrorKind::usage, fmt::format("unknown argument '{}'", argument));
  }
  if (options.parent == 0)
    throw Error(ErrorKind::usage, "tutti-worker is started by Tutti's coordinator, not by hand", {},
                "use 'tutti run', 'tutti train', or the library");
  return options;
}

}  // namespace tutti
