// Whether tasks, heads and models fit together, and the messages if they do not.
#include "evaluation/evaluation_task.hpp"

#include <doctest/doctest.h>

#include "config/load.hpp"
#include "evaluation/hosted_models.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/program/made_heads.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

const std::string kFeatures =
    "members: [{name: a, model: {kind: fake, classes: 2}, output: features}]\ncombine: {over: features}\n";

std::string task(const std::string& name, const std::string& rest = "", const std::string& shape = "[1, 2, 2]",
                 int classes = 3) {
  return "{name: " + name + ", input: {dataset: random, count: 4, shape: " + shape +
         (classes > 0 ? ", classes: " + std::to_string(classes) : "") + "}" + rest + "}";
}

config::EnsembleSpec spec_of(const std::string& tasks, const std::string& before = kFeatures) {
  return config::load_text(before + (tasks.empty() ? "" : "tasks: [" + tasks + "]\n"), "e.yaml");
}

std::string refusal(const config::EnsembleSpec& spec) {
  const auto error = error_of([&] { open_tasks(spec); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  return error->message();
}

/// Heads of three classes and two features.
struct Heads {
  Heads() {
    write("h", {});
    write("vit-b", {{"tower", "clip-b"}});
    write("vit-l", {{"tower", "clip-l"}});
    write("named", {{"classes", R"(["x", "y", "z"])"}});
  }
  void write(const std::string& name, const std::map<std::string, std::string>& metadata) const {
    write_head(folder / name, 3, 2, {1, 0, 0, 1, 1, 1}, metadata);
  }
  std::string head(const std::string& name) const { return ", head: '" + (folder / name).string() + "'"; }
  TemporaryFolder folder;
};

TEST_CASE("a task has its images and its head and the names of its classes") {
  const Heads heads;
  const auto tasks = open_tasks(spec_of(task("t", heads.head("named")) + ", " + task("u", heads.head("h"))));
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].source->count() == 4);
  CHECK(tasks[0].head_or_null()->classes() == 3);
  CHECK(tasks[0].class_names == std::vector<std::string>{"x", "y", "z"});
  CHECK(tasks[1].class_names.empty());
  CHECK(tasks[0].report().classes == 3);
  CHECK(tasks[0].report().head == (heads.folder / "named").string());
}

TEST_CASE("without tasks the input is the only one and is named after its data set") {
  const auto tasks = open_tasks(spec_of("", "members: [{name: a, model: {kind: fake}}]\ninput: {dataset: digits}\n"));
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].name == "digits");
  CHECK(tasks[0].head_or_null() == nullptr);
  CHECK(refusal(spec_of("")) == "features cannot be evaluated without classes");
}

TEST_CASE("images without labels are refused") {
  const Heads heads;
  CHECK(refusal(spec_of(task("t", heads.head("h"), "[1, 2, 2]", 0))) == "the images of task 't' have no labels");
}

TEST_CASE("a head of other classes than the task is refused") {
  const Heads heads;
  CHECK(refusal(spec_of(task("t", heads.head("h") + ", classes: [a, b, c, d]"))) ==
        "task 't' names 4 classes, but its head has 3");
  CHECK(refusal(spec_of(task("t", heads.head("h"), "[1, 2, 2]", 5))) ==
        "the images of task 't' have 5 classes, but its head has 3");
  CHECK(refusal(spec_of(task("t", ", head: none.safetensors"))).find("none.safetensors") != std::string::npos);
}

TEST_CASE("tasks of different image shapes are refused with both") {
  const Heads heads;
  CHECK(refusal(spec_of(task("t", heads.head("h")) + ", " + task("u", heads.head("h"), "[1, 2, 3]"))) ==
        "task 't' has images of 1x2x2, task 'u' of 1x2x3");
}

