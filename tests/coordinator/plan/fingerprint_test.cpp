// What a run's bytes depend on: everything that can change a byte counts, and nothing else does.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/load.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "coordinator/plan/input.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/common/wire/every_model.hpp"
#include "tests/support/places.hpp"

namespace tutti {
namespace {

using test::contains;
using test::error_of;

const char* const kYaml = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4}}
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
)";

Machine two_cores() {
  Machine machine;
  machine.cores = machine.present_cores = {0, 1};
  machine.memory = {std::uint64_t{1} << 33, "MemAvailable"};
  return machine;
}

Fingerprint fingerprint(const std::string& yaml, std::vector<std::string> overrides = {},
                        const Machine& machine = two_cores()) {
  const config::EnsembleSpec spec = config::load_text(yaml, "a test", {std::move(overrides), {}});
  const auto source = open_source(spec.input);
  return fingerprint_of(spec, make_plan(spec, machine, input_form(spec, spec.input), {}), *source);
}

std::vector<std::string> changed_by(const std::string& assignment) {
  return differences(fingerprint(kYaml), fingerprint(kYaml, {assignment}));
}

using Lines = std::vector<std::string>;

TEST_CASE("the same run has the same fingerprint") {
  CHECK(differences(fingerprint(kYaml), fingerprint(kYaml)).empty());
  const Fingerprint all = fingerprint(kYaml);
  for (const char* key : {"version", "processor", "instructions", "images", "device of a", "threads of b"})
    CHECK(all.count(key) == 1);
  CHECK(all.at("images") == "random: 50 of 1x4x4, 4 classes, labelled");
}

TEST_CASE("what can change a byte is named with both values") {
  CHECK(changed_by("segment_images=25") == Lines{"segment_images: was 20, now 25"});
  CHECK(changed_by("batch_images=8") == Lines{"batch_images: was 32, now 8"});
  CHECK(changed_by("members.1.views=[hflip, {scale: 1.5}]") ==
        Lines{"members.1.views.0: was nothing, now hflip", "members.1.views.1.scale: was nothing, now 1.5"});
  CHECK(changed_by("members.1.weight=2") == Lines{"members.1.weight: was 1, now 2"});
  CHECK(changed_by("combine={rule: max}") == Lines{"combine.rule: was mean, now max"});
  CHECK(changed_by("on_nan=allow") == Lines{"on_nan: was error, now allow"});
  CHECK(changed_by("save_members=true") == Lines{"save_members: was false, now true"});
  CHECK(changed_by("threads=2") == Lines{"threads of a: was 1, now 2", "threads of b: was 1, now 2"});
  CHECK(changed_by("assignment=[\"cpu:0\", cpu]") == Lines{"device of a: was cpu, now cpu:0"});
  CHECK(changed_by("input.seed=4") == Lines{"input.seed: was 3, now 4"});
  const Lines limited = changed_by("input.limit=10");
  REQUIRE(limited.size() == 2);
  CHECK(contains(limited[0], "images: was random: 50 of 1x4x4, 4 classes, labelled, now random"));
  CHECK(limited[1] == "input.limit: was nothing, now 10");
  CHECK(changed_by("members.0.model.faults=[{kind: nan, phase: predict, at_batch: 3}]").size() == 3);
}

TEST_CASE("the models of stages count and where they run counts as it was resolved") {
  const std::string yaml =
      "members: [{name: a, stages: [{model: {kind: fake, classes: 7}}, {model: {kind: fake, classes: 4}}]}]\n"
      "assignment: cpu\ninput: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}\n"
      "segment_images: 20\n";
  const auto changed = [&](const std::string& override) {
    return differences(fingerprint(yaml), fingerprint(yaml, {override}));
  };
  CHECK(changed("members.0.stages.0.model.classes=8") == Lines{"members.0.stages.0.model.classes: was 7, now 8"});
  CHECK(changed("members.0.stages.0.model.delay_us=8").empty());
  CHECK(changed("members.0.stages.0.replicas=2").empty());
  CHECK(changed("members.0.stages.0.device=cpu:0") == Lines{"device of a/0: was cpu, now cpu:0"});
}

TEST_CASE("the steps of stages count") {
  const std::string yaml =
      "members: [{name: a, stages: [{model: {kind: fake, classes: 7}}, {step: top_k, k: 5}, {step: softmax}, {model: "
      "{kind: fake, classes: 4}}]}]\n"
      "assignment: cpu\ninput: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}\n"
      "segment_images: 20\n";
  const auto changed = [&](const std::string& override) {
    return differences(fingerprint(yaml), fingerprint(yaml, {override}));
  };
  CHECK(changed("members.0.stages.1.k=4") == Lines{"members.0.stages.1.k: was 5, now 4"});
  CHECK(changed("members.0.stages.2.step=l2_normalize") ==
        Lines{"members.0.stages.2.step: was softmax, now l2_normalize"});
}

