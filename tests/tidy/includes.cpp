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

/// A place in the tree, and the places that its files may include besides their own and <tutti/...>.
struct Place {
  std::string_view path;
  std::vector<std::string_view> includes;
  bool may_start_workers =
      false;  ///< may include <tutti/ensemble.hpp>; all places may include the other public headers
};

/// All folders, those below another before it.
const std::vector<std::string_view>& everything() {
  static const std::vector<std::string_view> all{"program/init/",
                                                 "program/evaluate/",
                                                 "program/merge/",
                                                 "program/",
                                                 "evaluation/",
                                                 "coordinator/c_api/",
                                                 "coordinator/api/",
                                                 "coordinator/pool/",
                                                 "coordinator/process/",
                                                 "coordinator/plan/",
                                                 "coordinator/observe/",
                                                 "coordinator/decide/",
                                                 "worker/torch/",
                                                 "worker/cuda/",
                                                 "worker/",
                                                 "merge/",
                                                 "results/",
                                                 "images/",
                                                 "config/",
                                                 "common/wire/",
                                                 "common/",
                                                 "bench/"};
  return all;
}

/// A file belongs to the first place whose path it begins with. A file of no place (the programs of examples) is
/// outside and includes only <tutti/...>. bench and tests see everything.
const std::vector<Place>& places() {
  static const std::vector<std::string_view> decide{"config/", "common/wire/", "common/"};
  static const std::vector<std::string_view> program{
      "evaluation/", "coordinator/plan/", "coordinator/decide/", "results/", "images/", "merge/", "config/", "common/"};
  static const auto program_and = [](std::vector<std::string_view> more) {
    more.insert(more.end(), program.begin(), program.end());
    return more;
  };
  static const std::vector<Place> all{
      {"include/tutti/ensemble.hpp", {}, true},
      {"include/tutti/asio.hpp", {}, true},
      {"include/tutti/evaluate.hpp", {}, true},
      {"include/tutti/map.hpp", {}, true},
      {"include/tutti/merging.hpp", {}, true},
      {"include/tutti/run.hpp", {}, true},
      {"include/", {}},
      {"common/wire/", {"common/"}},
      {"common/", {}},
      {"config/", {"merge/", "common/wire/", "common/"}},
      {"images/", {"common/"}},
      {"results/", {"images/", "common/"}},
      {"merge/", {"common/"}},
      {"worker/torch/", {"worker/", "merge/", "common/wire/", "common/"}},
      {"worker/cuda/", {"worker/torch/", "worker/", "common/wire/", "common/"}},
      {"worker/", {"merge/", "common/wire/", "common/"}},
      {"coordinator/decide/", decide},
      {"coordinator/observe/", {"common/wire/", "common/"}},
      {"coordinator/plan/",
       {"coordinator/decide/", "coordinator/observe/", "merge/", "images/", "config/", "common/wire/", "common/"}},
      {"coordinator/process/", {"coordinator/plan/", "common/wire/", "common/"}},
      {"coordinator/pool/",
       {"coordinator/process/", "coordinator/plan/", "coordinator/observe/", "coordinator/decide/", "common/wire/",
        "common/"}},
      {"coordinator/api/",
       {"coordinator/pool/", "coordinator/plan/", "coordinator/observe/", "coordinator/decide/", "results/", "images/",
        "config/", "common/"},
       true},
      {"coordinator/c_api/", {"results/", "common/"}, true},
      {"evaluation/",
       {"coordinator/plan/", "coordinator/decide/", "results/", "images/", "merge/", "config/", "common/wire/",
        "common/"},
       true},
      {"program/main.cpp", program_and({"program/init/", "program/evaluate/", "program/merge/", "program/"}), true},
      {"program/commands.cpp", program_and({"program/evaluate/", "program/"}), true},
      {"program/init/", program_and({"program/"}), true},
      {"program/evaluate/", program_and({"common/wire/", "program/"}), true},
      {"program/merge/", program_and({"program/evaluate/", "program/"}), true},
      {"program/", program, true},
      {"python/", {}, true},
      {"bench/", everything(), true},
      {"tests/", everything(), true},
      {"examples/", {}, true},
  };
  return all;
}

const Place* place_of(std::string_view path) {
  const auto found = std::ranges::find_if(places(), [&](const Place& place) { return path.starts_with(place.path); });
  return found == places().end() ? nullptr : &*found;
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
      {"boost/asio", {"coordinator/process/", "coordinator/pool/", "include/tutti/asio.hpp", "examples/"}},
      {"boost/beast/", {"examples/"}},
      {"boost/container/", {"coordinator/decide/"}},
      {"boost/json", {"common/json.hpp", "common/json.cpp"}},
      // A baseline that is measured, and used nowhere.
      {"boost/interprocess/ipc/message_queue.hpp", {"bench/"}},
      {"boost/interprocess/", {"common/wire/"}},
      {"yaml-cpp/", {"config/"}},
      {"spdlog/", {"common/log.cpp"}},
      {"fmt/",
       {"common/", "config/", "images/", "results/", "merge/", "worker/", "coordinator/", "evaluation/", "program/",
        "bench/", "tests/"}},
      {"CLI/",
       {"program/main.cpp", "program/command_tree.", "program/completion.", "program/usage_error.hpp", "bench/",
        "tests/chaos/"}},
      {"hwloc", {"coordinator/plan/"}},
      {"jpeglib.h", {"images/codecs.cpp"}},
      {"jerror.h", {"images/codecs.cpp"}},
      {"png.h", {"images/png_reading.hpp", "images/png_writer.cpp"}},
      {"webp/", {"images/webp.cpp"}},
      {"tiffio.h", {"images/tiff.cpp"}},
      {"stb_image.h", {"images/bmp.cpp"}},
      {"minizip/", {"images/archive.cpp"}},
      {"utf8proc.h", {"common/unicode.cpp"}},
      {"torch/", torch},
      {"ATen/", torch},
      {"c10/cuda/", {"worker/cuda/"}},
      {"c10/", torch},
      {"caffe2/", torch},
      {"cuda", {"worker/cuda/"}},
      {"nvml", {"worker/cuda/"}},
      {"benchmark/", {"bench/"}},
      {"doctest/", {"tests/"}},
      {"nanobind/", {"python/"}},
  };
  return all;
}

