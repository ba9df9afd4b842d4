// Samples that are tensors: what of them is in the arena, what each member takes, and which sources fit.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/tensor_text.hpp"
#include "config/load.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/plan/segments.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/coordinator/plan/plans.hpp"
#include "tests/images/array_files.hpp"

namespace tutti::test {
namespace {

/// Members a and b over an image of bytes, a table and a number.
constexpr const char* kTensorsYaml = R"(
members:
  - {name: a, model: {kind: fake}, takes: [table, image], input: {resize: [2, 2], std: 2}}
  - {name: b, model: {kind: fake}, takes: {t: number, x: image}}
assignment: cpu
input:
  dataset: random
  count: 40
  classes: 3
  inputs:
    image: {shape: [3, 4, 4], dtype: uint8}
    table: {shape: [7]}
    number: {shape: [], dtype: int64}
segment_images: 10
slots: 2
)";

config::EnsembleSpec tensors_spec(std::vector<std::string> overrides = {}) {
  return config::load_text(kTensorsYaml, "test", {std::move(overrides), {}});
}

Plan tensors_plan(const config::EnsembleSpec& spec) {
  return make_plan(spec, machine_of(1), input_form(spec, spec.input), {});
}

const TensorLayout kImage{Dtype::uint8, {3, 4, 4}};
const TensorLayout kTable{Dtype::float32, {7}};
const TensorLayout kNumber{Dtype::int64, {}};

TEST_CASE("each tensor is an array of the arena and members take them by name as they are") {
  const Plan plan = tensors_plan(tensors_spec());
  CHECK(plan.arena.arrays == std::vector<TensorLayout>{kImage, kTable, kNumber});
  CHECK(plan.input.images == 40);
  CHECK(sample_text(plan.input.tensors) ==
        "image (3x4x4 of uint8), table (7 of float32) and number (a number of int64)");
  const std::vector<TakenTensor>& a = plan.members[0].request.takes;
  REQUIRE(a.size() == 2);
  CHECK(a[0] == TakenTensor::unchanged(kTable, 1));
  CHECK(a[1].array == 0);
  CHECK(a[1].stored == kImage);
  CHECK(a[1].seen == TensorLayout{Dtype::float32, {3, 2, 2}});
  CHECK(a[1].input->std == std::vector<float>{2});
  const std::vector<TakenTensor>& b = plan.members[1].request.takes;
  REQUIRE(b.size() == 2);
  CHECK(b[0].as == "t");
  CHECK(b[0].array == 2);
  CHECK(b[1].as == "x");
  CHECK_FALSE(b[1].input);
  CHECK(b[1].seen == kImage);  // another member's input does not make it float32
  CHECK(plan.bounds[0].bytes == plan.arena.bytes());
  CHECK(
      contains(plan.bounds[0].name, "(segment of 10 images 3x4x4 as bytes, 7 and a number of int64, labels, numbers)"));
}

TEST_CASE("an image of float32 for which a member asks nothing is not copied") {
  const Plan plan = tensors_plan(
      tensors_spec({"input.inputs.image.dtype=float32", "members.0.input={}", "members.1.input={mean: 1}"}));
  CHECK_FALSE(plan.members[0].request.takes[1].input);
  CHECK(plan.members[1].request.takes[1].input);
}

TEST_CASE("what only files tell is checked when the plan is made") {
  const TemporaryFolder folder;
  write_array<std::int64_t>(folder / "ids.npy", "<i8", "(2, 3)", {1, 2, 3, 4, 5, 6});
  write_array<float>(folder / "x.npy", "<f4", "(2, 1)", {1, 2});
  const auto refusal = [&](const std::string& member, const std::string& inputs) {
    const auto spec = config::load_text("members: [{name: m, model: {" + member +
                                            "}]\nassignment: cpu\ninput: "
                                            "{dataset: npy, inputs: {" +
                                            inputs + "}}\n",
                                        "test");
    const auto error = error_of([&] { tensors_plan(spec); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->message() + "; " + error->hint();
  };
  const std::string ids = "ids: '" + (folder / "ids.npy").string() + "'";
  CHECK(
      refusal("kind: mlp, layers: [2]}", ids) ==
      "member 'm' is an mlp, which takes a tensor of float32, not 'ids' (3 of int64); name another tensor in 'takes', "
      "or save it as float32");
  CHECK(refusal("kind: fake}, input: {mean: 1}", ids) ==
        "member 'm' has an 'input', which prepares an image, and takes none: ids (3 of int64); leave 'input' out; an "
        "image is uint8 or float32 of three sizes");
  write_array<float>(folder / "wide.npy", "<f4", "(0, 268435457)", {});
  CHECK(refusal("kind: fake}", "x: '" + (folder / "wide.npy").string() + "'") ==
        "a sample has 268435457 values; make the samples smaller, or leave tensors out");
}

TEST_CASE("names of an archive are checked when the plan is made and a sample has at most 64 tensors") {
  auto spec = tensors_spec();
  spec.members[0].takes = {{"tabel"}};
  const auto unknown = error_of([&] { tensors_plan(spec); });
  REQUIRE(unknown);
  CHECK(unknown->message() == "member 'a' takes 'tabel', but a sample has image, table and number");
  CHECK(unknown->hint() == "did you mean 'table'?");
  InputForm many{std::vector<NamedLayout>(65, {"x", kTable}), 4};
  const auto error = error_of([&] { make_plan(tensors_spec(), machine_of(1), many, {}); });
  REQUIRE(error);
  CHECK(error->message() == "a sample has 65 tensors");
  CHECK(error->detail() == "the most are 64");
}

TEST_CASE("a segment of tensors is cut by the bytes of all of them") {
  config::EnsembleSpec spec;
  spec.choose_segment_images = true;
  const TensorLayout large{Dtype::int64, {1 << 16}};
  CHECK(choose_segment(spec, {{{"x", large}}, {}}) == 128);
  CHECK(choose_segment(spec, {{{"x", large}, {"y", large}}, {}}) == 64);
}

/// A slot of an arena for this form.
struct OneSlot {
  explicit OneSlot(const InputForm& form, std::uint32_t count)
      : arena{1, count, arrays_of(form)}, memory(arena.bytes() / 8) {}
  SlotPlace place() { return {reinterpret_cast<std::byte*>(memory.data()), arena, 0}; }
  template <class Value>
  std::vector<Value> values(std::size_t array) {
    const auto bytes = slot_view(place().arena, arena, 0, arena.images, array).bytes;
    std::vector<Value> found(bytes.size() / sizeof(Value));
    std::memcpy(found.data(), bytes.data(), bytes.size());
    return found;
  }
  ArenaLayout arena;
  std::vector<std::uint64_t> memory;
};

constexpr std::array<std::int64_t, 3> kIds{7, 8, 9};
constexpr std::array kRows{0.5F, 1.0F, 1.5F, 2.0F, 2.5F, 3.0F};

TEST_CASE("a slot is filled with every tensor in the order of the ensemble whatever the order of the source") {
  const InputForm form{{{"row", {Dtype::float32, {2}}}, {"id", {Dtype::int64, {}}}}, {}};
  const std::array<std::int64_t, 3> labels{1, 0, 1};
  for (const bool same_order : {true, false}) {
    const TensorView row("row", kRows, {2});
    const TensorView id("id", kIds, {});
    const auto source = images::make_memory(same_order ? Samples{row, id} : Samples{id, row}, labels);
    FittedSource fitted(*source, form);
    OneSlot slot(form, 2);
    read_images(fitted.source(), std::array<std::uint64_t, 2>{2, 0}, slot.place(), true);
    CHECK(slot.values<float>(0) == std::vector<float>{2.5F, 3.0F, 0.5F, 1.0F});
    CHECK(slot.values<std::int64_t>(1) == std::vector<std::int64_t>{9, 7});
    CHECK(slot_view(slot.place().arena, slot.arena, 0, 2).labels[0] == 1);
  }
}

TEST_CASE("samples of other tensors than the ensemble takes are refused with both") {
  const InputForm form{{{"row", {Dtype::float32, {2}}}, {"id", {Dtype::int64, {}}}}, {}};
  const auto refusal = [&](const Source& source, const InputForm& wanted) {
    const auto error = error_of([&] { check_fits(source, wanted); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "memory has other samples than the ensemble takes");
    CHECK(error->hint() == "the ensemble takes the tensors of its 'input', by their names");
    return error->detail();
  };
  const TensorView row("row", kRows, {2});
  CHECK(refusal(*images::make_memory(Samples{row}), form) ==
        "it has row (2 of float32); the ensemble takes row (2 of float32) and id (a number of int64)");
  CHECK(refusal(*images::make_memory(Samples{row, row}), form) ==
        "it has row (2 of float32) and row (2 of float32); the ensemble takes row (2 of float32) and id (a number of "
        "int64)");
  const Images images{std::span<const float>(kRows), {1, 1, 2}};
  CHECK(refusal(*images::make_memory(images), form) ==
        "it has 1x1x2; the ensemble takes row (2 of float32) and id (a number of int64)");
  CHECK(refusal(*images::make_memory(Samples{row}), {{1, 1, 2}, {}}) ==
        "it has row (2 of float32); the ensemble takes 1x1x2");
  // An image is a tensor like any other if all of it is the same.
  check_fits(*images::make_memory(images), {{{"image", {Dtype::float32, {1, 1, 2}}}}, {}});
  check_fits(*images::make_memory(Samples{{"image", kRows, {1, 1, 2}}}), {{1, 1, 2}, {}});
  CHECK(error_of([&] { FittedSource(*images::make_memory(Samples{row}), {{3, 8, 8}, {}, Dtype::uint8, {{}}}); }));
}

TEST_CASE("tensors of other inputs fit if they have the same names and shapes and types") {
  const auto spec = tensors_spec();
  const auto source = open_source(spec, spec.input);
  const auto same = [&](std::vector<std::string> overrides, bool types) {
    const auto other = tensors_spec(std::move(overrides));
    const auto opened = open_source(other, other.input);
    const bool shapes = same_arrays(spec, {spec.input, *source}, {other.input, *opened});
    return types ? shapes && same_types(form_of(*source, spec, spec.input), form_of(*opened, other, other.input))
                 : shapes;
  };
  CHECK(same({"input.seed=9"}, true));
  CHECK(same({"input.inputs.table.dtype=float16"}, false));
  CHECK_FALSE(same({"input.inputs.table.dtype=float16"}, true));
  CHECK_FALSE(same({"input.inputs.table.shape=[8]"}, false));
  CHECK_FALSE(same({"input.inputs.more={shape: []}"}, false));
}

TEST_CASE("a data set that was opened is not opened again for its form") {
  auto spec = config::load_text(
      "members: [{name: m, model: {kind: fake}}]\nassignment: cpu\ninput: {dataset: npy, inputs: {x: /nowhere.npy}}\n",
      "test");
  const auto error = error_of([&] { api_form(spec, spec.input); });
  REQUIRE(error);
  CHECK(error->message() == "cannot read /nowhere.npy");
  CHECK(error->hint() ==
        "the shapes of the tensors are in these files; if samples come through the API, give the shapes instead: "
        "input={inputs: {x: {shape: [7]}}}");
  spec.input.found = config::FoundSamples{.tensors = {{"x", kTable}}, .count = 12, .held_score_bytes = 345};
  const InputForm form = api_form(spec, spec.input);
  CHECK(form.images == 12);
  CHECK(form.held_score_bytes == 345);
  CHECK(form.tensors == std::vector<NamedLayout>{{"x", kTable}});
}

TEST_CASE("tensors and their files and what members take count in the fingerprint") {
  const TemporaryFolder folder;
  write_array<float>(folder / "x.npy", "<f4", "(2, 1)", {1, 2});
  write_file(folder / "t.csv", "a,y\n1,0\n2,1\n");
  const auto of = [&](const std::string& takes) {
    const auto spec = config::load_text("members: [{name: m, model: {kind: fake}, takes: " + takes +
                                            "}]\nassignment: cpu\ninput: {dataset: npy, inputs: {x: '" +
                                            (folder / "x.npy").string() + "', t: '" + (folder / "t.csv").string() +
                                            "'}, labels: '" + (folder / "t.csv").string() + ":y'}\n",
                                        "test");
    const auto source = open_source(spec, spec.input);
    return fingerprint_of(spec, tensors_plan(spec), *source);
  };
  const Fingerprint both = of("[x, t]");
  CHECK(both.at("images") == "npy " + (folder / "x.npy").string() + " and " + (folder / "t.csv").string() +
                                 ": 2 of x (1 of float32) and t (1 of float32), 2 classes, labelled");
  CHECK(both.count("file " + (folder / "x.npy").string()) == 1);
  CHECK(both.count("file " + (folder / "t.csv").string()) == 1);
  CHECK(differences(both, of("[x, t]")).empty());
  CHECK(differences(both, of("[t, x]")).size() == 2);
}

}  // namespace
}  // namespace tutti::test
