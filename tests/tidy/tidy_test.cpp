// The source tree keeps its rules, and the checks notice if it does not.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <utility>

#include "tests/support/places.hpp"
#include "tests/tidy/checks.hpp"

namespace tutti::tidy {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = test::source_folder();

/// The folders of the project; others in the working copy (build folders, notes) are not checked.
constexpr std::array kFolders{".ci",        "bench",  "cmake",    "common",  "config",  "coordinator",
                              "evaluation", "docs",   "examples", "images",  "include", "merge",
                              "program",    "python", "results",  "scripts", "tests",   "worker"};
constexpr std::array kTopFiles{"CMakeLists.txt", "CMakePresets.json", "README.md",   "CONTRIBUTING.md", "CHANGELOG.md",
                               "NOTICE",         ".clang-format",     ".clang-tidy", ".editorconfig",   ".gitignore"};

bool is_text(const fs::path& path) {
  static constexpr std::array kEndings{".hpp",  ".cpp",  ".h",  ".cu", ".cmake", ".txt",  ".md",
                                       ".yaml", ".json", ".in", ".sh", ".py",    ".toml", ""};
  return std::ranges::find(kEndings, path.extension().string()) != kEndings.end();
}

File read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  REQUIRE_MESSAGE(stream, path.string());
  return {path.lexically_relative(kRoot).generic_string(), {std::istreambuf_iterator<char>(stream), {}}};
}

std::vector<File> read_tree() {
  std::vector<File> files;
  const auto add = [&](const fs::directory_entry& entry) {
    if (entry.is_regular_file() && is_text(entry.path())) files.push_back(read(entry.path()));
  };
  for (const char* file : kTopFiles) add(fs::directory_entry(kRoot / file));
  for (const char* folder : kFolders) {
    if (!fs::exists(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) add(entry);
  }
  return files;
}

const std::vector<File>& tree() {
  static const std::vector<File> files = read_tree();
  return files;
}

std::vector<std::string> paths() {
  std::vector<std::string> result;
  for (const File& file : tree()) result.push_back(file.path);
  return result;
}

bool is_cpp(const File& file) {
  return file.path.ends_with(".hpp") || file.path.ends_with(".cpp") || file.path.ends_with(".cu");
}

/// Runs one check over the whole tree and reports every complaint.
template <class Check>
void expect_clean(const Check& check) {
  for (const File& file : tree()) {
    for (const std::string& complaint : check(file)) FAIL_CHECK(complaint);
  }
}

Complaints includes(const std::string& path, const std::string& line) {
  return check_includes(
      {path, "// A file.\n" + line + "\n"},
      {"common/json.hpp", "common/log.hpp", "common/wire/ring.hpp", "config/spec.hpp", "images/digits.hpp",
       "results/report.hpp", "merge/safetensors.hpp", "worker/model.hpp", "coordinator/decide/ledger.hpp",
       "coordinator/observe/trace.hpp", "coordinator/plan/plan.hpp", "coordinator/process/child.hpp",
       "coordinator/pool/pool.hpp", "program/say.hpp", "include/tutti/error.hpp", "tests/support.hpp"});
}

/// A function of `lines` lines from the opening brace to the closing one.
std::string function_of(std::size_t lines) {
  std::string text = "int f(int x) {\n";
  for (std::size_t i = 2; i < lines; ++i) text += "  ++x;\n";
  return text + "}\n";
}

}  // namespace

TEST_CASE("the tree is found") {
  CHECK(tree().size() > 40);
  CHECK(std::ranges::any_of(tree(), [](const File& file) { return file.path == "common/json.hpp"; }));
}

TEST_CASE("folders include only what their arrows allow and each library has one owner") {
  const std::vector<std::string> exists = paths();
  expect_clean([&](const File& file) { return is_cpp(file) ? check_includes(file, exists) : Complaints{}; });
}

TEST_CASE("C++ files open with a comment and headers guard themselves") {
  const std::vector<std::string> exists = paths();
  expect_clean([&](const File& file) { return check_opening(file, exists); });
}

