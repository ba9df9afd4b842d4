// What `base:` and `merge:` mean, and the messages about mistakes in them.
#include "config/merge.hpp"

#include <doctest/doctest.h>

#include "tests/config/problems.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

const std::string kTwo =
    "members: [{name: a, model: {kind: mlp, layers: [10], weights: a.st}, weight: 2}, "
    "{name: b, model: {kind: mlp, layers: [10], weights: b.st}}]\n";
const std::string kBase = "base: {kind: mlp, layers: [10], weights: base.st}\n";

config::EnsembleSpec load_two(const std::string& rest) { return config::load_text(kTwo + rest, "e.yaml"); }
std::string wrong_merge(const std::string& rest) { return problem(kTwo + rest); }

config::MergeSpec merge(const std::string& rest) {
  const config::EnsembleSpec spec = load_two(rest);
  REQUIRE(spec.merge);
  // The effective configuration says the same.
  const config::EnsembleSpec again = config::load_text(spec.effective_yaml, "again");
  CHECK(again == spec);
  return *spec.merge;
}

TEST_CASE("without the keys nothing is merged") {
  const config::EnsembleSpec spec = load_two("");
  CHECK_FALSE(spec.base);
  CHECK_FALSE(spec.merge);
  CHECK(spec.effective_yaml.find("merge") == std::string::npos);
}

TEST_CASE("an average is over all members by default") {
  const config::MergeSpec spec = merge("merge: {}\n");
  CHECK(spec.method == MergeMethod::average);
  CHECK(spec.over == std::vector<std::size_t>{0, 1});
  CHECK_FALSE(spec.accumulate_f64);
  CHECK(merge("merge: {method: average, accumulate: float64}\n").accumulate_f64);
}

TEST_CASE("members are named or counted and stay in that order") {
  CHECK(merge("merge: {over: [b, a]}\n").over == std::vector<std::size_t>{1, 0});
  CHECK(merge("merge: {over: [1]}\n").over == std::vector<std::size_t>{1});
}

TEST_CASE("weights are those of the members or of the merge") {
  CHECK(merge("merge: {method: weighted}\n").weights == std::vector<double>{2, 1});
  CHECK(merge("merge: {method: weighted, over: [b]}\n").weights == std::vector<double>{1});
  const config::MergeSpec spec = merge("merge: {method: weighted, weights: [1, -1], normalize: false}\n");
  CHECK(spec.weights == std::vector<double>{1, -1});
  CHECK_FALSE(spec.normalize);
}

TEST_CASE("each method has its keys") {
  CHECK(merge(kBase + "merge: {method: task_arithmetic}\n").scaling == 0.3);
  CHECK(merge(kBase + "merge: {method: task_arithmetic, scaling: -1}\n").scaling == -1);
  const config::MergeSpec ties = merge(kBase + "merge: {method: ties}\n");
  CHECK(ties.density == 0.2);
  CHECK(ties.disjoint == Disjoint::sum);
  const config::MergeSpec mean = merge(kBase + "merge: {method: ties, density: 1, disjoint: mean, scaling: 1}\n");
  CHECK(mean.density == 1);
  CHECK(mean.disjoint == Disjoint::mean);
  CHECK(merge("merge: {method: slerp}\n").t == 0.5);
  CHECK(merge("merge: {method: slerp, t: 0.25}\n").t == 0.25);
  const config::MergeSpec soup = merge("merge: {method: greedy_soup, input: {dataset: digits, limit: 9}}\n");
  REQUIRE(soup.input);
  CHECK(soup.input->limit == 9);
  CHECK(load_two(kBase).base->weights == "base.st");
}

TEST_CASE("keys of other methods are explained") {
  CHECK(wrong_merge("merge: {weights: [1, 2]}\n") == "e.yaml:2:9: 'weights' belongs to weighted, not to average");
  CHECK(wrong_merge("merge: {normalize: true}\n") == "e.yaml:2:9: 'normalize' belongs to weighted, not to average");
  CHECK(wrong_merge("merge: {scaling: 1}\n") ==
        "e.yaml:2:9: 'scaling' belongs to task_arithmetic or ties, not to average");
  CHECK(wrong_merge("merge: {density: 1}\n") == "e.yaml:2:9: 'density' belongs to ties, not to average");
  CHECK(wrong_merge("merge: {disjoint: sum}\n") == "e.yaml:2:9: 'disjoint' belongs to ties, not to average");
  CHECK(wrong_merge("merge: {t: 1}\n") == "e.yaml:2:9: 't' belongs to slerp, not to average");
  CHECK(wrong_merge("merge: {input: {}}\n") ==
        "e.yaml:2:9: 'input' belongs to greedy_soup or batch_norm: estimate, not to average");
  CHECK(wrong_merge("merge: {wieghts: 1}\n").find("unknown key") != std::string::npos);
}

