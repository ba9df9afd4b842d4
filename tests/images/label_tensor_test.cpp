// Labels that are not one class per image, from .npy files.
#include "images/label_tensor.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "images/sources.hpp"
#include "images/tiles.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::TemporaryFolder;

using Classes = std::vector<std::int64_t>;
using Numbers = std::vector<float>;

/// An .npy file of these values, in a folder of its own.
class File {
 public:
  template <class Value>
  File(const std::string& descr, const std::string& shape, const std::vector<Value>& values) {
    const std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + "}";
    std::ofstream file(path(), std::ios::binary);
    file << std::string("\x93NUMPY\x01\x00", 8) << static_cast<char>(header.size()) << '\0' << header;
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(Value)));
  }
  std::filesystem::path path() const { return folder_ / "y.npy"; }
  LabelFile as(LabelForm form, std::optional<std::int64_t> ignored = {}, std::uint32_t classes = 0) const {
    return {path(), form, ignored, classes};
  }

 private:
  TemporaryFolder folder_;
};

std::unique_ptr<Source> two_unlabelled() { return make_random(2, {1, 1, 1}, 0, 0); }

template <class Value>
std::vector<Value> labels_of(Source& source, const std::vector<std::uint64_t>& indices) {
  std::vector<Value> labels(indices.size() * source.label_layout()->elements());
  source.read_labels(indices, std::as_writable_bytes(std::span(labels)));
  return labels;
}