TEST_CASE("prose uses the usual words") {
  static constexpr std::array kNever{"tests/tidy/words.cpp", "CHANGELOG.md"};  // the list itself, and history
  expect_clean([](const File& file) {
    const auto skips = [&](std::string_view path) { return file.path.starts_with(path); };
    return std::ranges::any_of(kNever, skips) ? Complaints{} : check_words(file);
  });
}

TEST_CASE("a program opens its missing standard streams before anything else") {
  static constexpr std::array kPrograms{"bench/", "program/", "worker/"};
  static const std::regex main("\nint main\\(.*\\) \\{\n(.*)\n");
  std::size_t programs = 0;
  for (const File& file : tree()) {
    std::smatch first_line;
    if (std::ranges::none_of(kPrograms, [&](const char* folder) { return file.path.starts_with(folder); }) ||
        !std::regex_search(file.text, first_line, main))
      continue;
    ++programs;
    CHECK_MESSAGE(first_line[1] == "  tutti::open_missing_standard_streams();", file.path);
  }
  CHECK(programs == 17);
}

TEST_CASE("what is compiled does not depend on where the checkout is") {
  // Otherwise a compiler's cache knows nothing of it in the next one: tests/support/places.hpp.
  static const std::regex place("[A-Z_]+=\"\\$(\\{(PROJECT|CMAKE_CURRENT)_[A-Z]+_DIR\\}|<TARGET_FILE)");
  CHECK(std::regex_search("PRIVATE TUTTI_DATA=\"${CMAKE_CURRENT_SOURCE_DIR}/data\"", place));
  CHECK(std::regex_search("PRIVATE TUTTI_WORKER=\"$<TARGET_FILE:tutti_worker>\"", place));
  for (const File& file : tree())
    if (file.path.ends_with("CMakeLists.txt")) CHECK_MESSAGE(!std::regex_search(file.text, place), file.path);
}

TEST_CASE("the functions that the architecture names are where it says") {
  static const std::regex named("`(?:[A-Za-z_]+::)*([A-Za-z_]+)`\\s+\\(`([a-z_/]+\\.[ch]pp)`\\)");
  const auto text_of = [](const std::string& path) {
    const auto found = std::ranges::find(tree(), path, &File::path);
    return found == tree().end() ? std::string() : found->text;
  };
  const std::string page = text_of("docs/architecture.md");
  std::size_t functions = 0;
  for (std::sregex_iterator one(page.begin(), page.end(), named), end; one != end; ++one) {
    ++functions;
    const std::string name = (*one)[1];
    const std::string file = (*one)[2];
    CHECK_MESSAGE(text_of(file).find(name + "(") != std::string::npos, name << " is not in " << file);
  }
  CHECK(functions > 60);
}

TEST_CASE("links lead to what is there and no document has gaps") {
  const auto text_of = [](const std::string& path) -> std::optional<std::string> {
    const auto found = std::ranges::find(tree(), path, &File::path);
    if (found != tree().end()) return found->text;
    return fs::exists(kRoot / path) ? std::optional<std::string>("") : std::nullopt;  // a folder, a picture
  };
  expect_clean([&](const File& file) {
    return file.path.starts_with("tests/tidy/") ? Complaints{} : check_documents(file, text_of);
  });
}

TEST_CASE("every decision is on the page that lists them") {
  const auto list = std::ranges::find(tree(), "docs/decisions/README.md", &File::path);
  REQUIRE(list != tree().end());
  for (const File& file : tree()) {
    const std::string name = file.path.substr(file.path.rfind('/') + 1);
    if (file.path.starts_with("docs/decisions/") && name != "README.md")
      CHECK_MESSAGE(list->text.find("](" + name + ")") != std::string::npos, file.path);
  }
}

TEST_CASE("files and functions stay short") {
  expect_clean([](const File& file) { return check_lengths(file); });
}

TEST_CASE("text files have no tabs and no blanks at the ends of lines") {
  expect_clean([](const File& file) { return check_whitespace(file); });
}

TEST_CASE("names say something and no text names a path of one machine") {
  expect_clean([](const File& file) { return check_names(file); });
}