TEST_CASE("values of the wrong form are refused with what they must be") {
  CHECK(wrong_merge("merge: {method: avarage}\n").find("did you mean 'average'?") != std::string::npos);
  CHECK(wrong_merge("merge: {accumulate: float16}\n").find("must be float32 or float64") != std::string::npos);
  CHECK(wrong_merge(kBase + "merge: {method: ties, density: 20}\n") ==
        "e.yaml:3:32: 'density' must be a number above 0 and at most 1, not '20'");
  CHECK(wrong_merge("merge: {over: a}\n") ==
        "e.yaml:2:15: 'over' must be a list of members such as [cnn-0, cnn-1], not 'a'");
  CHECK(wrong_merge("merge: {over: []}\n") ==
        "e.yaml:2:15: 'over' must be a list of members such as [cnn-0, cnn-1], not an empty one");
  CHECK(wrong_merge("merge: {over: [a, [b]]}\n") == "e.yaml:2:19: each item of 'over' must be a member, not a list");
  CHECK(wrong_merge("merge: {over: [a, a]}\n") == "e.yaml:2:19: 'over' names member 'a' twice");
  CHECK(wrong_merge("merge: {over: [a, 2]}\n").find("2:19: a rank in 'over' must be a whole number") !=
        std::string::npos);
  CHECK(wrong_merge("merge: {over: [bb]}\n").find("'over' names 'bb', but no member has that name") !=
        std::string::npos);
  CHECK(wrong_merge("merge: {method: weighted, weights: 3}\n") ==
        "e.yaml:2:36: 'weights' must be a list of numbers such as [1, 2], not '3'");
  CHECK(wrong_merge("merge: {method: weighted, weights: [1]}\n") ==
        "e.yaml:2:36: 'weights' has 1 number for 2 members");
  CHECK(wrong_merge("merge: {method: weighted, weights: [1, x]}\n").find("each item of 'weights'") !=
        std::string::npos);
}

TEST_CASE("weights that cannot be normalized are refused") {
  CHECK(wrong_merge("merge: {method: weighted, weights: [1, -1]}\n") ==
        "e.yaml:2:36: the weights sum to 0 and cannot be normalized; change them or set normalize: false");
  // In float32 nothing is left of these, in float64 enough.
  CHECK(wrong_merge("merge: {method: weighted, weights: [0.3, -0.30000001]}\n")
            .find("the weights sum to 0 and cannot be normalized") != std::string::npos);
  CHECK(wrong_merge("merge: {method: weighted, weights: [0.3, -0.30000001], accumulate: float64}\n").empty());
}

TEST_CASE("a method without what it needs is refused") {
  for (const std::string method : {"task_arithmetic", "ties"})
    CHECK(wrong_merge("merge: {method: " + method + "}\n") ==
          "e.yaml:2:8: method " + method +
              " needs 'base', the model that the members were fine-tuned from, such as base: {kind: small-cnn, "
              "weights: base.safetensors}");
  CHECK(wrong_merge("merge: {method: greedy_soup}\n") ==
        "e.yaml:2:8: 'merge' needs 'input', the held-out images that greedy_soup chooses by; or give every task "
        "'held_out' images");
  CHECK(wrong_merge("merge: {method: slerp, over: [a]}\n") ==
        "e.yaml:2:30: slerp merges two members, not 1; name them in 'over'");
}