Error refusal(const LabelFile& labels) {
  const auto error = error_of([&] { with_label_tensor(two_unlabelled(), labels); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == labels.file.string() + " cannot be used as labels");
  return *error;
}

TEST_CASE("masks of every type of whole numbers become int64 in any order") {
  const File files[]{{"|u1", "(2, 1, 2)", std::vector<std::uint8_t>{0, 2, 1, 0}},
                     {"<i4", "(2, 1, 2)", std::vector<std::int32_t>{0, 2, 1, 0}},
                     {"<i8", "(2, 1, 2)", std::vector<std::int64_t>{0, 2, 1, 0}}};
  for (const File& file : files) {
    REQUIRE(is_label_tensor(file.as(LabelForm::classes)));
    const auto source = with_label_tensor(two_unlabelled(), file.as(LabelForm::classes));
    CHECK(source->label_layout() == TensorLayout{Dtype::int64, {1, 2}});
    CHECK_FALSE(source->labelled());
    CHECK(source->classes() == 3);
    CHECK(labels_of<std::int64_t>(*source, {1, 0, 1}) == Classes{1, 0, 0, 2, 1, 0});
  }
  const File truths("|b1", "(2, 2)", std::vector<std::uint8_t>{0, 1, 7, 0});
  const auto source = with_label_tensor(two_unlabelled(), truths.as(LabelForm::classes));
  CHECK(labels_of<std::int64_t>(*source, {0, 1}) == Classes{0, 1, 1, 0});
}

TEST_CASE("numbers of every type become float32") {
  const File files[]{{"<f4", "(2, 2)", std::vector<float>{0.5F, -1, 2, 3}},
                     {"<f8", "(2, 2)", std::vector<double>{0.5, -1, 2, 3}}};
  for (const File& file : files) {
    const auto source = with_label_tensor(two_unlabelled(), file.as(LabelForm::values));
    CHECK(source->label_layout() == TensorLayout{Dtype::float32, {2}});
    CHECK(source->classes() == 0);
    CHECK(labels_of<float>(*source, {1, 0}) == Numbers{2, 3, 0.5F, -1});
  }
  const File whole("<i4", "(2,)", std::vector<std::int32_t>{7, -8});
  const auto source = with_label_tensor(two_unlabelled(), whole.as(LabelForm::values));
  CHECK(source->label_layout() == TensorLayout{Dtype::float32, {}});
  CHECK(labels_of<float>(*source, {0, 1}) == Numbers{7, -8});
}

TEST_CASE("parts of a set keep their labels") {
  const File file("<f4", "(2,)", Numbers{1, 2});
  const auto rest = without_first(with_label_tensor(two_unlabelled(), file.as(LabelForm::values)), 1);
  CHECK(labels_of<float>(*rest, {0}) == Numbers{2});
  const auto first = limited(with_label_tensor(two_unlabelled(), file.as(LabelForm::values)), 1);
  CHECK(labels_of<float>(*first, {0}) == Numbers{1});
  const auto named = with_classes(with_label_tensor(two_unlabelled(), file.as(LabelForm::values)), {"a"}, {});
  CHECK(named->label_layout() == TensorLayout{Dtype::float32, {}});
}

TEST_CASE("a column of a table may be the numbers to predict, and is then not one of the inputs") {
  const TemporaryFolder folder;
  std::ofstream(folder / "t.csv") << "age,price,kind\n1,10.5,a\n2,20.5,b\n";
  const std::filesystem::path column = (folder / "t.csv").string() + ":price";
  const auto inputs = make_arrays({{"age", (folder / "t.csv").string() + ":age"}}, column, 0, ReadLabels::no);
  CHECK_FALSE(inputs->labelled());
  const auto source =
      with_label_tensor(make_arrays({{"age", (folder / "t.csv").string() + ":age"}}, column, 0, ReadLabels::no),
                        {column, LabelForm::values});
  CHECK(source->tensors().size() == 1);
  CHECK(labels_of<float>(*source, {1, 0}) == Numbers{20.5F, 10.5F});
  CHECK_FALSE(is_label_tensor({(folder / "t.csv").string() + ":kind", LabelForm::classes}));
}

TEST_CASE("the labels in a table of numbers are not an input, even if they are read elsewhere") {
  const TemporaryFolder folder;
  std::ofstream(folder / "t.csv") << "age,size,price\n1,3,10.5\n2,4,20.5\n";
  const auto source = make_arrays({{"t", folder / "t.csv"}}, (folder / "t.csv").string() + ":price", 0, ReadLabels::no);
  REQUIRE(source->tensors().size() == 1);
  CHECK(source->tensors()[0].layout.dims == Dims{2});
  CHECK_FALSE(source->labelled());
}

TEST_CASE("one class per image is not a tensor of labels, and numbers always are") {
  const File classes("<i8", "(2,)", Classes{0, 1});
  CHECK_FALSE(is_label_tensor(classes.as(LabelForm::classes)));
  CHECK(is_label_tensor(classes.as(LabelForm::values)));
  CHECK(is_label_tensor(classes.as(LabelForm::indicators)));
  const File column("<i8", "(2, 1)", Classes{0, 1});
  CHECK_FALSE(is_label_tensor(column.as(LabelForm::classes)));
  const File floats("<f4", "(2, 3)", Numbers(6));
  CHECK_FALSE(is_label_tensor(floats.as(LabelForm::classes)));  // make_npy() says what is wrong with it
  const auto error = error_of([&] { is_label_tensor(classes.as(LabelForm::classes, 255)); });
  REQUIRE(error);
  CHECK(error->message() == classes.path().string() + " cannot be used as masks");
  CHECK(error->hint() == "leave 'ignore_index' out: it marks places of masks, and these are labels of whole images");
}

TEST_CASE("a mask with a number that is no class is refused at the start") {
  const File file("|u1", "(2, 2)", std::vector<std::uint8_t>{0, 1, 255, 2});
  CHECK(with_label_tensor(two_unlabelled(), file.as(LabelForm::classes))->classes() == 256);
  CHECK(with_label_tensor(two_unlabelled(), file.as(LabelForm::classes, 255))->classes() == 3);
  CHECK(with_label_tensor(two_unlabelled(), file.as(LabelForm::classes, 255, 21))->classes() == 21);
  const Error error = refusal(file.as(LabelForm::classes, {}, 21));
  CHECK(error.detail() == "the label of image 1 at place 0 is 255, and labels are 0 to 20");
  CHECK(error.hint() ==
        "number the classes from 0, or correct `classes`; if 255 marks places to leave out, set 'ignore_index: 255'");
  const File negative("<i4", "(2, 1, 2)", std::vector<std::int32_t>{0, 1, -1, 2});
  CHECK(refusal(negative.as(LabelForm::classes, 255)).detail() ==
        "the label of image 1 at place 0 is -1, and labels are 0 to 2147483646");
  CHECK(with_label_tensor(two_unlabelled(), negative.as(LabelForm::classes, -1))->classes() == 3);
}

TEST_CASE("several labels are 0 or 1, and numbers are finite in float32") {
  const File file("<f4", "(2, 2)", Numbers{0, 1, 0.5F, 1});
  CHECK(refusal(file.as(LabelForm::indicators)).detail() ==
        "label 0 of image 1 is 0.5, and with 'activation: sigmoid' each of several labels is 0 or 1");
  CHECK(with_label_tensor(two_unlabelled(), file.as(LabelForm::values)));
  const File large("<f8", "(2,)", std::vector<double>{1, 1e300});
  CHECK(refusal(large.as(LabelForm::values)).detail() == "label 0 of image 1 is inf in float32");
  CHECK(refusal(large.as(LabelForm::values)).hint() == "leave images without a label out, or scale the values");
}

TEST_CASE("arrays that are no labels are refused with the reason") {
  const File three("<f4", "(3,)", Numbers(3));
  CHECK(refusal(three.as(LabelForm::values)).detail() == "it has labels for 3 images, and there are 2");
  const File wide("<u2", "(2, 4)", std::vector<std::uint16_t>(8));
  CHECK(refusal(wide.as(LabelForm::classes)).detail() ==
        "its element type is '<u2', and one of '<i8', '<i4', '|u1', '|b1' is needed");
  CHECK(refusal(wide.as(LabelForm::classes)).hint() ==
        "save masks with numpy.save(path, numpy.ascontiguousarray(y.astype('int64')))");
  CHECK(refusal(wide.as(LabelForm::values)).hint() ==
        "save them with numpy.save(path, numpy.ascontiguousarray(y.astype('float32')))");
  const File empty("<f4", "(2, 0)", Numbers{});
  CHECK(refusal(empty.as(LabelForm::values)).detail() == "its shape is (2, 0)");
  const File deep("<f4", "(2, 1, 1, 1, 1, 1, 1)", Numbers(2));
  CHECK(refusal(deep.as(LabelForm::values)).hint() == "the first axis counts the images, and at most 5 follow it");
  const File cut("<f4", "(2, 2)", Numbers(3));
  CHECK(test::contains(refusal(cut.as(LabelForm::values)).detail(), "it is truncated"));
}

TEST_CASE("a source without such labels says so") {
  const auto source = two_unlabelled();
  CHECK_FALSE(source->label_layout());
  const auto error = error_of([&] { source->read_labels({}, {}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(test::contains(error->message(), "has no such labels to give"));
  CHECK(make_random(2, {1, 1, 1}, 3, 0)->label_layout() == TensorLayout{Dtype::int64, {}});
}

TEST_CASE("parts of the masks of large inputs are read from every type, and a wrong label is named with its place") {
  const auto check = [](const File& file, std::uint32_t classes) {
    const auto masks = open_masks(file.as(LabelForm::classes, 9), 2, {1, 300, 400});
    CHECK(masks->classes() == classes);
    CHECK(masks->name() == file.path().string());
    Classes part(3);
    masks->read(1, 119'996, part);
    CHECK(part == Classes{6, 9, 0});
  };
  // More places than are read at once.
  std::vector<std::int32_t> places(std::size_t{2} * 120'000);
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<std::int32_t>(i % 7);
  places[120'000 + 119'996] = 6;
  places[120'000 + 119'997] = 9;
  places[120'000 + 119'998] = 0;
  const std::string shape = "(2, 300, 400)";
  check(File("<i4", shape, places), 7);
  check(File("<i8", shape, std::vector<std::int64_t>(places.begin(), places.end())), 7);
  check(File("|u1", "(2, 1, 300, 400)", std::vector<std::uint8_t>(places.begin(), places.end())), 7);
  const File file("<i4", shape, places);
  const auto error = error_of([&] { open_masks(file.as(LabelForm::classes, {}, 8), 2, {300, 400}); });
  REQUIRE(error);
  CHECK(error->detail() == "the label of image 1 at place 119997 is 9, and labels are 0 to 7");
}

TEST_CASE("masks of other sizes than the inputs are refused with both") {
  const auto detail = [](const std::string& shape, const Dims& sizes) {
    const File file("<i4", shape, std::vector<std::int32_t>(24));
    const auto error = error_of([&] { open_masks(file.as(LabelForm::classes), 2, sizes); });
    REQUIRE(error);
    CHECK(error->message() == file.path().string() + " cannot be used as masks of large inputs");
    return error->detail();
  };
  CHECK(detail("(2, 3, 4)", {4, 3}) == "its masks are 3x4, and the inputs 4x3");
  CHECK(detail("(2, 12)", {3, 4}) == "its masks are 12, and the inputs 3x4");
  CHECK(detail("(2,)", {3, 4}) == "it has one label for each input, which is 3x4");
}

}  // namespace
}  // namespace tutti::images
