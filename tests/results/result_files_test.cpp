// Which files of an earlier command are removed, and which never.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "results/result_files.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/ordinary_user.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using Names = std::vector<std::string>;

const std::string kReport = R"({"schema": "tutti.report/1", "command": "evaluate"})";

struct ResultFolder : test::TemporaryFolder {
  void put(const std::string& name, const std::string& text = "some bytes") const {
    fs::create_directories((*this / name).parent_path());
    std::ofstream(*this / name) << text;
  }
  Names files() const {
    Names names;
    for (const auto& entry : fs::recursive_directory_iterator(path()))
      if (!entry.is_directory() || entry.is_symlink())
        names.push_back(entry.path().lexically_relative(path()).string());
    std::ranges::sort(names);
    return names;
  }
};

const Names kResults{"disagreement.npy",
                     "disagreement.partial.npy",
                     "labels.npy",
                     "masks/0.png",
                     "masks/north/scan.png",
                     "members/a.npy",
                     "members/a/north/scan.npy",
                     "members/b.partial.npy",
                     "predicted.npy",
                     "predicted/north/scan.npy",
                     "predictions.csv",
                     "predictions.npy",
                     "predictions.partial.csv",
                     "predictions/north/scan.npy",
                     "spread.npy",
                     "spread.partial.npy",
                     "spread/north/scan.npy",
                     "tasks.svg",
                     "tasks/t/disagreement.npy",
                     "tasks/t/members/a.npy",
                     "tasks/u/vote/predicted.npy",
                     "vote/predictions.npy"};

TEST_CASE("the results of an earlier command go with their folders and its report") {
  const ResultFolder out;
  for (const std::string& name : kResults) out.put(name);
  out.put("report.json", kReport);
  const RemovedResults removed = remove_results(out.path(), {});
  CHECK(removed.files == kResults.size() + 1);
  CHECK(removed.command == "evaluate");
  CHECK(fs::is_empty(out.path()));
  CHECK(remove_results(out.path(), {}).files == 0);
}

TEST_CASE("weights and journals and merges and all that Tutti does not know stay") {
  const ResultFolder out;
  const Names others{"a.safetensors", "journal",         "members/notes.txt", "merge.json", "merged.safetensors",
                     "notes.npy",     "tasks/notes.txt", "tasks/t/input.npy", "trace.json", "vote/labels.npy"};
  for (const std::string& name : others) out.put(name);
  for (const std::string& name : kResults) out.put(name);
  out.put("report.json", kReport);
  CHECK(remove_results(out.path(), {}).files == kResults.size() + 1);
  CHECK(out.files() == others);
}

TEST_CASE("arrays of a run that was not finished go with it, but stay with a journal that needs them") {
  const Names unfinished{"disagreement.npy.unfinished",    "members/a.npy.unfinished",
                         "predicted.npy.unfinished",       "predictions.npy.unfinished",
                         "tiles/members/a.npy.unfinished", "tiles/predictions.npy.unfinished"};
  const ResultFolder out;
  for (const std::string& name : unfinished) out.put(name);
  out.put("predictions.npy");
  out.put("report.json", kReport);
  out.put("journal");
  CHECK(remove_results(out.path(), {}).files == 2);
  Names rest = unfinished;
  rest.insert(rest.begin() + 1, "journal");
  CHECK(out.files() == rest);
  fs::remove(out / "journal");
  out.put("report.json", kReport);
  CHECK(remove_results(out.path(), {}).files == unfinished.size() + 1);
  CHECK(fs::is_empty(out.path()));
}

TEST_CASE("only the arrays of a run that was not finished are removed for a new one") {
  const ResultFolder out;
  const Names others{"a.npy.unfinished", "members/a.npy", "members/notes.unfinished", "predictions.npy"};
  for (const std::string& name : others) out.put(name);
  for (const char* name :
       {"predictions.npy.unfinished", "members/b.npy.unfinished", "tiles/predictions.npy.unfinished"})
    out.put(name);
  remove_unfinished(out.path());
  CHECK(out.files() == others);
  CHECK_FALSE(fs::exists(out / "tiles"));
}

TEST_CASE("a folder without a report of Tutti is not touched") {
  for (const char* report : {"", "no JSON", "[]", R"({"schema": "other/1", "command": "run"})", R"({"schema": 3})"}) {
    const ResultFolder out;
    out.put("labels.npy");
    if (*report != '\0') out.put("report.json", report);
    const Names before = out.files();
    CHECK(remove_results(out.path(), {}).files == 0);
    CHECK(out.files() == before);
  }
}

TEST_CASE("what a command reads stays however it is named") {
  const ResultFolder out;
  for (const char* name : {"labels.npy", "members/a.npy", "predicted.npy"}) out.put(name);
  out.put("report.json", kReport);
  fs::create_symlink(out / "members", out / "elsewhere");
  CHECK(remove_results(out.path(), {out / "./labels.npy", out / "elsewhere/a.npy", out / "missing.npy"}).files == 2);
  CHECK(out.files() == Names{"elsewhere", "labels.npy", "members/a.npy"});
}

TEST_CASE("other commands' folders below are theirs and links are not followed") {
  const ResultFolder out;
  const ResultFolder elsewhere;
  elsewhere.put("a.npy");
  elsewhere.put("predictions.npy");
  out.put("report.json", kReport);
  out.put("mean/report.json", kReport);
  out.put("mean/predictions.npy");
  out.put("tasks/t/report.json", kReport);
  out.put("tasks/t/predictions.npy");
  fs::create_directory_symlink(elsewhere.path(), out / "members");
  fs::create_symlink(elsewhere / "predictions.npy", out / "predictions.npy");
  CHECK(remove_results(out.path(), {}).files == 2);
  CHECK(elsewhere.files() == Names{"a.npy", "predictions.npy"});
  CHECK(out.files() ==
        Names{"mean/predictions.npy", "mean/report.json", "members", "tasks/t/predictions.npy", "tasks/t/report.json"});
}

TEST_CASE("a result that cannot be removed is an error that names it and the report stays") {
  const ResultFolder out;
  out.put("predictions.npy");
  out.put("report.json", kReport);
  ::chmod(out.path().c_str(), 0555);
  {
    const test::OrdinaryUser user;
    const auto error = error_of([&] { remove_results(out.path(), {}); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == "could not remove " + (out / "predictions.npy").string());
    CHECK(error->detail() == "Permission denied; an earlier command wrote it");
    CHECK(error->hint() == "choose another run folder");
  }
  CHECK(fs::exists(out / "report.json"));
}

}  // namespace
}  // namespace tutti::images
