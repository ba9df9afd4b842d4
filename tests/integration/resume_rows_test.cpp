// What a run keeps of its results while it works, and what a resumed run makes of rows that are not as they were
// written: they are computed again. The journal has no predictions, and no scores are lost with them.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// Five segments of 20 images, the last one short.
std::string described(const std::string& more) {
  std::string yaml = kTwoFakes;
  yaml.replace(yaml.find("count: 50"), 9, "count: 90");
  return yaml + more;
}

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// A run of which the first three segments are finished when the second member ends it.
void cut_after_three(const Workplace& place, const std::string& folder, const Words& more = {}) {
  const Words words{"run",
                    "e.yaml",
                    "-q",
                    "output=" + folder,
                    "slots=1",
                    "on_worker_failure=fail",
                    "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 9}]"};
  REQUIRE(Finished(place, with(words, more)).code == 1);
  REQUIRE(place.has(folder + "/journal"));
}

Finished resumed(const Workplace& place, const std::string& folder, const Words& more = {}) {
  return Finished(place, with({"run", "e.yaml", "output=" + folder, "--resume"}, more));
}

/// Every score of the report, of each member and of the ensemble.
json::value scores_of(const Workplace& place, const std::string& folder) {
  const json::value report = place.report(folder);
  json::array all;
  for (const char* of : {"/members/0", "/members/1", "/ensemble"})
    for (const char* score : {"accuracy", "loss", "calibration_error", "scores"})
      all.push_back(report.at_pointer(std::string(of) + "/" + score));
  all.push_back(report.at_pointer("/ensemble/confusion_matrix"));
  all.push_back(report.at_pointer("/ensemble/per_class_accuracy"));
  if (!report.at("evaluation").is_null()) {
    all.push_back(report.at_pointer("/evaluation/models"));
    all.push_back(report.at_pointer("/evaluation/tasks/0/disagreement"));
  }
  return all;
}

void change(const fs::path& file, std::uint64_t at) {
  std::FILE* const open = std::fopen(file.c_str(), "r+b");
  REQUIRE(open != nullptr);
  std::fseek(open, static_cast<long>(at), SEEK_SET);
  const int byte = std::fgetc(open);
  std::fseek(open, static_cast<long>(at), SEEK_SET);
  std::fputc(byte ^ 1, open);
  std::fclose(open);
}

