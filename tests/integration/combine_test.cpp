// `tutti combine`: the members' outputs that a run saved give the bytes that the pool would have written.
#include <doctest/doctest.h>

#include <signal.h>

#include <filesystem>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/program/made_heads.hpp"

namespace tutti::test {
namespace {

/// A run that saved its members, in the folder `saved`.
struct Saved {
  explicit Saved(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"run", "e.yaml", "-q", "save_members=true", "output=saved"};
    words.insert(words.end(), more.begin(), more.end());
    code = Finished(place, words).code;
  }
  Workplace place;
  int code = 0;
};

/// The table of a run names images and classes, which only its source knows.
const std::vector<std::string> kNotCombined{"predictions.csv"};

std::string refusal(const Workplace& place, std::vector<std::string> words) {
  words.insert(words.begin(), {"combine", "-q"});
  const Finished combined(place, words);
  CHECK(combined.code == 2);
  return combined.err();
}

TEST_CASE("saved outputs combined by any rule give the bytes of a run by that rule") {
  const Saved saved({"members.1.weight=2"});
  REQUIRE(saved.code == 0);
  const std::string rules = "mean,sum,weighted,max,most_confident,vote,median,geometric_mean";
  const Finished combined(saved.place, {"combine", "saved", "--rules", rules, "-o", "c"});
  REQUIRE(combined.code == 0);
  CHECK(contains(combined.out(), "ensemble geometric_mean"));
  CHECK(contains(combined.out(), "report: c/report.json"));
  for (std::size_t begin = 0; begin < rules.size();) {
    const std::size_t end = std::min(rules.find(',', begin), rules.size());
    const std::string rule = rules.substr(begin, end - begin);
    CAPTURE(rule);
    REQUIRE(
        Finished(saved.place, {"run", "e.yaml", "-q", "members.1.weight=2", "combine.rule=" + rule, "output=" + rule})
            .code == 0);
    CHECK(different_results(saved.place, "c/" + rule, rule) == kNotCombined);
    begin = end + 1;
  }
}

TEST_CASE("without a list the rule of the run is used again and the figures are the same") {
  const Saved saved;
  REQUIRE(Finished(saved.place, {"combine", "saved", "-q"}).code == 0);
  const json::value report = saved.place.report();
  CHECK(report.at("command") == "combine");
  CHECK(report.at("completed") == true);
  CHECK(report.at("counts").at("segments_handed_out") == 0);
  CHECK(report.at_pointer("/evaluation/models/2/average/loss") ==
        saved.place.report("saved").at_pointer("/ensemble/loss"));
  CHECK(report.at_pointer("/evaluation/models/0/average/accuracy") ==
        saved.place.report("saved").at_pointer("/members/0/accuracy"));
  CHECK(report.at_pointer("/evaluation/models/2/model_info/all_params") == 8);
}

TEST_CASE("weights and accumulation of the command line change the result as they do in a run") {
  const Saved saved;
  REQUIRE(Finished(saved.place, {"combine", "saved", "combine.accumulate=float64", "--rules", "weighted", "--weights",
                                 "1,0.25", "-q", "-o", "c"})
              .code == 0);
  REQUIRE(Finished(saved.place, {"run", "e.yaml", "-q", "members.1.weight=0.25",
                                 "combine={rule: weighted, accumulate: float64}", "output=r"})
              .code == 0);
  CHECK(different_results(saved.place, "c/weighted", "r") == kNotCombined);
  CHECK(contains(refusal(saved.place, {"saved", "--weights", "1"}), "--weights lists 1 weight for 2 members"));
  CHECK(contains(refusal(saved.place, {"saved", "--weights", "1,2", "--rules", "mean,max"}),
                 "'--weights' belongs to the rules weighted and vote\n  detail: none of those is asked for"));
}

TEST_CASE("finite answers that overflow when they are combined end every command with an error") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 2, weights: large.safetensors}}
  - {name: b, model: {kind: fake, classes: 2, weights: large.safetensors}}
