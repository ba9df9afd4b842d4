// Tables of numbers in .csv files: quoting, names of columns, labels, and mistakes with their line and column.
#include "images/table.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/tensor_text.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"

namespace tutti::images {
namespace {

using test::contains;
using test::error_of;
using test::read_samples;
using test::TemporaryFolder;

class Written {
 public:
  explicit Written(const std::string& text) { test::write_file(file(), text); }
  std::filesystem::path file() const { return folder_ / "t.csv"; }
  std::string column(const std::string& name) const { return file().string() + ":" + name; }
  std::unique_ptr<Source> open(const std::string& labels = {}, std::uint32_t classes = 0) const {
    return make_arrays({{"t", file()}}, labels.empty() ? "" : column(labels), classes);
  }
  std::string names() const {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      all += entry.path().filename().string();
    return all;
  }

 private:
  TemporaryFolder folder_;
};

/// What is wrong with a table, and what to do.
std::string table_refusal(const std::string& text, const std::string& labels = {}) {
  const Written written(text);
  const auto error = error_of([&] { written.open(labels); });
  if (!error) return "nothing";
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == written.file().string() + " cannot be used as a table");
  return error->detail() + "; " + error->hint();
}

std::vector<float> table_values(const std::string& text) {
  const auto source = Written(text).open();
  std::vector<std::uint64_t> all(source->count());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return read_samples(*source, all).values<float>(0);
}

TEST_CASE("the numbers of a table are samples of float32 and nothing is left beside it") {
  const Written written("width,height\n1,2.5\n-3e2,+4\n");
  const auto source = written.open();
  CHECK(source->name() == "npy " + written.file().string());
  CHECK(source->count() == 2);
  CHECK(sample_text(source->tensors()) == "t (2 of float32)");
  CHECK(read_samples(*source, {1, 0, 1}).values<float>(0) == std::vector<float>{-300, 4, 1, 2.5F, -300, 4});
  CHECK(written.names() == "t.csv");
}

TEST_CASE("quotes and ends of lines and separators and blanks are read as RFC 4180 and spreadsheets write them") {
  const std::vector<float> expected{1, 2, 3, 4};
  CHECK(table_values("1,2\n3,4\n") == expected);
  CHECK(table_values("1,2\r\n3,4") == expected);
  CHECK(table_values("1,2\r3,4\r") == expected);
  CHECK(table_values("\xEF\xBB\xBF"
                     "a,b\n\n1,2\n\n3,4\n\n") == expected);
  CHECK(table_values("\"a, with \"\"quotes\"\"\",\"b\nin two lines\"\n\"1\",2\n3,\"4\"\n") == expected);
  CHECK(table_values("a;b\n1;2\n3;4\n") == expected);
  CHECK(table_values("a\tb\n1\t2\n3\t4\n") == expected);
  CHECK(table_values(" a , b \n 1, 2 \n3,\t4\n") == expected);
  CHECK(table_values("a\n1\n2\n3\n4\n") == expected);
}

TEST_CASE("a first line of names is told from one of values") {
  CHECK(table_values("0,1,2\n5,6,7\n") == std::vector<float>{5, 6, 7});  // as pandas calls columns without names
  CHECK(Written("0,1,2\n5,6,7\n").open()->remarks().size() == 1);
  CHECK(table_values("0,1\n5,6\n") == std::vector<float>{0, 1, 5, 6});
  CHECK(table_values("2019,2020,total\n5,6,7\n") == std::vector<float>{5, 6, 7});
  CHECK(table_refusal("5.1,NA,3\n1,2,3\n") ==
        "line 1, column 2: 'NA' is not a number; a table holds numbers with a decimal point, separated by commas; "
        "pandas writes it with t.to_csv(path, index=False)");
  CHECK(contains(table_refusal("5.1,x,3\n1,2,3\n"), "line 1, column 2: 'x' is not a number"));
  CHECK(contains(table_refusal("5.1,,3\n1,2,3\n"), "line 1, column 2: a value is missing"));
}

TEST_CASE("values that are missing or not numbers are refused with line and column") {
  CHECK(table_refusal("a,b\n1,2\n3,\n") ==
        "line 3, column 2 ('b'): a value is missing; fill it in, or leave out the row or the column");
  CHECK(
      contains(table_refusal("a,b\n1,two\n"), "line 2, column 2 ('b'): 'two' is not a number; a table holds numbers"));
  CHECK(contains(table_refusal("a,b\n1,nan\n"), "line 2, column 2 ('b'): 'nan' is not a number"));
  CHECK(contains(table_refusal("a,b\n1,1e39\n"), "'1e39' is not a number that float32 can hold"));
  CHECK(contains(table_refusal("a;b\n1,5;2\n"), "line 2, column 1 ('a'): '1,5' is not a number"));
  CHECK(table_refusal("a,b\n\"x\ny\",2\n1,2\n").starts_with("line 2, column 1 ('a'): 'x\ny' is not a number"));
  CHECK(contains(table_refusal("a\n1\n\"2\n3\"\n\n4x\n"), "line 3, column 1"));
}

TEST_CASE("a table that is not one is refused") {
  CHECK(contains(table_refusal(""), "it is empty"));
  CHECK(table_refusal("a,b\n1,2\n3\n") ==
        "line 3 has 1 field, and 2 are needed; give each row as many fields as the first line has");
  CHECK(contains(table_refusal("1,2\n3,4,5\n"), "line 2 has 3 fields, and 2 are needed"));
  CHECK(table_refusal("a,b\n\"1,2\n3,4\n") ==
        "line 2: a quoted field does not end; quotes inside a quoted field are doubled");
  CHECK(table_refusal("a,b\n\"1\"2,3\n") ==
        "line 2: text follows a quoted field; quotes inside a quoted field are doubled");
  CHECK(
      contains(table_refusal("a\n" + std::string((1 << 20) + 1, '1')), "line 2: a field has more than 1048576 bytes"));
  CHECK(table_refusal(",width,height\n0,1,2\n") ==
        "column 1 has no name; it may hold the row numbers that pandas writes; save it with t.to_csv(path, "
        "index=False), or name the column");
}

TEST_CASE("a table of names and no rows is a set of no samples") { CHECK(Written("a,b\n").open()->count() == 0); }

TEST_CASE("one column is a tensor of numbers") {
  const Written written("age,height\n30,1.8\n40,1.7\n");
  const auto source = make_arrays({{"age", written.column("age")}}, {}, 0);
  CHECK(sample_text(source->tensors()) == "age (a number of float32)");
  CHECK(read_samples(*source, {1, 0}).values<float>(0) == std::vector<float>{40, 30});
}

TEST_CASE("a column of names is labels in the order of the sorted names and not one of the numbers") {
  const Written written("a,species,b\n1,setosa,2\n3,\"iris, virginica\",4\n5,setosa,6\n");
  const auto source = written.open("species");
  CHECK(sample_text(source->tensors()) == "t (2 of float32)");
  CHECK(source->classes() == 2);
  CHECK(source->class_name(0) == "iris, virginica");
  CHECK(source->class_name(1) == "setosa");
  CHECK(source->class_name(2).empty());
  const auto samples = read_samples(*source, {2, 1, 0});
  CHECK(samples.values<float>(0) == std::vector<float>{5, 6, 3, 4, 1, 2});
  CHECK(samples.labels == std::vector<std::int64_t>{1, 0, 1});
}

TEST_CASE("a column of whole numbers is labels as they are") {
  const Written written("a,y\n1,7\n2,0\n3,2.0\n");
  const auto source = written.open("y");
  CHECK(source->classes() == 8);
  CHECK(source->class_name(0).empty());
  CHECK(read_samples(*source, {0, 1, 2}).labels == std::vector<std::int64_t>{7, 0, 2});
  CHECK(written.open("y", 10)->classes() == 10);
  const auto error = error_of([&] { written.open("y", 5); });
  REQUIRE(error);
  CHECK(error->message() == written.column("y") + " cannot be used as labels");
  CHECK(error->detail() == "the label of sample 0 is 7, and labels are 0 to 4");
}

TEST_CASE("labels that no column holds or that are not classes are refused") {
  const std::string text = "width,species\n1,a\n2,\n";
  CHECK(table_refusal(text, "specie") == "it has no column 'specie', but width, species; did you mean 'species'?");
  CHECK(contains(table_refusal(text, "something"), "; name one of these"));
  CHECK(table_refusal(text, "species") ==
        "line 3, column 2 ('species'): a label is missing; fill it in, or leave out the row");
  CHECK(table_refusal("1,2\n3,4\n", "y") ==
        "there is no column 'y': its first line holds numbers, not names; add a line with the names of the columns");
  CHECK(contains(table_refusal("a,y\n1,0.5\n2,1\n", "y"),
                 "the column 'y' holds '0.5', which is not a class; labels are"));
  CHECK(table_refusal("y,y\n1,0\n", "y") == "it has two columns 'y'; give the columns different names");
  CHECK(contains(table_refusal("y\n1\n", "y"), "it has no column besides 'y'"));
  const Written names("a,y\n1,cat\n2,dog\n3,cow\n");
  const auto many = error_of([&] { names.open("y", 2); });
  REQUIRE(many);
  CHECK(many->detail() == "it has 3 different names, and 'classes' says 2");
  const auto whole = error_of([&] { make_arrays({{"t", names.column("a")}}, names.file(), 0); });
  REQUIRE(whole);
  CHECK(whole->detail() == "it is a table, and one of its columns holds the labels");
  CHECK(whole->hint() == "name the column: labels: " + names.file().string() + ":species");
}

}  // namespace
}  // namespace tutti::images
