// Whether files of saved predictions fit an input: every mistake is named with its place before a worker starts.
#include "coordinator/plan/saved.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/coordinator/plan/plans.hpp"
#include "tests/images/array_files.hpp"

namespace tutti::test {
namespace {

struct SavedPlace : TemporaryFolder {
  std::string file() const { return (*this / "x.npy").string(); }
  config::EnsembleSpec spec(const std::string& rest = "", const std::string& members = "") const {
    return config::load_text("members: [{name: m, model: {kind: saved, predictions: " + file() + "}}" + members +
                                 "]\nassignment: cpu\ninput: {dataset: random, count: 10}\n" + rest,
                             "e.yaml");
  }
  /// Of 10 samples, of which the description uses `count` from `first` on.
  static InputForm input(std::uint64_t count = 10, std::uint64_t first = 0) {
    InputForm form({1, 2, 2}, count);
    form.first = first;
    form.whole = 10;
    return form;
  }
  std::optional<SavedRows> found(const InputForm& form = input()) const {
    return find_saved(spec().members.front(), form);
  }
  std::optional<Error> wrong(const InputForm& form = input()) const {
    return error_of([&] { found(form); });
  }
  std::optional<Error> wrong_values(const std::string& rest, const InputForm& form = input()) const {
    const config::EnsembleSpec described = spec(rest);
    const Plan plan = make_plan(described, machine_of(1), form, {});
    return error_of([&] { check_saved_values(described, plan); });
  }
  std::string place() const { return "e.yaml:1:55: member 'm': "; }
};

TEST_CASE("the rows of a file are found with their shape and type") {
  const SavedPlace place;
  write_array<std::uint16_t>(place.file(), "<f2", "(10, 3, 2)", std::vector<std::uint16_t>(60));
  const auto rows = place.found();
  REQUIRE(rows);
  CHECK(rows->type == SavedType::float16);
  CHECK(rows->shape == Dims{3, 2});
  CHECK(rows->rows == 10);
  CHECK(rows->first == 0);
  CHECK(rows->file_bytes - rows->offset == 120);
  write_array<std::uint16_t>(place.file(), "<V2", "(10, 2)", std::vector<std::uint16_t>(20));
  CHECK(place.found()->type == SavedType::bfloat16);
  write_array<double>(place.file(), "<f8", "(10,)", std::vector<double>(10));
  CHECK(place.found()->type == SavedType::float64);
  CHECK(place.found()->shape.empty());
}

TEST_CASE("rows are those of the whole data set or of the samples that are used") {
  const SavedPlace place;
  write_array<float>(place.file(), "<f4", "(10, 2)", std::vector<float>(20));
  CHECK(place.found(SavedPlace::input(4, 3))->first == 0);
  write_array<float>(place.file(), "<f4", "(4, 2)", std::vector<float>(8));
  CHECK(place.found(SavedPlace::input(4, 3))->first == 3);
  const auto error = place.wrong(SavedPlace::input(5, 3));
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == place.place() + place.file() + " has 4 rows, and the input has 10 samples");
  CHECK(error->detail() == "5 of them are used ('skip', 'limit'), so 5 rows would fit, too");
  CHECK(error->hint() == "give predictions of the same samples, in the order of the input");
  CHECK(place.wrong()->detail().empty());
}

TEST_CASE("what is no array of predictions is refused at its place in the description") {
  const SavedPlace place;
  const auto check = [&](const std::string& message, const std::string& detail) {
    const auto error = place.wrong();
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == place.place() + message);
    CHECK(contains(error->detail(), detail));
    return *error;
  };
  const std::string unusable = place.file() + " cannot be used as predictions";
  write_array<std::int64_t>(place.file(), "<i8", "(10,)", std::vector<std::int64_t>(10));
  CHECK(check(unusable, "its element type is '<i8', and one of '<f2', '<f4', '<f8', '<V2' is needed").hint() ==
        "give the scores of all classes, not the numbers of classes that were decided for");
  write_array<float>(place.file(), ">f4", "(10,)", std::vector<float>(10));
  check(unusable, "its element type is '>f4'");
  write_array<float>(place.file(), "<f4", "()", std::vector<float>(1));
  check(unusable, "its shape is (), and it is none of predictions");
  write_array<float>(place.file(), "<f4", "(10, 0)", {});
  check(unusable, "its shape is (10, 0), and a prediction has 1 to 16777216 values");
  for (const char* shape : {"(10, 4097, 4096)", "(10, 4294967296, 4294967296)"}) {
    write_array<float>(place.file(), "<f4", shape, {});
    check(unusable, "a prediction has 1 to 16777216 values");
  }
  write_array<float>(place.file(), "<f4", "(10, 1, 1, 1, 1, 1, 1)", std::vector<float>(10));
  CHECK(check(unusable, "its shape is (10, 1, 1, 1, 1, 1, 1), and it is none of predictions").hint() ==
        "the first axis counts the samples, and at most 5 follow it");
  write_array<float>(place.file(), "<f4", "(10, 2)", std::vector<float>(19));
  check(unusable, "it is truncated");
  write_file(place.file(), "0.5, 0.5\n0.25, 0.75\n");
  check(place.file() + " is not a valid .npy file", "it does not begin with the magic bytes");
  write_file(place.file(), kLfsPointer);
  check(place.file() + " is a Git LFS pointer, not the file itself", "");
  std::filesystem::remove(place.file());
  std::filesystem::create_directory(place.file());
  check("cannot read " + place.file(), "Is a directory");
}