TEST_CASE("an include against the arrows is reported with its place") {
  CHECK(includes("common/x.cpp", "#include \"config/spec.hpp\"") ==
        Complaints{"common/x.cpp:2: common/ may not include \"config/spec.hpp\""});
  for (const auto& arrow : {
           std::pair{"common/x.cpp", "common/wire/ring.hpp"},
           {"images/x.cpp", "results/report.hpp"},
           {"images/x.cpp", "common/wire/ring.hpp"},
           {"worker/x.cpp", "coordinator/pool/pool.hpp"},
           {"coordinator/pool/x.cpp", "worker/model.hpp"},
           {"coordinator/decide/x.cpp", "coordinator/plan/plan.hpp"},
           {"coordinator/decide/x.cpp", "common/log.hpp"},
           {"coordinator/observe/x.cpp", "coordinator/plan/plan.hpp"},
           {"coordinator/plan/x.cpp", "coordinator/process/child.hpp"},
           {"coordinator/process/x.cpp", "coordinator/pool/pool.hpp"},
           {"coordinator/pool/x.cpp", "program/say.hpp"},
           {"program/x.cpp", "coordinator/pool/pool.hpp"},
       }) {
    // No binding: clang 14 cannot capture one in the lambda that CAPTURE makes.
    const std::string path(arrow.first);
    const std::string header(arrow.second);
    CAPTURE(path);
    CAPTURE(header);
    CHECK(includes(path, "#include \"" + header + "\"").size() == 1);
  }
  CHECK(includes("worker/x.cpp", "#include \"config/spec.hpp\"").size() == 1);
  CHECK(includes("images/x.cpp", "#include \"merge/safetensors.hpp\"").size() == 1);
  CHECK(includes("coordinator/pool/x.cpp", "#include \"tests/support.hpp\"").size() == 1);
  CHECK(includes("examples/embed/main.cpp", "#include \"common/json.hpp\"").size() == 1);
}

TEST_CASE("includes along the arrows pass") {
  CHECK(includes("config/x.cpp", "#include \"common/json.hpp\"").empty());
  CHECK(includes("worker/x.cpp", "#include \"merge/safetensors.hpp\"").empty());
  CHECK(includes("results/x.cpp", "#include \"images/digits.hpp\"").empty());
  CHECK(includes("common/wire/x.cpp", "#include \"common/json.hpp\"").empty());
  CHECK(includes("coordinator/plan/x.cpp", "#include \"images/digits.hpp\"").empty());
  CHECK(includes("coordinator/pool/x.cpp", "#include \"coordinator/decide/ledger.hpp\"").empty());
  CHECK(includes("coordinator/pool/x.cpp", "#include \"coordinator/observe/trace.hpp\"").empty());
  CHECK(includes("tests/x.cpp", "#include \"worker/model.hpp\"").empty());
  CHECK(includes("tests/x.cpp", "#include \"tests/support.hpp\"").empty());
  CHECK(includes("common/x.cpp", "#include <tutti/error.hpp>").empty());
  CHECK(includes("examples/embed/main.cpp", "#include <tutti/ensemble.hpp>").empty());
}

TEST_CASE("includes are written from the root and public headers in angle brackets") {
  CHECK(includes("common/x.cpp", "#include \"json.hpp\"") ==
        Complaints{"common/x.cpp:2: \"json.hpp\" is not a file of the tree; includes are written from the root"});
  CHECK(includes("coordinator/pool/x.cpp", "#include \"include/tutti/error.hpp\"").size() == 1);
}

TEST_CASE("locks are those that the compiler checks") {
  CHECK(includes("coordinator/pool/x.hpp", "#include <mutex>") ==
        Complaints{"coordinator/pool/x.hpp:2: <mutex> belongs to common/mutex.hpp, whose Mutex the compiler checks"});
  CHECK(includes("tests/x.cpp", "#include <condition_variable>").size() == 1);
  CHECK(includes("common/mutex.hpp", "#include <mutex>").empty());
  CHECK(includes("examples/embed/main.cpp", "#include <mutex>").empty());
}

