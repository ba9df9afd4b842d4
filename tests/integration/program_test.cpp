// The program tutti as users run it: exit codes, what it prints, and the files that it writes.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "common/build_id.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

TEST_CASE("help and version are answered with code 0") {
  const Workplace place;
  const Finished help(place, {"--help"});
  CHECK(help.code == 0);
  for (const char* command : {"run", "train", "plan", "validate"}) CHECK(contains(help.out(), command));
  const Finished run_help(place, {"run", "--help"});
  CHECK(run_help.code == 0);
  CHECK(contains(run_help.out(), "--debug-worker"));
  CHECK(contains(run_help.out(), "--resume"));
  for (const Finished* text : {&help, &run_help}) {
    CHECK(contains(text->out(), "Exit codes: 0 all done, 1 failed while running, 2 wrong usage or configuration,\n"));
    CHECK(contains(text->out(), "3 done but some member or segment is missing"));
  }
  const Finished shown(place, {"--version"});
  CHECK(shown.code == 0);
  CHECK(shown.out() == std::string("tutti ") + version() + " (build " + build_id() + ")\n");
}

TEST_CASE("an invalid command line is refused with code 2") {
  const Workplace place;
  CHECK(Finished(place, {}).code == 2);
  CHECK(Finished(place, {"dance"}).code == 2);
  CHECK(Finished(place, {"run"}).code == 2);
  CHECK(Finished(place, {"run", "e.yaml", "--no-such-option"}).code == 2);
  CHECK(Finished(place, {"run", "e.yaml", "--log-level", "loud"}).code == 2);
  CHECK(Finished(place, {"trian", "e.yaml"}).err() ==
        "tutti: there is no command 'trian'\n  hint: did you mean 'train'?\n");
  CHECK(Finished(place, {"xyzzy"}).err() == "tutti: there is no command 'xyzzy'\n  hint: see 'tutti --help'\n");
  CHECK(contains(Finished(place, {"run"}).err(), "hint: see 'tutti run --help'"));
  const Finished missing(place, {"run", "none.yaml"});
  CHECK(missing.code == 2);
  CHECK(missing.out().empty());
  CHECK(missing.err() == "tutti: cannot read the configuration none.yaml\n  detail: No such file or directory\n");
}

TEST_CASE("a description with mistakes is refused with all of them") {
  const Workplace place("members: [{name: a, model: {kind: fake}}]\nslotz: 3\nseed: -1\n");
  const Finished run(place, {"validate", "e.yaml"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "e.yaml:2:1: unknown key 'slotz'; did you mean 'slots'?"));
  CHECK(contains(run.err(), "e.yaml:3:7: "));
}