TEST_CASE("BatchNorm statistics are estimated over images only for torchscript members") {
  const std::string scripts =
      "members: [{name: a, model: {kind: torchscript, path: n.pt, weights: a.st}}, "
      "{name: b, model: {kind: torchscript, path: n.pt, weights: b.st}}]\n"
      "base: {kind: torchscript, path: n.pt, weights: base.st}\n";
  const config::EnsembleSpec spec =
      config::load_text(scripts + "merge: {batch_norm: estimate, input: {dataset: digits}}\n", "e.yaml");
  CHECK(spec.members[1].model.weights == "b.st");
  CHECK(spec.base->weights == "base.st");
  CHECK(spec.merge->batch_norm == BatchNorm::estimate);
  REQUIRE(spec.merge->input);
  CHECK(spec.merge->input->split == config::Split::train);
  CHECK(config::load_text(scripts + "merge: {}\n", "e.yaml").merge->batch_norm == BatchNorm::keep);
  CHECK(problem(scripts + "merge: {batch_norm: estimate}\n") ==
        "e.yaml:3:8: 'merge' needs 'input', the images over which batch_norm: estimate computes the statistics");
  CHECK(problem(scripts + "merge: {batch_norm: guess}\n").find("must be keep or estimate") != std::string::npos);
  CHECK(wrong_merge("merge: {batch_norm: estimate, over: [a], input: {dataset: digits}}\n") ==
        "e.yaml:1:11: member 'a' is a mlp, which has no BatchNorm layers; batch_norm: estimate is for members of kind "
        "torchscript");
}

TEST_CASE("a greedy soup of members that output features needs what every task holds out") {
  const std::string features =
      "members: [{name: a, model: {kind: fake, weights: a.st}, output: features}]\ncombine: {over: features}\n";
  CHECK(problem(features + "merge: {method: greedy_soup, input: {dataset: digits}}\n") ==
        "e.yaml:3:37: greedy_soup chooses by accuracy, and members that are combined over features output no classes; "
        "give every task a head and 'held_out' images instead");
  CHECK(problem(features + "merge: {method: greedy_soup}\n") ==
        "e.yaml:3:8: greedy_soup chooses by accuracy, and members that are combined over features output no classes; "
        "give every task a head and 'held_out' images");
  const auto task = [](const std::string& name, const std::string& rest) {
    return "{name: " + name + ", head: h.st, input: {dataset: digits, limit: 9}" + rest + "}";
  };
  const std::string held = ", held_out: {dataset: digits, skip: 9}";
  const auto said = [&](const std::string& second, const std::string& merge) {
    return problem(features + "tasks:\n  - " + task("t", held) + "\n  - " + second + "\nmerge: {" + merge + "}\n");
  };
  CHECK(said(task("u", held), "method: greedy_soup").empty());
  CHECK(said(task("u", held), "method: average").empty());
  CHECK(said(task("u", ""), "method: average").empty());
  for (const std::string nothing : {"", ", held_out: null"})
    CHECK(said(task("u", nothing), "method: greedy_soup") ==
          "e.yaml:5:5: task 'u' has no 'held_out' images for greedy_soup, but other tasks have; give some "
          "to every task");
  CHECK(said("{head: h.st, input: {dataset: digits}}", "method: greedy_soup")
            .ends_with("task 1 has no 'held_out' images for greedy_soup, but other tasks have; give some "
                       "to every task"));
  CHECK(said(task("u", held), "method: greedy_soup, input: {dataset: digits, limit: 9}") ==
        "e.yaml:6:37: greedy_soup chooses by the 'input' of 'merge' or by the 'held_out' images of the tasks, not by "
        "both; remove one");
}

TEST_CASE("statistics of a soup are estimated over the images of merge besides those that the tasks hold out") {
  const std::string scripts =
      "members: [{name: a, model: {kind: torchscript, path: n.pt, weights: a.st}, output: logits}]\n";
  const std::string held =
      "tasks: [{name: t, input: {dataset: digits, limit: 9}, held_out: {dataset: digits, skip: 9}}]\n";
  const std::string estimate = "merge: {method: greedy_soup, batch_norm: estimate";
  const config::EnsembleSpec spec =
      config::load_text(scripts + held + estimate + ", input: {dataset: digits}}\n", "e.yaml");
  CHECK(spec.merge->input);
  CHECK(spec.tasks[0].held_out);
  CHECK(problem(scripts + held + estimate + "}\n") ==
        "e.yaml:3:8: 'merge' needs 'input', the images over which batch_norm: estimate computes the statistics");
  // If the tasks hold out no images, the soup is chosen by these.
  CHECK(config::load_text(scripts + estimate + ", input: {dataset: digits}}\n", "e.yaml").merge->input);
  CHECK(problem("members: [{name: a, model: {kind: torchscript, path: n.pt, weights: a.st}, output: features}]\n"
                "combine: {over: features}\n" +
                estimate + ", input: {dataset: digits}}\n") ==
        "e.yaml:3:8: greedy_soup chooses by accuracy, and members that are combined over features output no classes; "
        "give every task a head and 'held_out' images");
}

