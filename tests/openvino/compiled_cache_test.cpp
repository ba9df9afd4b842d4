// What a folder with compiled models gives back. Needs no OpenVINO.
#include "worker/openvino/compiled_cache.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;
using worker::ov::CompiledCache;

constexpr const char* kBytes = "what the library\nwrote";

void keep(CompiledCache& cache, const std::string& bytes = kBytes, const std::string& dependencies = "d") {
  cache.keep(dependencies, [&](const std::string& path) { std::ofstream(path) << bytes; });
}

std::vector<fs::path> kept_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

std::string content_of_file(const fs::path& file) {
  std::stringstream content;
  content << std::ifstream(file).rdbuf();
  return content.str();
}

TEST_CASE("what was kept comes back for the same model and the same dependencies only") {
  const TemporaryFolder folder;
  CompiledCache cache(folder / "new/folder", "m");
  CHECK_FALSE(cache.kept("d"));
  keep(cache);
  CHECK(cache.kept("d") == kBytes);
  CHECK(CompiledCache(folder / "new/folder", "m").kept("d") == kBytes);
  CHECK_FALSE(cache.kept("e"));
  CHECK_FALSE(CompiledCache(folder / "new/folder", "n").kept("d"));
  CHECK(cache.notes().empty());
}

TEST_CASE("a file that was changed or cut off anywhere gives nothing and says so") {
  const TemporaryFolder folder;
  CompiledCache cache(folder.path(), "m");
  keep(cache);
  const fs::path file = kept_in(folder.path()).front();
  const std::string whole = content_of_file(file);
  for (std::size_t place = 0; place < whole.size(); ++place) {
    CAPTURE(place);
    std::string changed = whole;
    changed[place] = static_cast<char>(changed[place] ^ 1);
    for (const std::string& content : {changed, whole.substr(0, place), whole + "x"}) {
      std::ofstream(file, std::ios::binary) << content;
      CompiledCache again(folder.path(), "m");
      CHECK_FALSE(again.kept("d"));
      REQUIRE(again.notes().size() == 1);
      CHECK(contains(again.notes().front(), file.string() + "' is damaged, and is made again"));
    }
  }
  keep(cache);
  CHECK(cache.kept("d") == kBytes);
}

TEST_CASE("what cannot be kept is a note, and leaves nothing") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  CompiledCache below_file(folder / "file" / "cache", "m");
  keep(below_file);
  REQUIRE(below_file.notes().size() == 1);
  CHECK(contains(below_file.notes().front(), "its compiled model cannot be kept in '"));
  CompiledCache cache(folder / "cache", "m");
  cache.keep("d", [](const std::string&) { throw std::runtime_error("the library gave up"); });
  cache.keep("d", [](const std::string&) {});
  REQUIRE(cache.notes().size() == 2);
  CHECK(contains(cache.notes()[0], "the library gave up"));
  CHECK(contains(cache.notes()[1], "wrote nothing"));
  CHECK_FALSE(fs::exists(folder / "cache"));
}

TEST_CASE("several that keep and read at the same time see whole files only") {
  const TemporaryFolder folder;
  const std::string bytes(300'000, 'b');
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      CompiledCache cache(folder.path(), "m");
      for (int round = 0; round < 20; ++round) {
        keep(cache, bytes);
        const auto kept = cache.kept("d");
        if (!kept || *kept != bytes) throw std::runtime_error("a file was not whole");
      }
      if (!cache.notes().empty()) throw std::runtime_error(cache.notes().front());
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(kept_in(folder.path()).size() == 1);
}

}  // namespace
}  // namespace tutti::test