TEST_CASE("tasks whose images the workers would prepare differently are refused") {
  const std::string one =
      "members: [{name: a, model: {kind: fake}, input: {mean: 0.1}}, {name: b, model: {kind: fake}}]\n";
  const std::string all = "members: [{name: a, model: {kind: fake}, input: {mean: 0.1}}]\n";
  const std::string none = "members: [{name: a, model: {kind: fake}}]\n";
  const auto digits = [](const std::string& name, const std::string& rest) {
    return "{name: " + name + ", input: {dataset: digits" + rest + "}}";
  };
  const std::string unlike = digits("t", ", preprocess: {mean: 0.5}") + ", " + digits("u", "");
  CHECK(refusal(spec_of(unlike, one)) == "the images of tasks 't' and 'u' would be prepared differently");
  CHECK(open_tasks(spec_of(unlike, all)).size() == 2);
  CHECK(open_tasks(spec_of(unlike, none)).size() == 2);
  CHECK(open_tasks(spec_of(digits("t", "") + ", " + digits("u", ", skip: 3"), one)).size() == 2);
  const TemporaryFolder images;  // these are bytes in the arena, the others float32
  for (const char* label : {"a", "b"}) {
    std::filesystem::create_directory(images / label);
    std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/plain.png"), images / label / "image.png");
  }
  const std::string floats = "{name: t, input: {dataset: folder, resize: 32, crop: 32, path: '" +
                             images.path().string() + "'}}, " + task("u", "", "[3, 32, 32]");
  CHECK(refusal(spec_of(floats, all)) == "the images of tasks 't' and 'u' would be prepared differently");
  CHECK(refusal(spec_of(floats, none)) == "the images of tasks 't' and 'u' would be prepared differently");
}

TEST_CASE("heads of different text towers are refused and those of unknown ones are not") {
  const Heads heads;
  const auto three = [&](const std::string& last) {
    return spec_of(task("t", heads.head("vit-b")) + ", " + task("u", heads.head("h")) + ", " +
                   task("v", heads.head(last)));
  };
  CHECK(open_tasks(three("vit-b")).size() == 3);
  CHECK(refusal(three("vit-l")) == "the heads of tasks 't' and 'v' were made with different text towers");
}

TEST_CASE("a head of another width than the features is refused with both") {
  const Heads heads;
  const auto tasks = open_tasks(spec_of(task("mnist", heads.head("h"))));
  std::vector<MemberStatus> models(2);
  models[0].name = "a";
  models[1].name = "base";
  models[0].output = models[1].output = {2};
  check_widths(tasks, models, 1, true);
  models[1].output = {768};
  const auto error = error_of([&] { check_widths(tasks, models, 1, true); });
  REQUIRE(error);
  CHECK(error->message() == "the head of task 'mnist' takes 2 features, but 'base' outputs 768");
  CHECK(error->detail() == (heads.folder / "h").string());
}

TEST_CASE("models with other classes than the task and members of unequal widths are refused") {
  const std::string classes = "members: [{name: a, model: {kind: torchscript, path: x.pt}}]\n";
  std::vector<MemberStatus> models(2);
  models[0].name = "a";
  models[1].name = "b";
  models[0].output = {3};
  models[1].output = {2};
  const auto said = [&](const std::string& tasks, bool combined) -> std::string {
    const auto opened = tasks.empty() ? std::vector<EvaluationTask>{} : open_tasks(spec_of(tasks, classes));
    const auto error = error_of([&] { check_widths(opened, models, 2, combined); });
    return error ? error->message() : "";
  };
  CHECK(said(task("t"), true) == "the images of task 't' have 3 classes, but 'b' outputs 2");
  CHECK(said(task("t", ", classes: [a, b, c]"), true) == "task 't' names 3 classes, but 'b' outputs 2");
  CHECK(said("", true) == "'a' outputs 3 values per image and 'b' outputs 2: they cannot be combined");
  CHECK(said("", false).empty());
}

TEST_CASE("base and merged model follow the members and have the settings of the first member") {
  auto spec = config::load_text(
      "members: [{name: a, model: {kind: mlp, layers: [4], weights: a.st}, weight: 3}]\nassignment: cpu:0\n"
      "input: {dataset: random, count: 9, classes: 4}\n"
      "tasks: [{name: t, input: {dataset: random, count: 4, classes: 4, shape: [1, 2, 2]}}]\n",
      "e.yaml");
  spec.base = spec.members[0].model;
  spec.base->weights = "base.st";
  const HostedModels hosting = host_models(spec, {"merged.st", "greedy=soup.st"});
  REQUIRE(hosting.hosted.members.size() == 4);
  CHECK(hosting.described.members.size() == 1);
  CHECK(hosting.hosted.members[1].name == "base");
  CHECK(hosting.hosted.members[1].model.weights == "base.st");
  CHECK(hosting.hosted.members[2].model.weights == "merged.st");
  CHECK(hosting.hosted.members[2].device == spec.members[0].device);
  CHECK(hosting.models[2].role == "merged");
  CHECK(hosting.models[2].name == "merged");
  CHECK(hosting.models[3].name == "greedy");
  CHECK(hosting.models[3].role == "merged");
  CHECK(hosting.hosted.members[3].model.weights == "soup.st");
  CHECK(hosting.hosted.combine.rule == CombineRule::none);
  CHECK(hosting.hosted.input.count == 4);
  const EvaluationForm own = form_of(hosting, "");
  CHECK(own.members == 1);
  CHECK(own.weights == std::vector<float>{3});
  REQUIRE(own.rules.size() == 1);
  CHECK(own.rules[0].rule == CombineRule::mean);
  CHECK(form_of(hosting, "max,vote").rules.size() == 2);
  spec.combine.rule = CombineRule::none;
  CHECK(form_of(host_models(spec, {}), "").rules.empty());
}

