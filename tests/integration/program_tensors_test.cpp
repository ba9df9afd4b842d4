// Runs over samples of several tensors: archives and tables as files, what `tutti plan` says of them, and resuming.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "images/archive.hpp"
#include "images/npy_reader.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

/// 40 samples: a table with labels, an image of bytes and numbers, and two members that take some of them.
struct TensorPlace : Workplace {
  TensorPlace() : Workplace(kYaml) {
    std::string table = "width,species,height\n";
    std::vector<std::uint8_t> images;
    std::vector<std::int64_t> ids;
    for (std::int64_t i = 0; i < 40; ++i) {
      table += std::to_string(i) + ".5," + (i % 3 == 0 ? "wolf" : i % 3 == 1 ? "cat" : "dog") + ",-1\n";
      ids.push_back(i % 5);
      for (std::int64_t value = 0; value < 12; ++value) images.push_back(static_cast<std::uint8_t>(i + value));
    }
    write("t.csv", table);
    write_array(*this / "x.npy", "|u1", "(40, 3, 2, 2)", images);
    write_array(*this / "ids.npy", "<i8", "(40,)", ids);
  }

  static constexpr const char* kYaml = R"(
members:
  - {name: a, model: {kind: fake, classes: 3}, takes: [image, table], input: {std: 0.5}}
  - {name: b, model: {kind: fake, classes: 3}, takes: {words: ids}}
assignment: cpu
input: {dataset: npy, inputs: {image: x.npy, table: t.csv, ids: ids.npy}, labels: 't.csv:species'}
segment_images: 8
batch_images: 4
save_members: true
)";
};

TEST_CASE("a plan says which tensors a sample has and what each takes in the arena") {
  const TensorPlace place;
  const Finished plan(place, {"plan", "e.yaml"});
  CAPTURE(plan.err());
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "40 x image (3x2x2 of uint8), table (2 of float32) and ids (a number of int64) of npy"));
  CHECK(contains(plan.out(), "(segment of 8 images 3x2x2 as bytes, 2 and a number of int64, labels, numbers)"));
}