assignment: cpu
combine: {rule: sum, over: logits}
input: {dataset: random, count: 10, shape: [1, 4, 4], classes: 2, seed: 3}
)");
  merge::test::write(place / "large.safetensors", {merge::test::f32("bias", {2}, {0.0F, 3e38F})});
  const std::string wanted = "rule sum gives NaN or infinity for image 0, although every member is finite there";
  for (const std::string command : {"run", "evaluate"}) {
    const Finished program(place, {command, "e.yaml", "-q"});
    CHECK(program.code == 1);
    CHECK(contains(program.err(), wanted));
  }
  CHECK(Finished(place, {"run", "e.yaml", "-q", "on_nan=allow", "output=allowed"}).code == 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "combine.rule=none", "output=saved"}).code == 0);
  const Finished combined(place, {"combine", "saved", "--rules", "sum", "-q"});
  CHECK(combined.code == 1);
  CHECK(contains(combined.err(), wanted));
  CHECK_FALSE(place.has("runs/0003/sum/predictions.npy"));
}

TEST_CASE("weights that cancel are refused also if they come with the command line") {
  const Saved saved({"combine.rule=weighted"});
  REQUIRE(saved.code == 0);
  CHECK(contains(refusal(saved.place, {"saved", "--weights", "1,-1"}),
                 "the weights sum to 0, and rule weighted cannot divide by that"));
  CHECK(contains(refusal(saved.place, {"saved", "--weights", "1,-1.00000001"}),
                 "the weights sum to 0, and rule weighted cannot divide by that"));
}

TEST_CASE("a description that names its run folder is combined by its own rule") {
  const Saved saved;
  const auto yaml = kTwoFakes + "output: saved\ncombine: {rule: max}\n";
  saved.place.write("max.yaml", yaml);
  REQUIRE(Finished(saved.place, {"combine", "max.yaml", "-q", "-o", "c"}).code == 0);
  REQUIRE(Finished(saved.place, {"run", "e.yaml", "-q", "combine.rule=max", "output=r"}).code == 0);
  CHECK(different_results(saved.place, "c/max", "r") == kNotCombined);
  CHECK(contains(refusal(saved.place, {"sved"}), "sved is neither the folder of a run nor a description"));
  CHECK(contains(refusal(saved.place, {"saved/report.json"}), "hint: name the folder that the run said"));
  CHECK(contains(refusal(saved.place, {"e.yaml"}), "e.yaml does not say where its run was written"));
  saved.place.write("other.yaml", kTwoFakes + "output: saved\n");
  CHECK(contains(refusal(saved.place, {"other.yaml", "members.1.name=c"}),
                 "the members are not those of the run\n  detail: then: a, b; now: a, c"));
}

TEST_CASE("outputs are not used as another kind than the one that was saved") {
  const Saved saved;
  CHECK(contains(refusal(saved.place, {"saved", "combine.over=logits"}),
                 "the run was combined over probabilities, and cannot be combined over logits"));
}

TEST_CASE("segments that lacked a member are combined as the pool did") {
  const std::vector<std::string> degraded{"on_worker_failure=degrade", "restarts={limit: 0}",
                                          "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]"};
  const Saved saved(degraded);
  REQUIRE(saved.code == 3);
  CHECK(Finished(saved.place, {"combine", "saved", "-q", "-o", "c"}).code == 3);
  CHECK(saved.place.read("c/mean/predictions.npy") == saved.place.read("saved/predictions.npy"));
  CHECK(saved.place.read("c/mean/predicted.npy") == saved.place.read("saved/predicted.npy"));
  CHECK(saved.place.report("c").at_pointer("/evaluation/models/2/average/loss") ==
        saved.place.report("saved").at_pointer("/ensemble/loss"));
}