TEST_CASE("other models than the members of a merge have the settings of the first merged one") {
  const auto spec = config::load_text(
      "members:\n  - {name: a, model: {kind: fake, classes: 4, weights: a.st}, input: {mean: [0.5], std: [2]}}\n"
      "  - {name: b, model: {kind: fake, classes: 4, weights: b.st}}\n"
      "assignment: cpu:0\nmerge: {over: [b]}\n"
      "tasks: [{name: t, input: {dataset: random, count: 4, classes: 4, shape: [1, 2, 2]}}]\n",
      "e.yaml");
  CHECK_FALSE(host_models(spec, {"merged.st"}).hosted.members[2].input);
}

TEST_CASE("a merged tower is a folder or the weights for the folder of the base") {
  const TemporaryFolder merged;
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: clip-vit, path: tower, weights: a.st}}]\ncombine: {over: features}\n",
      "e.yaml");
  const HostedModels folder = host_models(spec, {merged.path().string()});
  CHECK(std::get<ClipVitModel>(folder.hosted.members[1].model.kind).path == merged.path());
  CHECK(folder.hosted.members[1].model.weights.empty());
  const HostedModels file = host_models(spec, {"m.st"});
  CHECK(std::get<ClipVitModel>(file.hosted.members[1].model.kind).path == "tower");
  CHECK(file.hosted.members[1].model.weights == "m.st");
}

TEST_CASE("a base that outputs something else than the members is refused with what to write") {
  auto spec =
      config::load_text("members: [{name: a, model: {kind: clip-vit, path: t, output: logits, head: h.st}}]\n", "e");
  spec.base = config::ModelSpec{ClipVitModel{"base", ClipOutput::pooled, ""}, {}};
  const auto features = error_of([&] { host_models(spec, {}); });
  REQUIRE(features);
  CHECK(features->kind() == ErrorKind::usage);
  CHECK(features->message() == "the base model outputs features, but the members logits");
  CHECK(features->detail() == "'base' is a clip-vit with 'output: pooled'");
  CHECK(features->hint() == "add 'output: logits' and 'head' to 'base', as the members have them");
  spec.base = spec.members[0].model;
  CHECK(host_models(spec, {}).models.size() == 2);
  spec.members[0].output = OutputKind::features;
  const auto logits = error_of([&] { host_models(spec, {}); });
  REQUIRE(logits);
  CHECK(logits->message() == "the base model outputs logits, but the members features");
  CHECK(logits->hint() == "let 'base' output features like the members");
}

TEST_CASE("a merged torchscript model has the network of a member and the merged weights") {
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: torchscript, path: n.pt, weights: a.st, optimize: off}}]\n", "e.yaml");
  const HostedModels hosting = host_models(spec, {"soup=m.st"});
  REQUIRE(hosting.hosted.members.size() == 2);
  CHECK(hosting.hosted.members[1].model == config::ModelSpec{TorchScriptModel{"n.pt", false}, "m.st"});
}

TEST_CASE("models with the same name and weights that cannot be given to a model are refused") {
  auto spec = config::load_text("members: [{name: base, model: {kind: aoti, path: x.pt2}}]\n", "e.yaml");
  const auto merged = error_of([&] { host_models(spec, {"m.st"}); });
  REQUIRE(merged);
  CHECK(merged->message() == "m.st cannot be given to a model of kind aoti");
  spec.base = spec.members[0].model;
  const auto twin = error_of([&] { host_models(spec, {}); });
  REQUIRE(twin);
  CHECK(twin->message() == "two models are called 'base': a member and a base one");
  CHECK(twin->hint() == "rename the member");
  const auto refused = [](const std::vector<std::string>& options) {
    auto fakes = config::load_text("members: [{name: a, model: {kind: fake}}]\n", "e.yaml");
    fakes.base = fakes.members[0].model;
    return error_of([&] { host_models(fakes, options); });
  };
  const auto said = [&](const std::vector<std::string>& options) -> std::string {
    const auto error = refused(options);
    return error ? error->message() : "";
  };
  CHECK(refused({"m.st", "n.st"})->hint() == "name each: --merged one=FILE --merged other=FILE");
  CHECK(refused({"a=m.st"})->hint() == "rename the member, or name the merged model: --merged soup=FILE");
  CHECK(refused({"base=m.st"})->hint() == "give the merged model another name: --merged soup=FILE");
  CHECK(said({"m.st", "n.st"}) == "two merged models are called 'merged'");
  CHECK(said({"a=m.st"}) == "two models are called 'a': a member and a merged one");
  CHECK(said({"soup="}) == "--merged soup= is neither FILE nor NAME=FILE");
  CHECK(said({"=m.st"}) == "--merged =m.st is neither FILE nor NAME=FILE");
  CHECK(said({"..=m.st"}) == "--merged ..=m.st is neither FILE nor NAME=FILE");
  CHECK(said({"runs/x=1/m.st"}).empty());
  CHECK(said({"soup=m.st", "greedy=m.st"}).empty());
}