TEST_CASE("what decides has no threads or files or system calls") {
  const std::string path = "coordinator/decide/x.cpp";
  for (const char* header : {"mutex", "thread", "fstream", "filesystem", "sys/mman.h", "unistd.h", "boost/asio.hpp"}) {
    CAPTURE(header);
    CHECK(includes(path, "#include <" + std::string(header) + ">").size() == 1);
  }
  CHECK(includes(path, "#include <chrono>").empty());
  CHECK(includes(path, "#include <fmt/format.h>").empty());
}

TEST_CASE("only those above the coordinator's pool see the Ensemble") {
  for (const char* path : {"coordinator/api/x.cpp", "program/x.cpp", "examples/embed/main.cpp", "tests/x.cpp"}) {
    CAPTURE(path);
    CHECK(includes(path, "#include <tutti/ensemble.hpp>").empty());
  }
  for (const char* path : {"common/x.cpp", "results/x.cpp", "coordinator/pool/x.cpp", "include/tutti/status.hpp"}) {
    CAPTURE(path);
    CHECK(includes(path, "#include <tutti/ensemble.hpp>").size() == 1);
    CHECK(includes(path, "#include <tutti/images.hpp>").empty());
  }
}

TEST_CASE("public headers include the standard library and each other only") {
  const std::string path = "include/tutti/x.hpp";
  CHECK(includes(path, "#include <vector>").empty());
  CHECK(includes(path, "#include <tutti/error.hpp>").empty());
  CHECK(includes(path, "#include <fmt/format.h>").size() == 1);
  CHECK(includes(path, "#include <unistd.h>").size() == 1);
  CHECK(includes(path, "#include \"common/json.hpp\"").size() == 1);
  CHECK(includes(path, "#include <boost/asio/post.hpp>").size() == 1);
  CHECK(includes("include/tutti/asio.hpp", "#include <boost/asio/post.hpp>").empty());
  CHECK(includes("include/tutti/asio.hpp", "#include <tutti/ensemble.hpp>").empty());
  CHECK(includes("include/tutti/asio.hpp", "#include <boost/json.hpp>").size() == 1);
}

TEST_CASE("a library outside its owner is reported") {
  CHECK(includes("common/x.cpp", "#include <boost/asio.hpp>") ==
        Complaints{"common/x.cpp:2: <boost/asio.hpp> belongs to coordinator/process/"});
  for (const char* line :
       {"#include <boost/json.hpp>", "#include <yaml-cpp/yaml.h>", "#include <spdlog/spdlog.h>",
        "#include <CLI/CLI.hpp>", "# include <hwloc.h>", "#include <torch/torch.h>", "#include <ATen/ATen.h>",
        "#include <c10/core/Device.h>", "#include <cuda_runtime.h>", "#include <doctest/doctest.h>",
        "#include <boost/process.hpp>", "#include <nlohmann/json.hpp>"}) {
    CAPTURE(line);
    CHECK(includes("images/x.cpp", line).size() == 1);
  }
  CHECK(includes("coordinator/pool/x.cpp", "#include <boost/interprocess/mapped_region.hpp>").size() == 1);
  CHECK(includes("worker/x.cpp", "#include <torch/torch.h>").size() == 1);
  CHECK(includes("worker/torch/x.cpp", "#include <cuda_runtime.h>").size() == 1);
  CHECK(includes("tests/common/x.cpp", "#include <torch/torch.h>").size() == 1);
}

TEST_CASE("a library at its owner passes and so does its owner's test") {
  CHECK(includes("coordinator/pool/x.cpp", "#include <boost/asio.hpp>").empty());
  CHECK(includes("common/json.hpp", "#include <boost/json.hpp>").empty());
  CHECK(includes("worker/torch/x.cpp", "#include <torch/torch.h>").empty());
  CHECK(includes("tests/torch/x.cpp", "#include <torch/torch.h>").empty());
  CHECK(includes("tests/config/x.cpp", "#include <yaml-cpp/yaml.h>").empty());
  CHECK(includes("tests/config/x.cpp", "#include <doctest/doctest.h>").empty());
  CHECK(includes("common/x.cpp", "#include <sys/mman.h>").empty());
  CHECK(includes("common/x.cpp", "#include <unistd.h>").empty());
}