TEST_CASE("a file that is not there is left to those who report missing files") {
  const SavedPlace place;
  CHECK_FALSE(place.found());
}

TEST_CASE("values that are not finite are named with their sample and row") {
  const SavedPlace place;
  std::vector<float> values(8, 0.5F);
  values[5] = std::numeric_limits<float>::quiet_NaN();
  write_array(place.file(), "<f4", "(4, 2)", values);
  const auto error = place.wrong_values("", SavedPlace::input(4, 3));
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == place.place() + place.file() + " holds NaN, infinity or a value that float32 cannot hold");
  CHECK(error->detail() == "first for sample 5, in row 2");
  CHECK(error->hint() ==
        "correct the file; or 'on_nan: allow' lets such values into the result, and 'on_nan: degrade' leaves out their "
        "segments of this member");
  CHECK_FALSE(place.wrong_values("on_nan: allow\n", SavedPlace::input(4, 3)));
  CHECK_FALSE(place.wrong_values("on_nan: degrade\n", SavedPlace::input(4, 3)));
  // Rows that are not used are not looked at.
  values.resize(20, 0.5F);
  write_array(place.file(), "<f4", "(10, 2)", values);
  CHECK_FALSE(place.wrong_values("", SavedPlace::input(4, 3)));
  CHECK(place.wrong_values("", SavedPlace::input(4, 2)));
}

TEST_CASE("probabilities must sum to one over the classes at each place") {
  const SavedPlace place;
  std::vector<float> values(80, 0.5F);  // 10 x 2 x 2 x 2
  write_array(place.file(), "<f4", "(10, 2, 2, 2)", values);
  CHECK_FALSE(place.wrong_values(""));
  values[79] = 0.9F;
  write_array(place.file(), "<f4", "(10, 2, 2, 2)", values);
  const auto error = place.wrong_values("");
  REQUIRE(error);
  CHECK(error->message() == place.place() + place.file() + " holds no probabilities of classes: they do not sum to 1");
  CHECK(error->detail() == "those of sample 9, in row 9, sum to 1.4");
  CHECK(error->hint() ==
        "set the member's 'output: logits' if they are logits; if several labels may be right at once, set "
        "'activation: sigmoid' in 'combine'");
  CHECK_FALSE(place.wrong_values("combine: {activation: sigmoid}\n"));
  CHECK_FALSE(place.wrong_values("combine: {over: values}\n"));
  CHECK_FALSE(place.wrong_values("combine: {over: logits}\n"));
}

TEST_CASE("members that are combined must have predictions of one shape") {
  const SavedPlace place;
  write_array<float>(place.file(), "<f4", "(10, 4)", std::vector<float>(40, 0.25F));
  const auto plan_error = [&](const std::string& other, const std::string& rest) {
    return error_of([&] { make_plan(place.spec(rest, other), machine_of(1), SavedPlace::input(), {}); });
  };
  const std::string fake = ", {name: f, model: {kind: fake, classes: 2, per_class: [2]}}";
  const auto error = plan_error(fake, "");
  REQUIRE(error);
  CHECK(error->message() ==
        place.place() + "the predictions in " + place.file() + " are 4, and member 'f' outputs 2x2");
  CHECK(error->detail() == "members that are combined have predictions of one shape");
  CHECK(error->hint() == "only rule none takes both");
  CHECK_FALSE(plan_error(fake, "combine: {rule: none}\n"));
  CHECK_FALSE(plan_error(", {name: f, model: {kind: fake, classes: 4}}", ""));
}

TEST_CASE("the plan knows the width of saved predictions and counts no memory for their file") {
  const SavedPlace place;
  write_array<double>(place.file(), "<f8", "(10, 4)", std::vector<double>(40, 0.25));
  const Plan plan = make_plan(place.spec("segment_images: 8\nslots: 2\n"), machine_of(1), SavedPlace::input(), {});
  REQUIRE(plan.members.front().request.saved);
  CHECK(plan.members.front().request.takes.size() == 1);
  CHECK_FALSE(plan.members.front().request.takes.front().input);
  std::string names;
  for (const Bound& bound : plan.bounds) names += bound.name + "\n";
  CHECK(contains(names, "channel of m: rings, 2 output slots x 128 B\n"));
  CHECK_FALSE(contains(names, place.file()));
  CHECK(std::ranges::count(plan.notes, place.file() + " holds float64, which becomes float32") == 1);
  Options training;
  training.training = true;
  CHECK_FALSE(make_plan(place.spec(), machine_of(1), SavedPlace::input(), training).members.front().request.saved);
}

}  // namespace
}  // namespace tutti::test