TEST_CASE("a task without images is refused") {
  const auto spec =
      spec_of("{name: t, input: {dataset: digits, limit: 0}}", "members: [{name: a, model: {kind: fake}}]\n");
  const auto error = error_of([&] { open_tasks(spec); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the images of task 't': there are none");
  CHECK(error->detail() == "digits (test), limited to 0");
  CHECK(error->hint() == "check 'limit', 'skip' and 'count' of its 'input'");
  CHECK(refusal(spec_of("", "members: [{name: a, model: {kind: fake}}]\ninput: {dataset: digits, skip: 999}\n")) ==
        "'skip: 999' leaves no images");
}

TEST_CASE("images that tasks hold out are opened with their heads and may have different shapes") {
  const Heads heads;
  const auto held = [&](const std::string& name, const std::string& images, const std::string& head) {
    return "{name: " + name + ", head: '" + (heads.folder / head).string() +
           "', input: {dataset: random, count: 4, shape: [1, 2, 2], classes: 3}, held_out: {dataset: random" + images +
           "}}";
  };
  const auto spec = [&](const std::string& first, const std::string& second, const std::string& head = "h") {
    auto described = spec_of(held("t", first, "vit-b") + ", " + held("u", second, head));
    described.merge.emplace();
    return by_held_out(described);
  };
  const std::string good = ", count: 5, shape: [1, 2, 2], classes: 3";
  const std::string other = ", count: 6, shape: [1, 2, 3], classes: 3";
  const auto tasks = open_held_out(spec(good, other));
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].source->count() == 5);
  CHECK(tasks[1].source->shape().width == 3);
  CHECK(tasks[1].head_or_null()->classes() == 3);
  CHECK(same_form(spec(good, good), open_held_out(spec(good, good)), 0, 1));
  CHECK_FALSE(same_form(spec(good, other), tasks, 0, 1));
  const auto said = [&](const std::string& second, const std::string& head = "h") {
    const auto error = error_of([&] { open_held_out(spec(good, second, head)); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->message() + " | " + error->hint();
  };
  CHECK(said(", count: 5, shape: [1, 2, 2]") ==
        "the held-out images of task 'u' have no labels | give its 'held_out' labels ('labels' for npy, 'classes' for "
        "random), or use a data set that has them");
  CHECK(said(", count: 0, shape: [1, 2, 2], classes: 3") ==
        "the held-out images of task 'u': there are none | check 'limit', 'skip' and 'count' of its 'held_out'");
  CHECK(said(", count: 5, shape: [1, 2, 2], classes: 4")
            .starts_with("the held-out images of task 'u' have 4 classes, but its head has 3 | "));
  CHECK(said(good, "vit-l").starts_with("the heads of tasks 't' and 'u' were made with different text towers | "));
}

TEST_CASE("the images of a merge are held out as the only task") {
  auto described = spec_of("", "members: [{name: a, model: {kind: fake}}]\ninput: {dataset: digits}\n");
  described.merge.emplace();
  described.merge->input = described.input;
  described.merge->input->limit = 7;
  const auto tasks = open_held_out(by_held_out(described));
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].name.empty());
  CHECK(tasks[0].source->count() == 7);
  described.merge->input->limit = 0;
  const auto error = error_of([&] { open_held_out(by_held_out(described)); });
  REQUIRE(error);
  CHECK(error->message() == "the held-out images of 'merge': there are none");
  CHECK(error->hint() == "check 'limit', 'skip' and 'count' of its 'input'");
}

}  // namespace
}  // namespace tutti::test