TEST_CASE("a file without its opening comment or guard is reported") {
  CHECK(check_opening({"a.hpp", "#pragma once\n"}, {}).size() == 2);
  CHECK(check_opening({"a.hpp", "// A.\nint f();\n"}, {}) == Complaints{"a.hpp:1: no #pragma once"});
  CHECK(check_opening({"a.cpp", "int f();\n"}, {}) == Complaints{"a.cpp:1: no comment that says what this file is"});
  CHECK(check_opening({"a.cpp", "int f();\n"}, {"a.hpp"}).empty());
  CHECK(check_opening({"a.hpp", "// A.\n#pragma once\n"}, {}).empty());
}

TEST_CASE("tabs and stray blanks are reported") {
  CHECK(check_whitespace({"a", "x\ty\n"}) == Complaints{"a:1: a tab"});
  CHECK(check_whitespace({"a", "x\ny \n"}) == Complaints{"a:2: blanks at the end of the line"});
  CHECK(check_whitespace({"a", "x\r\n"}).size() == 1);
  CHECK(check_whitespace({"a", "x"}) == Complaints{"a:1: no newline at the end"});
  CHECK(check_whitespace({"a", "x\n"}).empty());
}

TEST_CASE("a function that is too long is reported at its first line") {
  const std::size_t limit = kMaxFunctionLines;
  CHECK(check_lengths({"a.cpp", function_of(limit)}).empty());
  CHECK(check_lengths({"a.cpp", "// A.\n#include <vector>\n\n" + function_of(limit + 1)}) ==
        Complaints{"a.cpp:4: a function of 71 lines; the limit is 70"});
  CHECK(check_lengths({"a.cpp", "namespace a {\nclass B {\n public:\n" + function_of(limit + 1) + "};\n}\n"}).size() ==
        1);
  CHECK(check_lengths({"a.cpp", "template <class T>\n" + function_of(limit)}).size() == 1);
}

TEST_CASE("namespaces and classes and tables may be longer than a function") {
  std::string many;
  for (int i = 0; i < 80; ++i) many += "  {1},\n";
  CHECK(check_lengths({"a.cpp", "const int table[f(2)] = {\n" + many + "};\n"}).empty());
  CHECK(check_lengths({"a.cpp", "struct alignas(64) A {\n" + function_of(40) + function_of(40) + "};\n"}).empty());
}

TEST_CASE("a file that is too long is reported") {
  std::string text = "// A.\n";
  for (std::size_t i = 1; i < kMaxFileLines; ++i) text += "int x;\n";
  CHECK(check_lengths({"a.cpp", text}).empty());
  CHECK(check_lengths({"a.cpp", text + "int y;\n"}) == Complaints{"a.cpp:401: a file of 401 lines; the limit is 400"});
}

TEST_CASE("empty words in file names and paths of one machine are reported") {
  CHECK(check_names({"common/util.hpp", ""}).size() == 1);
  CHECK(check_names({"common/string_helpers.cpp", ""}).size() == 1);
  CHECK(check_names({"coordinator/worker_manager.hpp", ""}).size() == 1);
  CHECK(check_names({"config/data.hpp", ""}).size() == 1);
  CHECK(check_names({"coordinator/utilisation.hpp", ""}).empty());
  CHECK(check_names({"docs/x.md",
                     "see /ho"
                     "me/me/x\n"}) == Complaints{"docs/x.md:1: a path of one machine"});
  CHECK(check_names({"docs/x.md",
                     "\nsee /ro"
                     "ot/x\n"}) == Complaints{"docs/x.md:2: a path of one machine"});
  CHECK(check_names({"docs/x.md", "https://example.org/home/x and bin/work/y\n"}).empty());
}

TEST_CASE("comments and literals do not count as code") {
  CHECK(without_comments_and_literals("a // {\nb") == "a     \nb");
  CHECK(without_comments_and_literals("a /* {\n */ b") == "a     \n    b");
  CHECK(without_comments_and_literals("x = \"{\\\"{\";") == "x =       ;");
  CHECK(without_comments_and_literals("x = '{';") == "x =    ;");
  CHECK(without_comments_and_literals("x = 1'000 {") == "x = 1'000 {");
  CHECK(without_comments_and_literals("x = R\"a({\")a\" {") == "x =           {");
}

}  // namespace tutti::tidy