TEST_CASE("a valid description is reported as valid and nothing is started") {
  const Workplace place;
  const Finished valid(place, {"validate", "e.yaml", "seed=7"});
  CHECK(valid.code == 0);
  CHECK(valid.out() == "e.yaml is valid: 2 members, mean over probabilities\n");
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("a run writes predictions and a report into a fresh numbered folder") {
  const Workplace place;
  const Finished first(place, {"run", "e.yaml"});
  CHECK(first.code == 0);
  CHECK(contains(first.out(), "member"));
  CHECK(contains(first.out(), "ensemble"));
  CHECK(contains(first.out(), "report: runs/0001/report.json"));
  for (const char* member : {"a", "b"})
    CHECK(contains(first.err(), std::string(member) + " on cpu is ready: loaded in "));
  CHECK(Finished(place, {"run", "e.yaml"}).code == 0);
  CHECK(place.has("runs/0002/report.json"));
  const std::string predictions = place.read("runs/0001/predictions.npy");
  CHECK(contains(predictions.substr(0, 128), "'shape': (50, 4)"));
  CHECK(contains(predictions.substr(0, 128), "<f4"));
  CHECK(predictions.size() % 64 == (50 * 4 * 4) % 64);
  const std::string predicted = place.read("runs/0001/predicted.npy");
  CHECK(contains(predicted.substr(0, 128), "'shape': (50,)"));
  CHECK(predictions == place.read("runs/0002/predictions.npy"));
  CHECK_FALSE(place.has("runs/0001/members"));
  CHECK_FALSE(place.has("runs/0001/journal"));
}

TEST_CASE("the report counts what was handed out and copied") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml"}).code == 0);
  const json::value report = place.report();
  CHECK(report.at("schema") == "tutti.report/1");
  CHECK(report.at("command") == "run");
  CHECK(report.at("completed") == true);
  CHECK(report.at("interrupted_by").is_null());
  CHECK(report.at("finished") == parse_json(R"({"segments": 3, "of": 3, "images": 50, "of_images": 50, "resumed": 0,
                       "ranges": [{"first": 0, "count": 50}]})",
                                            "what is expected"));
  CHECK(report.at("faults").at("deaths") == 0);
  CHECK(report.at("version") == version());
  CHECK(report.at("build_id") == build_id());
  CHECK(report.at("counts").at("images") == 50);
  CHECK(report.at("counts").at("segments_handed_out") == 6);
  CHECK(report.at("counts").at("segments_answered") == 6);
  CHECK(report.at("counts").at("input_bytes_copied") == 50 * 16 * 4);
  REQUIRE(report.at("members").as_array().size() == 2);
  const json::value& member = report.at("members").at(1);
  CHECK(member.at("name") == "b");
  CHECK(member.at("kind") == "fake");
  CHECK(member.at("device") == "cpu");
  CHECK(member.at("images") == 50);
  CHECK(member.at("segments_answered") == 3);
  CHECK(member.at("accuracy").is_double());
  CHECK(member.at("pss_bytes").is_number());
  CHECK(report.at("ensemble").at("rule") == "mean");
  CHECK(report.at("ensemble").at("confusion_matrix").as_array().size() == 4);
  CHECK(report.at("ensemble").at("per_class_accuracy").as_array().size() == 4);
  CHECK(report.at("memory").at("arena_bytes").is_number());
  CHECK_FALSE(report.at("memory").at("bounds").as_array().empty());
  for (const char* phase : {"start_up", "warm_up", "predict", "total"})
    CHECK(report.at("phases").at(phase).is_double());
  CHECK(report.at("phases").at("train").is_null());
  CHECK(contains(std::string(report.at("configuration").as_string()), "segment_images: 20"));
}

TEST_CASE("accuracy counts images and agrees with the confusion matrix") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml"}).code == 0);
  const json::value report = place.report();
  std::int64_t images = 0;
  std::int64_t right = 0;
  for (std::size_t label = 0; label < 4; ++label)
    for (std::size_t predicted = 0; predicted < 4; ++predicted) {
      const std::int64_t count = report.at("ensemble").at("confusion_matrix").at(label).at(predicted).as_int64();
      images += count;
      right += label == predicted ? count : 0;
    }
  CHECK(images == 50);
  CHECK(report.at("ensemble").at("accuracy").as_double() == doctest::Approx(static_cast<double>(right) / 50));
}

TEST_CASE("values after the file override it") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "segment_images=10", "output=here", "save_members=true"}).code == 0);
  const json::value report = place.report("here");
  CHECK(report.at("counts").at("segments_handed_out") == 10);
  CHECK(place.has("here/members/a.npy"));
  CHECK(place.has("here/members/b.npy"));
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("an option that names a device takes one value and leaves the rest of the line alone") {
  const Workplace place;
  const int core = ::sched_getcpu();
  const std::string device = "cpu:" + std::to_string(core);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"run", "e.yaml", "--assign", "a=" + device, "output=here"},
        std::vector<std::string>{"run", "--assign", "a=" + device, "e.yaml", "output=here"},
        std::vector<std::string>{"run", "--assign=a=" + device, "e.yaml", "output=here"}}) {
    REQUIRE(Finished(place, words).code == 0);
    CHECK(place.report("here").at("members").at(0).at("device") == device.c_str());
    CHECK(place.report("here").at("members").at(0).at("cores").at(0) == core);
    CHECK(place.report("here").at("members").at(1).at("device") == "cpu");
    std::filesystem::remove_all(place / "here");
  }
  REQUIRE(
      Finished(place, {"run", "--assign", "a=" + device, "--assign", "b=" + device, "e.yaml", "output=here"}).code ==
      0);
  CHECK(place.report("here").at("members").at(1).at("device") == device.c_str());
}