TEST_CASE("batches that were measured are part of the fingerprint and can be read back") {
  const config::EnsembleSpec spec = config::load_text(kYaml, "a test", {{"batch_images=auto"}, {}});
  Fingerprint was = fingerprint(kYaml, {"batch_images=auto"});
  CHECK(was.at("batch_images") == "auto");
  CHECK(batches_of(was, spec.members, 20).empty());
  Status status;
  for (const auto& [name, batch] : {std::pair{"a", 8U}, {"b", 16U}}) {
    MemberStatus member;
    member.name = name;
    member.batch_images = batch;
    status.members.push_back(member);
  }
  add_batches(was, status);
  CHECK(was.count("batch of a") == 0);
  for (MemberStatus& member : status.members) member.batch_images_measured = true;
  Fingerprint now = was;
  add_batches(was, status);
  CHECK(batches_of(was, spec.members, 20) == std::vector<std::uint32_t>{8, 16});
  CHECK(differences(was, now) == Lines{"batch of a: was 8, now nothing", "batch of b: was 16, now nothing"});
  add_batch(now, "a", 8);
  add_batch(now, "b", 4);
  CHECK(differences(was, now) == Lines{"batch of b: was 16, now 4"});
}

TEST_CASE("an impossible batch in a journal is not used") {
  const config::EnsembleSpec spec = config::load_text(kYaml, "a test", {{"batch_images=auto"}, {}});
  for (const char* text : {"0", "21", "x", "8x", "", "-1", "99999999999"}) {
    CAPTURE(text);
    CHECK(batches_of({{"batch of a", "8"}, {"batch of b", text}}, spec.members, 20).empty());
  }
  CHECK(batches_of({{"batch of a", "1"}, {"batch of b", "20"}}, spec.members, 20).size() == 2);
}

TEST_CASE("the planes of pictures count") {
  const test::TemporaryFolder folder;
  std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/plain.png"), folder / "1.png");
  const auto of = [&](const std::string& member) {
    config::EnsembleSpec spec = config::load_text("members: [{name: a, model: {kind: fake}" + member +
                                                      "}, {name: b, model: {kind: fake}}]\nassignment: cpu\n"
                                                      "input: {dataset: folder, resize: 8, path: '" +
                                                      folder.path().string() + "'}",
                                                  "a test");
    const auto source = open_source(spec, spec.input);
    return fingerprint_of(spec, make_plan(spec, two_cores(), form_of(*source, spec, spec.input), {}), *source);
  };
  const Fingerprint one = of("");
  CHECK(one.at("plane 0") == "shorter side 8, centre 8x8, bicubic");
  CHECK(one.count("plane 1") == 0);
  const Fingerprint two = of(", input: {resize: [8, 8]}");
  CHECK(two.at("plane 0") == "8x8, bicubic");
  CHECK(two.at("plane 1") == one.at("plane 0"));
  const Lines changes = differences(one, two);
  CHECK(std::ranges::count(changes, "plane 1: was nothing, now shorter side 8, centre 8x8, bicubic") == 1);
}

TEST_CASE("what cannot change a byte does not count") {
  for (const char* assignment :
       {"slots=2", "start_deadline_s=3", "stop_deadline_s=3", "output=elsewhere", "coalesce={max_delay_us: 1}",
        "members.0.model.delay_us=7", "members.0.model.load_delay_ms=7", "members.0.train.epochs=5",
        "train.input={dataset: random, count: 3, shape: [1, 4, 4], classes: 4}",
        "members.0.model.faults=[{kind: kill, phase: predict, at_batch: 3}]"}) {
    CAPTURE(assignment);
    CHECK(changed_by(assignment).empty());
  }
}

Fingerprint fingerprint(const ModelKind& model) {
  config::EnsembleSpec spec = config::load_text(kYaml, "a test");
  const auto source = open_source(spec.input);
  // The plan would refuse files that are no predictions, and has only devices and threads for the fingerprint.
  const Plan plan = make_plan(spec, two_cores(), input_form(spec, spec.input), {});
  spec.members.front().model.kind = model;
  return fingerprint_of(spec, plan, *source);
}

TEST_CASE("every field of a model counts except delays and where a Python is") {
  const test::TemporaryFolder folder;
  test::Change change(folder.path());
  for (const ModelKind& model : test::every_model(change)) {
    const Fingerprint was = fingerprint(model);
    CHECK(differences(was, fingerprint(model)).empty());
    for (const test::Changed& changed : test::changed_one_by_one(model, change)) {
      CAPTURE(std::string(kind_name(model)));
      CAPTURE(changed.key);
      CHECK(differences(was, fingerprint(changed.model)).empty() != changed.counts);
    }
  }
}

TEST_CASE("threads count as they were resolved") {
  Machine four = two_cores();
  four.cores = four.present_cores = {0, 1, 2, 3};
  CHECK(differences(fingerprint(kYaml), fingerprint(kYaml, {}, four)) ==
        Lines{"threads of a: was 1, now 2", "threads of b: was 1, now 2"});
}