TEST_CASE("the outputs that an evaluation saved for its tasks are combined behind the same heads") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 2}, output: features}
  - {name: b, model: {kind: fake, classes: 2}, output: features}
assignment: cpu
combine: {over: features}
save_members: true
tasks:
  - {name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 3, seed: 3}, head: three.st}
)");
  write_head(place / "three.st", 3, 2, {1, 0, 0, 1, -1, -1});
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=saved", "--rules", "mean,max,vote"}).code == 0);
  CHECK(place.has("saved/tasks/t/members/b.npy"));
  CHECK(place.has("saved/tasks/t/labels.npy"));
  REQUIRE(Finished(place, {"combine", "saved", "-q", "-o", "c", "--rules", "mean,max,vote"}).code == 0);
  CHECK(place.report("c").at("evaluation").at("models") == place.report("saved").at("evaluation").at("models"));
  CHECK(place.read("c/tasks/t/disagreement.npy") == place.read("saved/tasks/t/disagreement.npy"));
  CHECK(contains(place.read("c/tasks/t/mean/predictions.npy").substr(0, 128), "'shape': (50, 2)"));
  CHECK_FALSE(place.has("c/tasks/t/mean/predicted.npy"));
  CHECK(contains(place.read("c/tasks/t/vote/predictions.npy").substr(0, 128), "'shape': (50, 3)"));
  REQUIRE(
      Finished(place, {"evaluate", "e.yaml", "-q", "output=table", "--rules", "mean", "--csv", "id,classes"}).code ==
      0);
  REQUIRE(Finished(place, {"combine", "saved", "-q", "-o", "d", "--rules", "vote,mean", "--csv", "id,classes"}).code ==
          0);
  CHECK(place.read("d/tasks/t/mean/predictions.csv") == place.read("table/tasks/t/predictions.csv"));
  CHECK(place.read("d/tasks/t/vote/predictions.csv").starts_with("id,0,1,2\n0,"));
  std::string renamed = place.read("e.yaml");
  renamed.replace(renamed.find("name: t,"), 8, "name: z,");
  place.write("z.yaml", renamed + "output: saved\n");
  CHECK(contains(refusal(place, {"z.yaml"}), "the run has a task 't', and the description has none"));
  std::filesystem::remove(place / "three.st");
  write_head(place / "three.st", 3, 5, std::vector<float>(15));
  CHECK(contains(refusal(place, {"saved"}), "it has 2 values per image, three.st has 5"));
}

TEST_CASE("without labels there are predictions and no figures") {
  const Saved saved({"input.classes=null"});
  REQUIRE(saved.code == 0);
  CHECK_FALSE(saved.place.has("saved/labels.npy"));
  REQUIRE(Finished(saved.place, {"combine", "saved", "-q", "-o", "c"}).code == 0);
  CHECK(saved.place.read("c/mean/predictions.npy") == saved.place.read("saved/predictions.npy"));
  CHECK(saved.place.report("c").at_pointer("/evaluation/models/2/average/accuracy").is_null());
}

TEST_CASE("folders without a complete run or without its outputs are refused") {
  const Saved saved;
  CHECK(contains(refusal(saved.place, {"none"}), "none is neither the folder of a run nor a description"));
  std::filesystem::create_directory(saved.place / "empty");
  CHECK(contains(refusal(saved.place, {"empty"}), "cannot read the report of the run empty/report.json"));
  REQUIRE(Finished(saved.place, {"run", "e.yaml", "-q", "output=plain"}).code == 0);
  CHECK(contains(refusal(saved.place, {"plain"}), "this run did not save the members' outputs\n  hint: run it again"));
  std::filesystem::copy(saved.place / "saved/members", saved.place / "plain/members");
  CHECK(contains(refusal(saved.place, {"plain"}), "detail: the files next to its report are older"));
  CHECK(contains(refusal(saved.place, {"saved", "-o", "saved"}),
                 "the results would replace the ones that are being combined"));
  CHECK(contains(refusal(saved.place, {"saved", "combine.rule=none"}), "there is no rule to combine by"));
  REQUIRE(Finished(saved.place, {"combine", "saved", "-q", "-o", "c"}).code == 0);
  CHECK(contains(refusal(saved.place, {"c"}), "it was written by 'tutti combine'"));
  std::filesystem::remove(saved.place / "saved/members/a.npy");
  CHECK(contains(refusal(saved.place, {"saved"}),
                 "detail: the outputs of 'a' were not saved: there is no saved/members/a.npy"));
}

