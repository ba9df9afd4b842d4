// predictions.csv: its columns, the order of its classes, and its quotes.
#include "results/prediction_table.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>

#include "results/sinks.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// Images and classes with or without names.
struct Named : Source {
  Named(bool is_named, bool is_labelled) : named(is_named), has_labels(is_labelled) {}
  std::string name() const override { return "named"; }
  ImageShape shape() const override { return {1, 1, 1}; }
  std::uint64_t count() const override { return 100; }
  std::uint32_t classes() const override { return 7; }
  bool labelled() const override { return has_labels; }
  void read(std::span<const std::uint64_t>, std::span<float>, std::span<std::int64_t>) override {}
  std::string image_name(std::uint64_t index) const override {
    return named ? "a/b, \"" + std::to_string(index) + "\".jpg" : "";
  }
  std::string class_name(std::uint32_t label) const override {
    return named && label < 7 ? std::string(1, static_cast<char>('A' + label)) : "";
  }
  bool named;
  bool has_labels;
};

/// One image at place 3 of `names`.
std::string table_of(const Source& names, const std::vector<float>& scores, std::int64_t predicted,
                     std::vector<images::TableColumn> columns = {}) {
  const TemporaryFolder folder;
  images::PredictionTable table(folder / "p.csv", names, static_cast<std::uint32_t>(scores.size()), std::move(columns));
  const std::array<std::int64_t, 1> labels{2};
  SegmentResult result;
  result.first = 3;
  result.count = 1;
  result.width = static_cast<std::uint32_t>(scores.size());
  result.values = scores;
  result.predicted = {&predicted, 1};
  if (names.labelled()) result.labels = labels;
  table.write(result);
  table.finish();
  return read_text(folder / "p.csv", "a table");
}

TEST_CASE("a line has the names of image and label and the five best classes with their scores") {
  CHECK(table_of(Named(true, true), {0.125F, 0.25F, 0, 0.5F, 0.0625F, 0.03125F, 0.015625F}, 3) ==
        "file,label,class_1,score_1,class_2,score_2,class_3,score_3,class_4,score_4,class_5,score_5\n"
        "\"a/b, \"\"3\"\".jpg\",C,D,0.5,B,0.25,A,0.125,E,0.0625,F,0.03125\n");
}

TEST_CASE("without names there are numbers and without labels there is no such column") {
  CHECK(table_of(Named(false, false), {0.25F, 0.75F}, 1) == "image,class_1,score_1,class_2,score_2\n3,1,0.75,0,0.25\n");
  // A NaN has no sign in a table.
  CHECK(table_of(Named(false, false), {-std::numeric_limits<float>::quiet_NaN(), 0.5F}, 1) ==
        "image,class_1,score_1,class_2,score_2\n3,1,0.5,0,nan\n");
  CHECK(table_of(Named(false, true), {0.1F}, 0) == "image,label,class_1,score_1\n3,2,0,0.1\n");
}

TEST_CASE("the class that the rule decided for comes first and equal scores by class") {
  CHECK(table_of(Named(false, false), {1, 2, 2, 1}, 2) ==
        "image,class_1,score_1,class_2,score_2,class_3,score_3,class_4,score_4\n3,2,2,1,2,0,1,3,1\n");
}

TEST_CASE("an image without a prediction has empty fields and NaN comes last") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(table_of(Named(false, false), {nan, nan}, -1) == "image,class_1,score_1,class_2,score_2\n3,,,,\n");
  CHECK(table_of(Named(false, false), {nan, 0.5F, 1}, 1) ==
        "image,class_1,score_1,class_2,score_2,class_3,score_3\n3,1,0.5,2,1,0,nan\n");
}

std::string with_columns(const char* list, const Source& names, std::int64_t predicted = 1) {
  return table_of(names, {0.25F, 0.75F, 0}, predicted, images::parse_columns(list));
}

TEST_CASE("a table has the columns that were asked for under the headers that were chosen") {
  const Named named(true, true);
  const Named bare(false, false);
  CHECK(with_columns("id,label", named) == "id,label\n\"b, \"\"3\"\"\",B\n");
  CHECK(with_columns("image_id=file,breed=class", named) == "image_id,breed\n\"b, \"\"3\"\".jpg\",1\n");
  CHECK(with_columns("path,number,score", named) == "path,number,score\n\"a/b, \"\"3\"\".jpg\",3,0.75\n");
  CHECK(with_columns("id,classes", bare) == "id,0,1,2\n3,0.25,0.75,0\n");
  CHECK(with_columns("number,c=classes", named) == "number,cA,cB,cC\n3,0.25,0.75,0\n");
  CHECK(with_columns("number,label=score:A", named) == "number,label\n3,0.25\n");
  CHECK(with_columns("score:B,x=score:2", named) == "B,x\n0.75,0\n");
  CHECK(with_columns("id,label", bare) == "id,label\n3,1\n");
  // Without a prediction the fields are empty.
  CHECK(with_columns("number,label,class,score,score:A,c=classes", named, -1) ==
        "number,label,class,score,A,cA,cB,cC\n3,,,,,,,\n");
}