TEST_CASE("a greedy soup of members that output classes chooses by one set or by all tasks") {
  const std::string tasks =
      "tasks: [{name: t, input: {dataset: digits, limit: 9}, held_out: {dataset: digits, skip: 9}}]\n";
  const config::EnsembleSpec spec = load_two(tasks + "merge: {method: greedy_soup}\n");
  CHECK(spec.tasks[0].held_out->skip == 9);
  CHECK_FALSE(spec.merge->input);
  CHECK(config::load_text(spec.effective_yaml, "again") == spec);
  // Mistakes in the tasks are only reported for the tasks.
  CHECK(wrong_merge("tasks: []\nmerge: {method: greedy_soup}\n") ==
        "e.yaml:2:8: 'tasks' must be a list of 1 to 1024 tasks, not one of 0");
}

TEST_CASE("the images of a merge come from a data set") {
  CHECK(wrong_merge("merge: {method: greedy_soup, input: {shape: [1, 2, 2]}}\n")
            .ends_with("the images of 'merge' need a 'dataset': they cannot come through the API"));
}

TEST_CASE("members that cannot be merged are named") {
  const std::string cnn =
      "members: [{name: a, model: {kind: mlp, layers: [10], weights: a.st}}, "
      "{name: b, model: {kind: small-cnn, weights: b.st}}]\n";
  CHECK(problem(cnn + "merge: {}\n") ==
        "e.yaml:1:71: member 'b' is a small-cnn and cannot be merged with member 'a', a mlp; name members of one kind "
        "in 'over'");
  CHECK(problem(cnn + "merge: {over: [b]}\n").empty());
  CHECK(problem("members: [{name: a, model: {kind: small-cnn}}]\nmerge: {}\n") ==
        "e.yaml:1:11: member 'a' names no weights to merge; add 'weights'");
  CHECK(problem("members: [{name: a, model: {kind: torchscript, path: a.pt}}]\nmerge: {}\n") ==
        "e.yaml:1:11: member 'a' names no weights to merge; add 'weights'");
  CHECK(problem("members: [{name: a, model: {kind: aoti, path: a.pt2}}]\nmerge: {}\n") ==
        "e.yaml:1:11: member 'a' is a aoti, whose weights cannot be merged; export it as safetensors for one of "
        "small-cnn, mlp, torchscript, clip-vit, fake");
}

TEST_CASE("a base that does not fit is refused") {
  CHECK(wrong_merge("base: {kind: small-cnn, weights: b.st}\nmerge: {}\n") ==
        "e.yaml:2:7: 'base' is a small-cnn and member 'a' a mlp; they must be of one kind");
  CHECK(wrong_merge("base: {kind: mlp, layers: [10]}\n") ==
        "e.yaml:2:7: 'base' names no weights to merge; add 'weights'");
  CHECK(wrong_merge("base: {kind: aoti, path: b.pt2}\n").find("'base' is a aoti, whose weights") != std::string::npos);
  CHECK(wrong_merge("base: {kind: mpl}\n").find("did you mean 'mlp'?") != std::string::npos);
}

TEST_CASE("the example is read and every method can be chosen on the command line") {
  const auto example = test::in_sources("config/examples/merge.yaml");
  const config::EnsembleSpec spec = config::load_file(example);
  REQUIRE(spec.merge);
  CHECK(spec.merge->method == MergeMethod::ties);
  CHECK(spec.base);
  for (const std::string method :
       {"{method: average}", "{method: weighted}", "{method: task_arithmetic}",
        "{method: slerp, over: [tuned-0, tuned-2]}", "{method: greedy_soup, input: {dataset: digits}}"}) {
    CAPTURE(method);
    config::Overrides overrides;
    overrides.assignments = {"merge=" + method};
    CHECK(config::load_file(example, overrides).merge);
  }
}

TEST_CASE("the weights of a model are where its kind says") {
  CHECK(config::weights_path({SmallCnnModel{}, "a.st"}) == "a.st");
  CHECK(config::weights_path({MlpModel{{10}}, ""}).empty());
  CHECK(config::weights_path({TorchScriptModel{"a.pt"}, "a.st"}) == "a.st");
  CHECK(config::weights_path({TorchScriptModel{"a.pt"}, ""}).empty());
  CHECK(config::weights_path({AotiModel{{"a.pt2"}}, "a.st"}).empty());
  CHECK(config::weights_path({ClipVitModel{"tower"}, ""}) == "tower");
  CHECK(config::weights_path({ClipVitModel{"tower"}, "merged.st"}) == "merged.st");
}

}  // namespace
}  // namespace tutti::test