TEST_CASE("files that are not from one run are refused and named") {
  const Saved saved;
  REQUIRE(Finished(saved.place, {"run", "e.yaml", "-q", "save_members=true", "output=short", "input.limit=30"}).code ==
          0);
  const auto copy = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(saved.place / "short/members/b.npy", saved.place / "saved/members/b.npy", copy);
  CHECK(contains(refusal(saved.place, {"saved"}), "saved/members/b.npy holds 30 rows, but the report says 50 images"));
  REQUIRE(
      Finished(saved.place, {"run", "e.yaml", "-q", "output=wide", "combine.rule=none", "members.1.model.classes=5"})
          .code == 0);
  std::filesystem::copy_file(saved.place / "wide/members/b.npy", saved.place / "saved/members/b.npy", copy);
  CHECK(contains(refusal(saved.place, {"saved"}), "it has 5 values per image, saved/members/a.npy has 4"));
}

TEST_CASE("a combination that is interrupted says that nothing was written and leaves no folder") {
  const Saved saved;
  REQUIRE(saved.code == 0);
  // As if it had had many images: zeros, which take no space on the disk.
  constexpr std::uint64_t kImages = 30'000'000;
  for (const char* file : {"saved/members/a.npy", "saved/members/b.npy"}) {
    std::string head = saved.place.read(file).substr(0, 128);
    const std::size_t shape = head.find("(50, 4), }");
    REQUIRE(shape != std::string::npos);
    head.replace(shape, 16, "(30000000, 4), }");
    saved.place.write(file, head);
    std::filesystem::resize_file(saved.place / file, 128 + kImages * 16);
  }
  std::filesystem::remove(saved.place / "saved/labels.npy");
  std::string report = saved.place.read("saved/report.json");
  const std::size_t counts = report.find("\"images\": 50,", report.find("\"counts\""));
  REQUIRE(counts != std::string::npos);
  saved.place.write("saved/report.json", report.replace(counts, 13, "\"images\": 30000000,"));
  Program program(Workplace::command({"combine", "saved", "-o", "c", "--rules", "mean,vote"}), saved.place.options());
  REQUIRE(happens([&] { return saved.place.has("c/vote"); }));
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(program.err() == "tutti: interrupted\n  detail: nothing was written\n");
  CHECK_FALSE(saved.place.has("c"));
}

TEST_CASE("a report that is damaged or has another schema or is from a run that did not complete is refused") {
  const Saved saved;
  const std::string text = saved.place.read("saved/report.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const std::size_t at = changed.find(from);
    REQUIRE(at != std::string::npos);
    saved.place.write("saved/report.json", changed.replace(at, from.size(), to));
    return refusal(saved.place, {"saved"});
  };
  CHECK(contains(with("tutti.report/1", "tutti.report/9"), "the schema of its report is tutti.report/9"));
  CHECK(contains(with("\"completed\": true", "\"completed\": false"), "the run in it did not complete"));
  CHECK(contains(with("\"completed\"", "\"compleat\""), "saved/report.json is not a report of this version: "));
  CHECK(contains(with("{", "["), "saved/report.json is not valid JSON"));
  CHECK(contains(with("\"name\": \"a\"", "\"name\": \"../a\""), "'../a' is not a name of a member or a task"));
}

}  // namespace
}  // namespace tutti::test
