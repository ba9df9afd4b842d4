// The arrows between the folders, and the owners of third-party libraries.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>
#include <span>
#include <sstream>

#include "tests/tidy/checks.hpp"

namespace tutti::tidy {
namespace {

/// A place in the tree and the places of the tree that it may include besides itself and <tutti/...>.
struct Arrow {
  std::string_view from;
  std::vector<std::string_view> to;
};

/// The first arrow whose `from` is a prefix of the path counts. What stands outside (main programs of examples) is a
/// program of its own and includes <tutti/...> alone. bench and tests see everything.
const std::vector<Arrow>& arrows() {
  static const std::vector<Arrow> all{
      {"coordinator/include/", {}},
      {"common/", {}},
      {"config/", {"common/"}},
      {"images/", {"common/"}},
      {"merge/", {"common/"}},
      {"worker/", {"merge/", "common/"}},
      {"coordinator/", {"config/", "images/", "merge/", "common/"}},
      {"bench/", {"coordinator/", "worker/", "config/", "images/", "merge/", "common/"}},
      {"tests/", {"coordinator/", "worker/", "config/", "images/", "merge/", "common/", "bench/"}},
  };
  return all;
}

/// A library, recognised by how its headers begin, and the places that may include them.
struct Owner {
  std::string_view header;
  std::vector<std::string_view> places;
};

/// The first entry that fits counts. A library without an entry may be included nowhere.
const std::vector<Owner>& owners() {
  static const std::vector<std::string_view> torch{"worker/torch/", "worker/cuda/", "bench/"};
  static const std::vector<Owner> all{
      {"boost/asio", {"coordinator/"}},
      {"boost/json", {"common/json.hpp", "common/json.cpp"}},
      // A baseline that is measured, and used nowhere.
      {"boost/interprocess/ipc/message_queue.hpp", {"bench/"}},
      {"boost/interprocess/", {"common/"}},
      {"yaml-cpp/", {"config/"}},
      {"spdlog/", {"common/log.cpp"}},
      {"fmt/", {"common/", "config/", "images/", "merge/", "worker/", "coordinator/", "bench/", "tests/"}},
      {"CLI/", {"coordinator/", "bench/", "tests/chaos/"}},
      {"hwloc", {"coordinator/"}},
      {"jpeglib.h", {"images/codecs.cpp"}},
      {"jerror.h", {"images/codecs.cpp"}},
      {"png.h", {"images/codecs.cpp"}},
      {"torch/", torch},
      {"ATen/", torch},
      {"c10/cuda/", {"worker/cuda/"}},
      {"c10/", torch},
      {"caffe2/", torch},
      {"cuda", {"worker/cuda/"}},
      {"nvml", {"worker/cuda/"}},
      {"benchmark/", {"bench/"}},
      {"doctest/", {"tests/"}},
  };
  return all;
}

/// Headers of the C library and of Linux: lower case, and either with ".h" from this list or from these folders.
bool is_system(std::string_view header) {
  static constexpr std::array<std::string_view, 7> kFolders{"sys/", "linux/", "netinet/", "arpa/",
                                                            "net/", "asm/",   "bits/"};
  static constexpr std::array<std::string_view, 31> kHeaders{
      "dirent.h",  "dlfcn.h",  "elf.h",      "endian.h", "errno.h",  "fcntl.h",    "getopt.h",   "glob.h",
      "grp.h",     "limits.h", "link.h",     "locale.h", "malloc.h", "poll.h",     "pthread.h",  "pwd.h",
      "sched.h",   "signal.h", "spawn.h",    "stdint.h", "stdio.h",  "stdlib.h",   "string.h",   "syscall.h",
      "termios.h", "time.h",   "ucontext.h", "unistd.h", "wchar.h",  "execinfo.h", "immintrin.h"};
  return std::ranges::any_of(kFolders, [&](auto folder) { return header.starts_with(folder); }) ||
         std::ranges::find(kHeaders, header) != kHeaders.end();
}

/// Headers of the C++ library have neither a folder nor an ending.
bool is_standard(std::string_view header) { return header.find_first_of("/.") == std::string_view::npos; }

/// What a test may include of third parties is what the folder that it tests may: "tests/config/x.cpp" is as "config/".
bool owns(std::string_view path, std::span<const std::string_view> places) {
  const auto lies_in = [&](std::string_view p) {
    return std::ranges::any_of(places, [&](auto place) { return p.starts_with(place); });
  };
  if (lies_in(path)) return true;
  if (!path.starts_with("tests/")) return false;
  path.remove_prefix(std::string_view("tests/").size());
  if (path.starts_with("torch/") || path.starts_with("cuda/")) return lies_in("worker/" + std::string(path));
  // Tests that start the whole pool stand beside the coordinator's own.
  if (path.starts_with("integration/")) return lies_in("coordinator/");
  return lies_in(path);
}

std::string complain_angle(const std::string& path, std::string_view header) {
  if (header.starts_with("tutti/") || is_standard(header)) return {};
  if (path.starts_with("coordinator/include/")) {
    return fmt::format("public headers include the C++ library and <tutti/...> alone, not <{}>", header);
  }
  if (is_system(header)) return {};
  for (const Owner& owner : owners()) {
    if (!header.starts_with(owner.header)) continue;
    if (owns(path, owner.places)) return {};
    return fmt::format("<{}> belongs to {}", header, owner.places.front());
  }
  return fmt::format("<{}> belongs to no folder; a new library gets one in tests/tidy/includes.cpp", header);
}

std::string complain_quote(const std::string& path, std::string_view header, const std::vector<std::string>& exists) {
  if (std::ranges::find(exists, header) == exists.end()) {
    return fmt::format("\"{}\" is no file of the tree; includes are written from the root", header);
  }
  for (const Arrow& arrow : arrows()) {
    if (!path.starts_with(arrow.from)) continue;
    if (header.starts_with(arrow.from) && !header.starts_with("coordinator/include/")) return {};
    if (header.starts_with("coordinator/include/")) return "public headers are included as <tutti/...>";
    if (std::ranges::any_of(arrow.to, [&](auto to) { return header.starts_with(to); })) return {};
    return fmt::format("{} may not include \"{}\"", arrow.from, header);
  }
  return fmt::format("only <tutti/...> may be included here, not \"{}\"", header);
}

}  // namespace

Complaints check_includes(const File& file, const std::vector<std::string>& exists) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  Complaints complaints;
  std::istringstream lines(file.text);
  std::smatch match;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!std::regex_match(line, match, include)) continue;
    const std::string header = match[2];
    const std::string complaint =
        match[1] == "<" ? complain_angle(file.path, header) : complain_quote(file.path, header, exists);
    if (!complaint.empty()) complaints.push_back(fmt::format("{}:{}: {}", file.path, number, complaint));
  }
  return complaints;
}

}  // namespace tutti::tidy
