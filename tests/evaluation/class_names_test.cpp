// Classes of images and of a task, by their names.
#include "evaluation/class_names.hpp"

#include <doctest/doctest.h>

#include <array>

#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/reading.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

using Names = std::vector<std::string>;
using Labels = std::vector<std::uint32_t>;

const std::string kImages = "the images of task 't'";

ClassMatch match(const Names& there, const Names& wanted) { return match_classes(there, wanted, kImages); }

std::string refusal(const Names& there, const Names& wanted) {
  const auto error = error_of([&] { match(there, wanted); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the classes of the images of task 't' do not match those of the task");
  CHECK(error->hint() ==
        "give them the names of the task, and their order does not matter; or put 'classes', and the head if there is "
        "one, "
        "into their order");
  return error->detail();
}

TEST_CASE("names in the order of the task leave labels as they are") {
  const ClassMatch same = match({"cat", "dog"}, {"cat", "dog"});
  CHECK(same.labels.empty());
  CHECK(same.others.empty());
  CHECK(match({"cat"}, {"cat", "dog"}).labels.empty());
  CHECK(match({}, {"cat", "dog"}).labels.empty());
}

TEST_CASE("labels are matched by name if names are in another order or have gaps") {
  CHECK(match({"bird", "cat", "dog"}, {"cat", "dog", "bird"}).labels == Labels{2, 0, 1});
  CHECK(match({"cat", "dog"}, {"bird", "cat", "dog"}).labels == Labels{1, 2});
  CHECK(match({"dog"}, {"cat", "dog"}).labels == Labels{1});
}

TEST_CASE("an exact name of a class goes before a similar one") {
  CHECK(match({"A+", "A-"}, {"A-", "A+"}).labels == Labels{1, 0});
  CHECK(match({"C", "C#", "C++"}, {"C", "C++", "C#"}).labels == Labels{0, 2, 1});
  // Two classes with the same name, which some data sets have, are told apart by their positions.
  CHECK(match({"crane", "egret", "crane"}, {"crane", "egret", "crane"}).labels.empty());
}

TEST_CASE("composed and decomposed letters are the same") {
  const std::string typed = "caf\xC3\xA9";      // one code point
  const std::string of_a_mac = "cafe\xCC\x81";  // two
  CHECK(match({"bar", of_a_mac}, {typed, "bar"}).labels == Labels{1, 0});
  CHECK(match({of_a_mac}, {typed}).others.empty());
  CHECK(match({"000-" + of_a_mac}, {typed}).others.empty());
}

TEST_CASE("case and punctuation and a leading number do not count in a name") {
  CHECK(match({"000-a_red_fox", "001-Cat"}, {"a red fox", "cat"}).others.empty());
  CHECK(match({"000-cat", "001-a_red_fox"}, {"A red  fox!", "cat"}).labels == Labels{1, 0});
  CHECK(match({"AM_General.2000"}, {"x", "AM General 2000"}).labels == Labels{1});
  // A name that is only a number keeps it.
  CHECK(match({"0", "1"}, {"1", "0"}).labels == Labels{1, 0});
  CHECK(match({"000-0", "001-1"}, {"1", "0"}).labels == Labels{1, 0});
  CHECK(match({"3_cats", "cats"}, {"cats", "3 cats"}).labels == Labels{1, 0});
  CHECK(match({"+", "-"}, {"-", "+"}).labels == Labels{1, 0});
}

TEST_CASE("unknown names are matched by position if no known one is out of position") {
  const ClassMatch none = match({"n01440764", "n01443537"}, {"tench", "goldfish"});
  CHECK(none.labels.empty());
  CHECK(none.others == Names{"'n01440764' for 'tench'", "'n01443537' for 'goldfish'"});
  const ClassMatch some = match({"AnnualCrop", "forest"}, {"annual crop land", "forest"});
  CHECK(some.labels.empty());
  CHECK(some.others == Names{"'AnnualCrop' for 'annual crop land'"});
}

TEST_CASE("one name for two classes is matched by position") {
  const ClassMatch cranes = match({"000-crane", "001-fox", "002-crane"}, {"crane", "fox", "crane"});
  CHECK(cranes.labels.empty());
  CHECK(cranes.others.empty());
  CHECK(refusal({"fox", "Fox"}, {"fox", "wolf"}) == "at other positions: 'Fox' (0, there 1); only in the task: 'wolf'");
}

TEST_CASE("names of which some are out of position and some unknown are refused with all of them") {
  CHECK(refusal({"automobile", "cat", "dog"}, {"cat", "dog", "car"}) ==
        "not in the task: 'automobile'; at other positions: 'cat' (0, there 1), 'dog' (1, there 2); only in the task: "
        "'car'");
  CHECK(refusal({"cat", "Cat", "dog"}, {"dog", "cat", "fox"}).find("'cat' (1, there 0)") != std::string::npos);
  Names there;
  Names wanted;
  for (int number = 0; number < 9; ++number) {
    there.push_back("a" + std::to_string(number));
    wanted.insert(wanted.begin(), there.back());
  }
  there[0] = "x";
  CHECK(refusal(there, wanted) ==
        "not in the task: 'x'; at other positions: 'a1' (7, there 1), 'a2' (6, there 2), 'a3' (5, there 3), 'a5' (3, "
        "there 5), 'a6' (2, there 6) and 2 more; only in the task: 'a0'");
}

/// Three images of 1x1x1 with the labels 0, 1, 2 and no names.
std::unique_ptr<Source> nameless() {
  static constexpr std::array kPixels{1.0F, 2.0F, 3.0F};
  static constexpr std::array<std::int64_t, 3> kLabels{0, 1, 2};
  return images::make_memory(Images(kPixels, {1, 1, 1}), kLabels);
}

TEST_CASE("classes without names take those of the task") {
  const auto named = with_task_classes(nameless(), {"a", "b", "c", "d"}, kImages);
  CHECK(named->class_name(2) == "c");
  CHECK(named->class_name(9).empty());
  CHECK(named->classes() == 3);
  CHECK(test::read(*named, {2, 0}).labels == std::vector<std::int64_t>{2, 0});
  CHECK(with_task_classes(nameless(), {}, kImages)->class_name(0).empty());
}

TEST_CASE("images of more classes than the task has are refused") {
  const auto error = error_of([] { with_task_classes(nameless(), {"a", "b"}, kImages); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the images of task 't' have 3 classes, but the task names 2");
  CHECK(error->detail() == "memory");
  const auto whole = error_of([] { with_task_classes(nameless(), {"a", "b"}, "the images of 'input'", "'classes'"); });
  REQUIRE(whole);
  CHECK(whole->message() == "the images of 'input' have 3 classes, but 'classes' names 2");
}

TEST_CASE("the labels of a folder follow the names of its folders") {
  const TemporaryFolder folder;
  for (const char* name : {"bird", "cat", "dog"}) {
    std::filesystem::create_directory(folder / name);
    std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/plain.png"), folder / name / "image.png");
  }
  Resize resize;
  resize.rule = ResizeRule::exact;
  resize.height = resize.width = 4;
  const auto open = [&] { return images::make_folder(folder.path(), resize, {{1}}); };
  const auto swapped = with_task_classes(open(), {"fox", "dog", "cat", "bird"}, kImages);
  CHECK(test::read(*swapped, {0, 1, 2}).labels == std::vector<std::int64_t>{3, 2, 1});
  CHECK(test::bytes_are_the_floats(*swapped, {2, 0}));
  CHECK(swapped->classes() == 4);
  CHECK(swapped->class_name(1) == "dog");
  CHECK(swapped->image_name(0) == "bird/image.png");
  const auto other = with_task_classes(open(), {"0", "1", "2"}, kImages);
  CHECK(test::read(*other, {0, 1, 2}).labels == std::vector<std::int64_t>{0, 1, 2});
  CHECK(other->class_name(0) == "0");
  CHECK(error_of([&] { with_task_classes(open(), {"cat", "bird", "wolf"}, kImages); }));
}

}  // namespace
}  // namespace tutti::test