TEST_CASE("weights and scripts count by their content and not by their path") {
  const test::TemporaryFolder folder;
  const auto write = [&](const char* name, const char* text) { std::ofstream(folder / name) << text; };
  const auto yaml = [&](const char* weights) {
    return fmt::format(R"(
members:
  - {{name: a, model: {{kind: mlp, layers: [4], weights: "{0}/{1}"}}}}
  - {{name: s, model: {{kind: torchscript, path: "{0}/{1}"}}}}
  - {{name: t, model: {{kind: torchscript, path: "{0}/one", weights: "{0}/{1}"}}}}
assignment: cpu
input: {{dataset: random, count: 5, shape: [1, 4, 4]}}
)",
                       folder.path().string(), weights);
  };
  write("one", "123456789");
  write("same", "123456789");
  write("other", "12345678");
  const Fingerprint one = fingerprint(yaml("one"));
  CHECK(one.at("weights of a") == "9 bytes, crc cbf43926");
  CHECK(differences(one, fingerprint(yaml("same"))).empty());
  CHECK(differences(one, fingerprint(yaml("other"))) ==
        Lines{"model of s: was 9 bytes, crc cbf43926, now 8 bytes, crc 9ae0daaf",
              "weights of a: was 9 bytes, crc cbf43926, now 8 bytes, crc 9ae0daaf",
              "weights of t: was 9 bytes, crc cbf43926, now 8 bytes, crc 9ae0daaf"});
  std::filesystem::create_directory(folder / "folder");
  const auto error = error_of([&] { fingerprint(yaml("folder")); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == fmt::format("a: could not read '{}'", (folder / "folder").string()));
  CHECK(error->hint() == "check that it is a file and that this user may read it");
}

TEST_CASE("files of images count by their size and modification time") {
  const test::TemporaryFolder folder;
  const auto images = folder / "images.npy";
  std::filesystem::copy_file(test::in_sources("tests/images/data/nchw_float32.npy"), images);
  const std::string yaml = fmt::format(R"(
members: [{{name: a, model: {{kind: fake}}}}]
assignment: cpu
input: {{dataset: npy, images: "{}"}}
)",
                                       images.string());
  const Fingerprint before = fingerprint(yaml);
  CHECK(differences(before, fingerprint(yaml)).empty());
  std::filesystem::last_write_time(images, std::filesystem::last_write_time(images) + std::chrono::seconds(1));
  const Lines lines = differences(before, fingerprint(yaml));
  REQUIRE(lines.size() == 1);
  CHECK(contains(lines[0], fmt::format("file {}: was ", images.string())));
  CHECK(contains(lines[0], " bytes, changed at "));
}

TEST_CASE("every file of a CIFAR folder counts") {
  const test::TemporaryFolder folder;
  const auto write = [&](const char* name) { std::ofstream(folder / name) << std::string(3073, '\0'); };
  write("test_batch.bin");
  std::ofstream(folder / "readme.html") << "not images";
  const std::string yaml = fmt::format(R"(
members: [{{name: a, model: {{kind: fake}}}}]
assignment: cpu
input: {{dataset: cifar10, path: "{}"}}
)",
                                       folder.path().string());
  const Fingerprint before = fingerprint(yaml);
  CHECK(before.count(fmt::format("file {}", (folder / "test_batch.bin").string())) == 1);
  CHECK(before.count(fmt::format("file {}", (folder / "readme.html").string())) == 0);
}

TEST_CASE("backends count only if both sides know them") {
  Status status;
  status.members.resize(1);
  status.members[0].name = "a";
  status.members[0].backend = "torch 2.11.0";
  Fingerprint was = fingerprint(kYaml);
  Fingerprint now = was;
  add_backends(was, status);
  CHECK(differences(was, now).empty());
  status.members[0].backend = "torch 2.12.0";
  add_backends(now, status);
  CHECK(differences(was, now) == Lines{"backend of a: was torch 2.11.0, now torch 2.12.0"});
}

TEST_CASE("a processor counts by its name and the instructions that decide the kernels") {
  const Fingerprint x86 = processor_of(
      "processor\t: 0\nmodel name\t: Fast CPU @ 3GHz\nflags\t\t: fpu sse sse4_2 avx2 avx512f fma amx_tile lm\n\n"
      "processor\t: 1\nmodel name\t: Fast CPU @ 3GHz\nflags\t\t: fpu avx2\n");
  CHECK(x86.at("processor") == "Fast CPU @ 3GHz");
  CHECK(x86.at("instructions") == "amx_tile avx2 avx512f fma sse4_2");
  const Fingerprint arm = processor_of("processor\t: 0\nFeatures\t: fp asimd sve crc32\nCPU part\t: 0xd40\n");
  CHECK(arm.at("processor") == "0xd40");
  CHECK(arm.at("instructions") == "asimd sve");
  CHECK(processor_of("").at("processor") == "unknown");
  CHECK(processor_of("model name:\n").at("processor").empty());
}

TEST_CASE("a variable that makes libraries choose other kernels counts") {
  const Fingerprint before = fingerprint(kYaml);
  ::setenv("MKL_CBWR", "COMPATIBLE", 1);
  const Fingerprint with = fingerprint(kYaml);
  ::unsetenv("MKL_CBWR");
  CHECK(differences(before, with) == Lines{"environment MKL_CBWR: was nothing, now COMPATIBLE"});
}

}  // namespace
}  // namespace tutti