Error refusal_of(const char* list) {
  const auto error = error_of([&] { images::parse_columns(list); });
  REQUIRE_MESSAGE(error, list);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->detail(), "columns are id, file, path, number, label, class, score, classes and score:CLASS"));
  return *error;
}

TEST_CASE("an empty list asks for no columns") {
  CHECK(images::asked_columns("").empty());
  CHECK(images::asked_columns("id,label") == images::parse_columns("id,label"));
}

TEST_CASE("columns that do not exist or are there twice are refused with those that there are") {
  CHECK(refusal_of("id,lable").message() == "--csv: there is no column 'lable'");
  CHECK(refusal_of("id,lable").hint() == "did you mean 'label'?");
  CHECK(refusal_of("id,breed=dog").message() == "--csv: there is no column 'dog'");
  CHECK(refusal_of("id,").message() == "--csv: '' is not a column");
  CHECK(refusal_of("id,=label").message() == "--csv: '=label' is not a column");
  CHECK(refusal_of("id,x=").message() == "--csv: 'x=' is not a column");
  CHECK(refusal_of("id,score:").message() == "--csv: there is no column 'score:'");
  CHECK(refusal_of("id,id=label").message() == "--csv: two columns would be called 'id'");
  CHECK(refusal_of("classes,classes").message() == "--csv: 'classes' is there twice");
}

TEST_CASE("columns that do not fit the images or the classes are refused") {
  const auto refusal = [](const char* list, const Source& names) {
    const auto error = error_of([&] { images::check_columns(images::parse_columns(list), names, 3); });
    return error ? error->what() : std::string("nothing");
  };
  CHECK(refusal("id,label,score:A", Named(true, true)) == "nothing");
  CHECK(
      refusal("id,score:Z", Named(true, true)) ==
      "--csv: there is no class 'Z'\n  detail: the classes are A, B, C\n  hint: name a class as 'classes' does, or by "
      "its number");
  CHECK(contains(refusal("id,score:3", Named(false, true)), "the classes have no names, only the numbers 0 to 2"));
  struct Alike : Named {
    Alike() : Named(true, true) {}
    std::string image_name(std::uint64_t index) const override { return std::to_string(index % 60) + "/a.jpg"; }
  };
  CHECK(contains(refusal("id,label", Alike()), "--csv: two images would be called 'a'\n  detail: 0/a.jpg and 1/a.jpg"));
  CHECK(contains(refusal("file,label", Alike()), "two images would be called 'a.jpg'"));
  CHECK(refusal("path,label", Alike()) == "nothing");  // as in the usual table
}

TEST_CASE("fields are quoted if a reader would misunderstand them") {
  CHECK(images::csv_field("plain text") == "plain text");
  CHECK(images::csv_field("a,b") == "\"a,b\"");
  CHECK(images::csv_field("a\"b") == "\"a\"\"b\"");
  CHECK(images::csv_field("a\nb") == "\"a\nb\"");
  CHECK(images::csv_field("a\rb") == "\"a\rb\"");
}

TEST_CASE("the sink writes a table next to its arrays if it gets the names") {
  const TemporaryFolder folder;
  const Named names(true, false);
  const std::array<float, 4> values{0.25F, 0.75F, 1, 0};
  const std::array<std::int64_t, 2> predicted{1, 0};
  SegmentResult result;
  result.count = 2;
  result.width = 2;
  result.values = values;
  result.predicted = predicted;
  const std::string head = "file,class_1,score_1,class_2,score_2\n";
  const std::string lines = "\"a/b, \"\"0\"\".jpg\",B,0.75,A,0.25\n\"a/b, \"\"1\"\".jpg\",A,1,B,0\n";
  {
    images::NpySink early(folder.path(), {4, Dims{2}, Dims{}, {}}, &names);
    early.write(result);
    early.finish_partial();
    CHECK(read_text(folder / "predictions.partial.csv", "a table") == head + lines);
    CHECK_FALSE(std::filesystem::exists(folder / "predictions.csv"));
  }
  images::NpySink sink(folder.path(), {2, Dims{2}, Dims{}, {}}, &names);
  sink.write(result);
  sink.finish();
  CHECK(read_text(folder / "predictions.csv", "a table") == head + lines);
  CHECK_FALSE(std::filesystem::exists(folder / "predictions.partial.csv"));
  images::NpySink features(folder.path(), {2, Dims{2}, std::nullopt, {}}, &names);
  features.write(result);
  std::filesystem::remove(folder / "predictions.csv");
  features.finish();
  CHECK_FALSE(std::filesystem::exists(folder / "predictions.csv"));
}

}  // namespace
}  // namespace tutti::test
