// Where the program tutti-worker is looked for.
#include "coordinator/plan/find_worker.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>

#include <tutti/error.hpp>

#include "common/program_folder.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

/// Sets TUTTI_WORKER for the lifetime of the object.
class WorkerVariable {
 public:
  explicit WorkerVariable(const std::string& value) { ::setenv("TUTTI_WORKER", value.c_str(), 1); }
  WorkerVariable(const WorkerVariable&) = delete;
  WorkerVariable& operator=(const WorkerVariable&) = delete;
  ~WorkerVariable() { ::unsetenv("TUTTI_WORKER"); }
};

fs::path make_program(const fs::path& file) {
  std::ofstream(file) << "#!/bin/sh\n";
  fs::permissions(file, fs::perms::owner_all);
  return file;
}

TEST_CASE("the option comes before the environment and the environment before the folder") {
  const TemporaryFolder folder;
  const fs::path one = make_program(folder / "one");
  const fs::path two = make_program(folder / "two");
  const WorkerVariable variable(two.string());
  CHECK(find_worker(one) == one);
  CHECK(find_worker({}) == two);
}

TEST_CASE("a relative path becomes absolute") { CHECK(find_worker("/../bin/sh").is_absolute()); }

TEST_CASE("a file that is not a program is refused with its origin") {
  const TemporaryFolder folder;
  std::ofstream(folder / "text") << "no program";
  for (const fs::path& file : {folder / "none", folder / "text", folder.path()}) {
    const auto error = error_of([&] { find_worker(file); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "no worker program at '" + file.string() + "'");
    CHECK(error->detail() == "from the option for the worker program");
    CHECK(contains(error->hint(), "executable file"));
  }
  const WorkerVariable variable((folder / "none").string());
  const auto error = error_of([] { find_worker({}); });
  REQUIRE(error);
  CHECK(error->detail() == "from the environment variable TUTTI_WORKER");
}

TEST_CASE("a program that is not installed is reported with all places and a hint") {
  const auto error = error_of([] { find_program("tutti-nonsense", "build it"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the program tutti-nonsense was not found");
  const fs::path folder = program_folder();
  CHECK(contains(error->detail(), "looked for " + (folder / "tutti-nonsense").string()));
  CHECK(contains(error->detail(), (folder.parent_path() / "libexec/tutti/tutti-nonsense").string()));
  CHECK(error->hint() == "build it");
}

}  // namespace
}  // namespace tutti::test