TEST_CASE("a run over tables and arrays is scored by the names in a column") {
  const TensorPlace place;
  const Finished run(place, {"run", "e.yaml", "output=r"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK(images::NpyReader(place / "r/predictions.npy", images::NpyType::float32).rows() == 40);
  CHECK(contains(place.read("r/predictions.csv"), "\n0,wolf,"));
  CHECK(contains(place.read("r/predictions.csv"), "\n1,cat,"));
  CHECK(place.report("r").at("ensemble").at("accuracy").is_number());
  // The inputs are not results of an earlier run, although they may be in its folder.
  write_array<float>(place / "r/x.npy", "<f4", "(40, 1)", std::vector<float>(40));
  CHECK(Finished(place, {"run", "e.yaml", "output=r", "input.inputs.table=r/x.npy"}).code == 0);
  CHECK(place.has("r/x.npy"));
}

TEST_CASE("the classes of the description order the names in a column") {
  const TensorPlace place;
  const Finished run(place, {"run", "e.yaml", "output=r", "classes=[wolf, dog, cat]"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  images::NpyReader labels(place / "r/labels.npy", images::NpyType::int64);
  std::vector<std::int64_t> first(3);
  labels.read(0, first);
  CHECK(first == std::vector<std::int64_t>{0, 2, 1});
}

TEST_CASE("a run over tensors that was killed continues to the same bytes and not with other files") {
  const TensorPlace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  const auto cut = [&] {
    return Finished(place, {"run", "e.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                            "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 5}]"})
        .code;
  };
  REQUIRE(cut() == 1);
  const Finished other(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail",
                               "members.0.takes=[table, image]"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "members.0.takes.0: was image, now table"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"}).code == 0);
  CHECK(different_results(place, "cut", "whole").empty());
  REQUIRE(cut() == 1);
  place.write("t.csv", place.read("t.csv") + "\n");
  const Finished changed(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"});
  CHECK(changed.code == 2);
  CHECK(contains(changed.err(), "file t.csv: was "));
}

TEST_CASE("a workers death changes no byte of a run over tensors") {
  const TensorPlace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  const Finished killed(
      place, {"run", "e.yaml", "output=killed", "members.0.model.faults=[{kind: kill, phase: predict, at_batch: 7}]"});
  CHECK(killed.code == 0);
  CHECK(contains(killed.err(), "a on cpu died: killed by SIGKILL"));
  CHECK(different_results(place, "killed", "whole").empty());
}

TEST_CASE("an archive is read once and says that it was inflated") {
  if (!images::reads_archives()) return;
  const Workplace place(
      "members: [{name: m, model: {kind: fake, classes: 5}, takes: [image, table, ids]}]\nassignment: cpu\n"
      "input: {dataset: npy, inputs: s.npz, labels: 's.npz:labels'}\n");
  for (const char* name : {"samples.npz", "compressed.npz"}) {
    std::filesystem::copy_file(test::in_sources("tests/images/data") / name, place / "s.npz",
                               std::filesystem::copy_options::overwrite_existing);
    const Finished run(place, {"run", "e.yaml", std::string("output=") + name});
    CAPTURE(run.err());
    REQUIRE(run.code == 0);
    CHECK(contains(run.err(), "s.npz:image is compressed; it was inflated to 164 bytes") == (name[0] == 'c'));
  }
  CHECK(place.read("samples.npz/predictions.npy") == place.read("compressed.npz/predictions.npy"));
}

TEST_CASE("mistakes in files of tensors end a command before anything runs") {
  const TensorPlace place;
  const auto refused = [&](const std::string& change) {
    const Finished run(place, {"run", "e.yaml", change});
    CHECK(run.code == 2);
    CHECK_FALSE(place.has("runs"));
    return run.err();
  };
  place.write("bad.csv", "a,b\n1,2\n3,x\n");
  CHECK(contains(refused("input.inputs.table=bad.csv"), "line 3, column 2 ('b'): 'x' is not a number"));
  write_array<float>(place / "few.npy", "<f4", "(39,)", std::vector<float>(39));
  CHECK(contains(refused("input.inputs.ids=few.npy"), "x.npy has 40, and few.npy has 39"));
  CHECK(contains(refused("input.inputs.ids=nowhere.npy"), "cannot read nowhere.npy"));
  CHECK(contains(refused("members.1.takes=idz"), "member 'b' takes 'idz', but a sample has image, table and ids"));
  CHECK(contains(Finished(place, {"bench", "e.yaml"}).err(), "'tutti bench' compares ensembles of images"));
}

TEST_CASE("members are trained and evaluated on tensors") {
  const TensorPlace place;
  const Finished trained(place, {"train", "e.yaml", "-q", "output=t"});
  CAPTURE(trained.err());
  CHECK(trained.code == 0);
  const Finished evaluated(place, {"evaluate", "e.yaml", "output=e", "--rules", "mean,vote"});
  CAPTURE(evaluated.err());
  CHECK(evaluated.code == 0);
  const Finished tasks(
      place, {"evaluate", "e.yaml", "-q", "output=e2",
              "tasks=[{name: one, input: {dataset: npy, inputs: {ids: ids.npy, table: t.csv, image: x.npy}, labels: "
              "'t.csv:species'}}, {name: two, input: {dataset: npy, inputs: {image: x.npy, table: ids.npy, ids: "
              "ids.npy}, labels: 't.csv:species'}}]"});
  CHECK(tasks.code == 2);
  CHECK(contains(tasks.err(),
                 "task 'one' has images of ids (a number of int64), table (2 of float32) and image (3x2x2 "
                 "of uint8), task 'two' of image"));
}

TEST_CASE("memory is measured with random tensors if they come through the API") {
  const Workplace place(
      "members: [{name: m, model: {kind: fake, classes: 5}}]\nassignment: cpu\n"
      "input: {inputs: {ids: {shape: [4], dtype: int64}}}\nsegment_images: 8\n");
  const Finished plan(place, {"plan", "e.yaml", "--measure"});
  CAPTURE(plan.err());
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "ids (4 of int64) from the API"));
  CHECK(contains(plan.out(), "measured, after 32 images"));
}

}  // namespace
}  // namespace tutti::test