TEST_CASE("a dry run prints what plan prints and starts nothing") {
  const Workplace place;
  const Finished plan(place, {"plan", "e.yaml", "slots=3"});
  const Finished dry(place, {"run", "e.yaml", "--dry-run", "slots=3"});
  CHECK(plan.code == 0);
  CHECK(dry.code == 0);
  // The memory that is available changes from one look to the next.
  const auto without_machine = [](const std::string& text) {
    const std::size_t begin = text.find("machine ");
    return text.substr(0, begin) + text.substr(text.find('\n', begin));
  };
  CHECK(without_machine(plan.out()) == without_machine(dry.out()));
  CHECK(contains(plan.out(), "arena: 3 slots"));
  CHECK(contains(plan.out(), "channel of b"));
  CHECK(contains(plan.out(), "in all"));
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("a plan that does not fit is printed and fails with every term") {
  const Workplace place;
  const Finished plan(place, {"plan", "e.yaml", "slots=64", "segment_images=60000", "input.shape=[3,200,200]"});
  CHECK(plan.code == 1);
  CHECK(contains(plan.out(), "in all"));
  CHECK(contains(plan.err(), "the ensemble does not fit into memory"));
  CHECK(contains(plan.err(), "arena: 64 slots"));
}

TEST_CASE("training prints every epoch and its weights are what a run starts from") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 4, weights: w/a.safetensors}}
  - {name: b, model: {kind: fake, classes: 4, weights: w/b.safetensors}, train: {epochs: 1}}
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}
train: {epochs: 2, batch_images: 8}
segment_images: 20
)");
  const Finished too_early(place, {"run", "e.yaml"});
  CHECK(too_early.code == 2);
  CHECK(contains(too_early.err(), "a: there is no readable file 'w/a.safetensors'"));
  CHECK(contains(too_early.err(), "train them first: tutti train"));
  const Finished train(place, {"train", "e.yaml"});
  CHECK(train.code == 0);
  for (const char* line : {"a             epoch 1/2  loss ", "a             epoch 2/2  loss ",
                           "b             epoch 1/1  loss ", "ensemble"})
    CHECK(contains(train.out(), line));
  const json::value report = place.report();
  CHECK(report.at("command") == "train");
  CHECK(report.at("members").at(0).at("epochs").as_array().size() == 2);
  CHECK(report.at("members").at(1).at("epochs").as_array().size() == 1);
  CHECK(report.at("members").at(0).at("weights").as_string().ends_with("/w/a.safetensors"));
  CHECK(report.at("members").at(0).at("accuracy").is_double());
  CHECK(report.at("phases").at("train").is_double());
  const std::string weights = place.read("w/a.safetensors");
  REQUIRE(Finished(place, {"run", "e.yaml"}).code == 0);
  CHECK(place.report("runs/0002").at("members").at(0).at("accuracy") == report.at("members").at(0).at("accuracy"));
  CHECK(Finished(place, {"train", "e.yaml", "--quiet"}).out().empty());
  CHECK(place.read("w/a.safetensors") == weights);
}

TEST_CASE("with more than a thousand classes the report has an accuracy per class and no confusion matrix") {
  const Workplace place(R"(
members: [{name: a, model: {kind: fake, classes: 1001}}]
assignment: cpu
input: {dataset: random, count: 10, shape: [1, 4, 4], classes: 1001}
)");
  REQUIRE(Finished(place, {"run", "e.yaml"}).code == 0);
  const json::value report = place.report();
  CHECK(report.at("ensemble").at("confusion_matrix").as_array().empty());
  CHECK(report.at("ensemble").at("per_class_accuracy").as_array().size() == 1001);
  CHECK(report.at("ensemble").at("accuracy").is_double());
}