TEST_CASE("rows that are not as they were written are computed again, and one line says why") {
  const Workplace place(described("save_members: true\n"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=right"}).code == 0);
  cut_after_three(place, "cut");
  struct Damage {
    std::function<void(const fs::path&)> work;
    int resumed;
    const char* line;
  };
  // A header of 128 bytes, and 16 bytes for an image, of 20 in a segment.
  const std::vector<Damage> all{
      {[](const fs::path& folder) { change(folder / "predictions.npy.unfinished", 128 + 25 * 16); }, 2,
       "warning computing 1 of 3 finished segments again: here/predictions.npy.unfinished holds other rows than were "
       "written (1 segment)\n"},
      {[](const fs::path& folder) { fs::resize_file(folder / "members/a.npy.unfinished", 128 + 45 * 16); }, 2,
       "warning computing 1 of 3 finished segments again: rows are missing in here/members/a.npy.unfinished (1 "
       "segment)\n"},
      {[](const fs::path& folder) { fs::remove(folder / "predicted.npy.unfinished"); }, 0,
       "warning computing 3 of 3 finished segments again: rows are missing in here/predicted.npy.unfinished (3 "
       "segments)\n"},
      {[](const fs::path& folder) {
         change(folder / "members/b.npy.unfinished", 128);
         fs::resize_file(folder / "labels.npy.unfinished", 128 + 30 * 8);
       },
       0,
       "warning computing 3 of 3 finished segments again: here/members/b.npy.unfinished holds other rows than were "
       "written (1 segment); rows are missing in here/labels.npy.unfinished (2 segments)\n"},
      {[](const fs::path& folder) { change(folder / "predictions.npy.unfinished", 60); }, 3, ""},  // the header
  };
  for (const Damage& damage : all) {
    CAPTURE(damage.line);
    fs::remove_all(place / "here");
    fs::copy(place / "cut", place / "here", fs::copy_options::recursive);
    damage.work(place / "here");
    const Finished run = resumed(place, "here");
    CAPTURE(run.err());
    CHECK(run.code == 0);
    CHECK(contains(run.err(), damage.line));
    CHECK(contains(run.err(), "computing") == (*damage.line != '\0'));
    CHECK(place.report("here").at_pointer("/finished/resumed") == damage.resumed);
    CHECK(different_results(place, "here", "right") == Words{});
    CHECK(scores_of(place, "here") == scores_of(place, "right"));
  }
}

TEST_CASE("a run that ends early again after rows were computed again is continued with the new ones") {
  const Workplace place(described("save_members: true\n"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=right"}).code == 0);
  cut_after_three(place, "here");
  change(place / "here/predictions.npy.unfinished", 128 + 25 * 16);
  // The second segment and the fourth are computed, and the fifth is not.
  const Finished again(place, {"run", "e.yaml", "output=here", "--resume", "slots=1", "on_worker_failure=fail",
                               "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 6}]"});
  CHECK(again.code == 1);
  CHECK(contains(again.err(), "finished 4 of 5 segments"));
  const Finished last = resumed(place, "here");
  CHECK(last.code == 0);
  CHECK_FALSE(contains(last.err(), "computing"));
  CHECK(place.report("here").at_pointer("/finished/resumed") == 4);
  CHECK(different_results(place, "here", "right") == Words{});
  CHECK(scores_of(place, "here") == scores_of(place, "right"));
}

TEST_CASE("the journal holds no predictions, whether members are saved or only scored") {
  const Workplace place(described(""));
  const auto journal_bytes = [&](const std::string& folder, const Words& more) {
    cut_after_three(place, folder, more);
    return fs::file_size(place / (folder + "/journal"));
  };
  const auto few = journal_bytes("few", {});
  const Words many{"members.0.model.classes=900", "members.1.model.classes=900", "input.classes=900"};
  const auto wide = journal_bytes("wide", many);
  // The fingerprint is longer by a few digits, and so are the numbers of the classes.
  CHECK(wide < few + 3 * (20 * 9 + 200));
  CHECK(journal_bytes("saved", with(many, {"save_members=true"})) < wide + 200);
  CHECK(fs::file_size(place / "wide/predictions.npy.unfinished") == 128 + 60 * 900 * 4);
  CHECK_FALSE(place.has("wide/members"));
  REQUIRE(resumed(place, "wide", many).code == 0);
  REQUIRE(Finished(place, with({"run", "e.yaml", "-q", "output=right"}, many)).code == 0);
  CHECK(different_results(place, "wide", "right") == Words{});
  CHECK(scores_of(place, "wide") == scores_of(place, "right"));
}

TEST_CASE("rules and the disagreement of members continue with the same figures, and other rules are another run") {
  const Workplace place(described(""));
  const Words rules{"--rules", "mean,vote,median"};
  REQUIRE(Finished(place, with({"run", "e.yaml", "-q", "output=right"}, rules)).code == 0);
  cut_after_three(place, "here", rules);
  CHECK(place.has("here/disagreement.npy.unfinished"));
  for (const Words& other : {Words{}, Words{"--rules", "mean"}}) {
    const Finished refused = resumed(place, "here", other);
    CHECK(refused.code == 2);
    CHECK(contains(refused.err(),
                   fmt::format("detail: --rules: was mean,vote,median, now {}\n", other.empty() ? "nothing" : "mean")));
  }
  change(place / "here/disagreement.npy.unfinished", 130);
  const Finished run = resumed(place, "here", rules);
  CAPTURE(run.err());
  CHECK(run.code == 0);
  CHECK(contains(run.err(), "computing 1 of 3 finished segments again: here/disagreement.npy.unfinished holds"));
  CHECK(different_results(place, "here", "right") == Words{});
  CHECK(scores_of(place, "here") == scores_of(place, "right"));
  CHECK_FALSE(place.has("here/disagreement.npy.unfinished"));
}

TEST_CASE("images that are incomplete in results that are in place are computed again in their files") {
  const Workplace place(described("save_members: true\n"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=right"}).code == 0);
  const Words words{"run",
                    "e.yaml",
                    "-q",
                    "output=here",
                    "slots=1",
                    "on_nan=degrade",
                    "members.1.model.faults=[{kind: nan, phase: predict, at_batch: 4}]"};
  REQUIRE(Finished(place, words).code == 3);
  CHECK(place.has("here/predictions.npy"));
  // Another name of the same file.
  CHECK(fs::equivalent(place / "here/predictions.npy", place / "here/predictions.npy.unfinished"));
  const std::string incomplete = place.read("here/predictions.npy");
  fs::copy(place / "here", place / "removed", fs::copy_options::recursive);
  // It ends again before anything is computed.
  REQUIRE(Finished(place, with(words, {"--resume", "on_worker_failure=fail",
                                       "members.0.model.faults=[{kind: kill, phase: predict, at_batch: 0}]"}))
              .code == 1);
  CHECK(place.report("here").at("completed") == false);
  REQUIRE(Finished(place, with(words, {"--resume"})).code == 0);
  CHECK(place.report("here").at_pointer("/counts/segments_handed_out") == 2);
  CHECK(different_results(place, "here", "right") == Words{});
  CHECK(place.read("here/predictions.npy") != incomplete);
  CHECK_FALSE(place.has("here/predictions.npy.unfinished"));
  // The results of another command in the folder do not change what is continued.
  Words here = with(words, {"--resume"});
  here[3] = "output=removed";
  place.write("removed/predictions.npy", "of another command");
  REQUIRE(Finished(place, here).code == 0);
  CHECK(place.report("removed").at_pointer("/finished/resumed") == 4);
  CHECK(different_results(place, "removed", "right") == Words{});
}

TEST_CASE("a description that leaves the mode continues a run that wrote it, without a trial") {
  const Workplace place(described("workers: [{members: [a, b], mode: loop}]\n"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=right"}).code == 0);
  cut_after_three(place, "here");
  const Finished done = resumed(place, "here", {"workers.0.mode=auto"});
  CAPTURE(done.err());
  CHECK(done.code == 0);
  CHECK_FALSE(contains(done.err(), "trying"));
  CHECK(contains(place.report("here").at("configuration").as_string().c_str(), "mode: loop"));
  CHECK(different_results(place, "here", "right") == Words{});
}

TEST_CASE("a run that starts again in the folder of one that was given up leaves none of its arrays") {
  const Workplace place(described("save_members: true\n"));
  cut_after_three(place, "here");
  fs::remove(place / "here/journal");
  place.write("here/members/gone.npy.unfinished", "of a member that is not there any more");
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=here"}).code == 0);
  for (const auto& entry : fs::recursive_directory_iterator(place / "here"))
    CHECK(entry.path().extension() != ".unfinished");
}

}  // namespace
}  // namespace tutti::test