/// Headers of the C library and of Linux: lower case, and either with ".h" from this list or from these folders.
bool is_system(std::string_view header) {
  static constexpr std::array<std::string_view, 7> kSystemFolders{"sys/", "linux/", "netinet/", "arpa/",
                                                                  "net/", "asm/",   "bits/"};
  static constexpr std::array<std::string_view, 31> kHeaders{
      "dirent.h",  "dlfcn.h",  "elf.h",      "endian.h", "errno.h",  "fcntl.h",    "getopt.h",   "glob.h",
      "grp.h",     "limits.h", "link.h",     "locale.h", "malloc.h", "poll.h",     "pthread.h",  "pwd.h",
      "sched.h",   "signal.h", "spawn.h",    "stdint.h", "stdio.h",  "stdlib.h",   "string.h",   "syscall.h",
      "termios.h", "time.h",   "ucontext.h", "unistd.h", "wchar.h",  "execinfo.h", "immintrin.h"};
  return std::ranges::any_of(kSystemFolders, [&](auto folder) { return header.starts_with(folder); }) ||
         std::ranges::find(kHeaders, header) != kHeaders.end();
}

/// Headers of the C++ library have neither a folder nor an ending.
bool is_standard(std::string_view header) { return header.find_first_of("/.") == std::string_view::npos; }

/// A test may include the third-party libraries of the folder that it tests: "tests/config/x.cpp" is like "config/".
bool owns(std::string_view path, std::span<const std::string_view> places) {
  const auto lies_in = [&](std::string_view p) {
    return std::ranges::any_of(places, [&](auto place) { return p.starts_with(place); });
  };
  if (lies_in(path)) return true;
  if (!path.starts_with("tests/")) return false;
  path.remove_prefix(std::string_view("tests/").size());
  if (path.starts_with("torch/") || path.starts_with("cuda/")) return lies_in("worker/" + std::string(path));
  // Tests that start the whole pool may use its loop.
  if (path.starts_with("integration/")) return lies_in("coordinator/pool/");
  return lies_in(path);
}

/// The headers of the C++ library for threads, files and the terminal, which pure code must not use.
bool is_deed(std::string_view header) {
  static constexpr std::array<std::string_view, 13> kHeaders{
      "thread",  "mutex",   "shared_mutex", "condition_variable", "future", "semaphore", "latch",
      "barrier", "fstream", "iostream",     "filesystem",         "cstdio", "atomic"};
  return std::ranges::find(kHeaders, header) != kHeaders.end();
}

/// Locks without annotations, which the compiler cannot check.
bool is_plain_lock(std::string_view header) {
  static constexpr std::array<std::string_view, 3> kHeaders{"mutex", "shared_mutex", "condition_variable"};
  return std::ranges::find(kHeaders, header) != kHeaders.end();
}

constexpr std::string_view kPure = "coordinator/decide/";

std::string complain_angle(const std::string& path, std::string_view header) {
  if (header == "tutti/ensemble.hpp") {
    const Place* place = place_of(path);
    return place != nullptr && place->may_start_workers
               ? std::string()
               : fmt::format("<{}> is for those above the coordinator; here <tutti/status.hpp> has the values", header);
  }
  if (path.starts_with(kPure) && (is_system(header) || is_deed(header))) {
    return fmt::format("{} decides only: no threads, files or system calls, so no <{}>", kPure, header);
  }
  if (is_plain_lock(header) && path != "common/mutex.hpp" && !path.starts_with("examples/")) {
    return fmt::format("<{}> belongs to common/mutex.hpp, whose Mutex the compiler checks", header);
  }
  if (header.starts_with("tutti/") || is_standard(header)) return {};
  const bool is_asio = path == "include/tutti/asio.hpp" && header.starts_with("boost/asio/");
  if (path.starts_with("include/") && !is_asio) {
    return fmt::format("public headers include the C++ library and <tutti/...> only, not <{}>", header);
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
  static constexpr std::array<std::string_view, 3> kImpure{"common/log.hpp", "common/atomic_file.hpp",
                                                           "common/thread.hpp"};
  if (std::ranges::find(exists, header) == exists.end()) {
    return fmt::format("\"{}\" is not a file of the tree; includes are written from the root", header);
  }
  if (header.starts_with("include/")) return "public headers are included as <tutti/...>";
  const Place* from = place_of(path);
  const Place* to = place_of(header);
  if (from == nullptr || from->path == "examples/") {
    return fmt::format("only <tutti/...> may be included here, not \"{}\"", header);
  }
  if (from->path == kPure && std::ranges::find(kImpure, header) != kImpure.end()) {
    return fmt::format("{} decides only: no log, files or threads, so no \"{}\"", kPure, header);
  }
  if (from == to || std::ranges::find(from->includes, to->path) != from->includes.end()) return {};
  return fmt::format("{} may not include \"{}\"", from->path, header);
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