TEST_CASE("a run folder that is a file is refused and the file stays") {
  const Workplace place;
  place.write("taken", "precious");
  const Finished run(place, {"run", "e.yaml", "output=taken"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "cannot write results to taken"));
  CHECK(place.read("taken") == "precious");
}

TEST_CASE("a description without images to run on is refused") {
  const Workplace place("members: [{name: a, model: {kind: fake}}]\nassignment: cpu\n");
  const Finished run(place, {"run", "e.yaml"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "there are no images to work on"));
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "3x32x32 from the API"));
}

TEST_CASE("a description with tasks alone is evaluated and planned and not run") {
  const Workplace place(
      "members: [{name: a, model: {kind: fake, classes: 4}}]\nassignment: cpu\n"
      "tasks: [{name: t, input: {dataset: random, count: 30, shape: [1, 4, 5], classes: 4}}]\n");
  for (const char* command : {"run", "train"}) {
    CAPTURE(command);
    const Finished refused(place, {command, "e.yaml"});
    CHECK(refused.code == 2);
    CHECK(
        refused.err() ==
        "tutti: there are no images to work on\n  detail: there are 'tasks', but no 'input'\n  hint: 'tutti evaluate' "
        "uses the tasks; for this command add for example 'input: {dataset: digits}'\n");
  }
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "30 x 1x4x5 of random"));
}

TEST_CASE("a worker program that is missing is refused by its option and its variable") {
  const Workplace place;
  const Finished option(place, {"run", "e.yaml", "--worker", "/nonexistent"});
  CHECK(option.code == 2);
  CHECK(contains(option.err(), "no worker program at '/nonexistent'"));
  ProgramOptions options = place.options();
  options.environment = {{"TUTTI_WORKER", "/nonexistent/too"}};
  const Finished variable({"run", "e.yaml"}, options);
  CHECK(variable.code == 2);
  CHECK(contains(variable.err(), "from the environment variable TUTTI_WORKER"));
}

TEST_CASE("a member to debug that does not exist is refused") {
  const Workplace place;
  const Finished run(place, {"run", "e.yaml", "--debug-worker", "c"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "there is no member 'c' to debug"));
}

TEST_CASE("1 image is an ordinary run") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "input.count=1", "output=one"}).code == 0);
  CHECK(contains(place.read("one/predictions.npy"), "'shape': (1, 4)"));
  CHECK(place.report("one").at("counts").at("images") == 1);
}

TEST_CASE("a file size limit while results are written gives an error and leaves no half file") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "output=here"}).code == 0);
  ProgramOptions options = place.options();
  options.file_limit = 1 << 20;  // enough for the arena, too little for the results
  const std::vector<std::string> large{
      "run", "e.yaml", "output=here", "input.count=80000", "slots=1", "segment_images=1000"};
  const Finished run(large, options);
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "could not write here/"));
  CHECK(contains(run.err(), "ulimit -f"));
  CHECK_FALSE(place.has("here/predictions.npy"));
  CHECK(place.report("here").at("completed") == false);
}

/// A file system of 64 kB, if this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directory(folder_);
    there_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (there_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool there() const { return there_; }

 private:
  std::filesystem::path folder_;
  bool there_ = false;
};

TEST_CASE("a full disk while results are written gives an error and leaves no half file") {
  const Workplace place;
  const SmallDisk disk(place / "disk");
  if (!disk.there()) {
    std::puts("SKIPPED: this process may not mount a file system");
    return;
  }
  REQUIRE(Finished(place, {"run", "e.yaml", "output=disk/here"}).code == 0);
  const Finished run(place, {"run", "e.yaml", "output=disk/here", "input.count=20000"});
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "could not write disk/here/"));
  CHECK(contains(run.err(), "No space left on device"));
  CHECK(contains(run.err(), "free space below disk/here"));
  // What can be continued: nothing temporary, and nothing of the run before.
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(place / "disk/here"))
    files.insert(entry.path().filename());
  CHECK(files ==
        std::set<std::string>{"journal", "predicted.npy.unfinished", "predictions.npy.unfinished", "report.json"});
}

}  // namespace
}  // namespace tutti::test
