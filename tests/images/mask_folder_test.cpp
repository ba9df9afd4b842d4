// Masks of the pictures of a folder: which file belongs to which picture, resizing, and what is said of those that do
// not fit.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "images/sources.hpp"
#include "images/tiles.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/made_png.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;
using images::LabelFile;

constexpr Resize kWhole{ResizeRule::exact, 4, 6};

/// photos/ with pictures of 4 x 6, and masks/.
struct Pictures : TemporaryFolder {
  void picture(const std::string& name, std::uint32_t height = 4, std::uint32_t width = 6) const {
    write_png(*this / "photos" / name, {height, width, PngColours::rgb, 8},
              std::vector<std::uint8_t>(std::size_t{height} * width * 3, 100));
  }
  /// Of numbers 0, 1, 2 ...
  void mask(const std::string& name, PngForm form = {4, 6}) const {
    std::vector<std::uint8_t> rows(std::size_t{form.height} * form.width * (form.depth / 8));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint8_t>(i);
    write_png(*this / "masks" / name, form, rows);
  }
  std::string path_of(const std::string& name) const { return (*this / name).string(); }

  std::unique_ptr<Source> open(LabelFile masks = {}, const Resize& resize = kWhole, bool skip = false) const {
    if (masks.file.empty()) masks.file = *this / "masks";
    images::FolderReading reading{{2}, skip};
    reading.masks = masks;
    return images::make_folder(*this / "photos", resize, reading);
  }
  Error refusal(const LabelFile& masks = {}) const {
    const auto error = error_of([&] { open(masks); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return *error;
  }
};

std::vector<std::int64_t> labels_of(Source& source, std::uint64_t index) {
  REQUIRE(source.label_layout()->dtype == Dtype::int64);
  std::vector<std::int64_t> labels(source.label_layout()->elements());
  source.read_labels(std::vector{index}, std::as_writable_bytes(std::span(labels)));
  return labels;
}

TEST_CASE("the mask of a picture is the PNG of its name, and sub-folders are not classes") {
  const Pictures folder;
  folder.picture("north/b.png");
  folder.picture("south/a.png");
  folder.mask("north/b.png");
  folder.mask("south/a.png", {4, 6, PngColours::palette, 8});
  const auto source = folder.open();
  CHECK_FALSE(source->labelled());
  CHECK(source->count() == 2);
  CHECK(source->image_name(1) == "south/a.png");
  CHECK(source->class_name(0).empty());
  CHECK(source->label_layout() == TensorLayout{Dtype::int64, {4, 6}});
  CHECK(source->classes() == 24);
  std::vector<std::int64_t> wanted(24);
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<std::int64_t>(i);
  CHECK(labels_of(*source, 0) == wanted);
  CHECK(labels_of(*source, 1) == wanted);
}

TEST_CASE("pictures with masks may be both in a folder and in its sub-folders") {
  const Pictures folder;
  for (const char* name : {"north/b.png", "z.png", "a.png"}) {
    folder.picture(name);
    folder.mask(name);
  }
  const auto source = folder.open();
  REQUIRE(source->count() == 3);
  CHECK(source->image_name(0) == "a.png");
  CHECK(source->image_name(2) == "north/b.png");
  const std::string before = images::folder_fingerprint(folder / "photos", {folder / "masks"});
  CHECK(contains(before, "3 images in 0 classes"));
  folder.picture("north/c.png");
  CHECK(images::folder_fingerprint(folder / "photos", {folder / "masks"}) != before);
}

TEST_CASE("masks are resized and cropped like their pictures, and no label is mixed with another") {
  const Pictures folder;
  folder.picture("a.png");
  write_png(folder / "masks" / "a.png", {4, 6, PngColours::grey, 16}, [] {
    std::vector<std::uint8_t> rows;
    for (std::uint32_t y = 0; y < 4; ++y)
      for (std::uint32_t x = 0; x < 6; ++x)
        rows.insert(rows.end(), {static_cast<std::uint8_t>(1 + y), std::uint8_t(x)});
    return rows;
  }());
  const auto at = [](std::int64_t y, std::int64_t x) { return 256 * (1 + y) + x; };
  const auto half = folder.open({}, {ResizeRule::exact, 2, 3, 0, 0, Interpolation::bilinear});
  CHECK(labels_of(*half, 0) == std::vector{at(1, 1), at(1, 3), at(1, 5), at(3, 1), at(3, 3), at(3, 5)});
  const auto centre = folder.open({}, {ResizeRule::shorter, 4, 4, 2, 2, Interpolation::bicubic});
  CHECK(labels_of(*centre, 0) == std::vector{at(1, 2), at(1, 3), at(2, 2), at(2, 3)});
  const auto twice = folder.open({}, {ResizeRule::exact, 8, 12, 2, 2});
  CHECK(labels_of(*twice, 0) == std::vector{at(1, 2), at(1, 3), at(2, 2), at(2, 3)});
}

TEST_CASE("labels of masks may be right or wrong, or numbers") {
  const Pictures folder;
  folder.picture("a.png", 1, 3);
  write_png(folder / "masks/a.png", {1, 3}, {0, 1, 1});
  for (const LabelForm form : {LabelForm::indicators, LabelForm::values}) {
    const auto source = folder.open({{}, form}, {ResizeRule::exact, 1, 3});
    CHECK(source->label_layout() == TensorLayout{Dtype::float32, {1, 3}});
    CHECK(source->classes() == 0);
    std::vector<float> labels(3);
    source->read_labels(std::vector<std::uint64_t>{0}, std::as_writable_bytes(std::span(labels)));
    CHECK(labels == std::vector<float>{0, 1, 1});
  }
  write_png(folder / "masks/a.png", {1, 3}, {0, 1, 2});
  CHECK_NOTHROW(folder.open({{}, LabelForm::values}));
  const Error error = folder.refusal({{}, LabelForm::indicators});
  CHECK(error.message() ==
        "the mask " + folder.path_of("masks/a.png") + " of " + folder.path_of("photos/a.png") + " has the label 2");
  CHECK(error.detail() == "at row 0, column 2, and with 'activation: sigmoid' a label is 0 or 1");
}

TEST_CASE("a label that is not a class is named with its place, unless it is ignored") {
  const Pictures folder;
  folder.picture("a.png");
  folder.mask("a.png");
  const Error error = folder.refusal({{}, {}, {}, 20});
  CHECK(contains(error.message(), "masks/a.png of "));
  CHECK(contains(error.message(), " has the label 20"));
  CHECK(error.detail() == "at row 3, column 2, and labels are 0 to 19");
  CHECK(contains(error.hint(), "if 20 marks places to leave out, set 'ignore_index: 20'"));
  CHECK(folder.open({{}, {}, 23, 23})->classes() == 23);
  CHECK(folder.open({{}, {}, 23, 0})->classes() == 23);
}

TEST_CASE("a picture without a mask is named, and how many there are") {
  const Pictures folder;
  for (const char* name : {"a.png", "b.png", "c.png"}) folder.picture(name);
  folder.mask("b.png");
  const Error two = folder.refusal();
  CHECK(two.message() == folder.path_of("photos/a.png") + " has no mask");
  CHECK(two.detail() == "there is no file " + folder.path_of("masks/a.png") + "; 2 of 3 pictures have no mask");
  CHECK(contains(two.hint(), "the mask of a picture is a PNG of the same name in the folder of 'labels'"));
  folder.mask("a.png");
  CHECK(folder.refusal().detail() == "there is no file " + folder.path_of("masks/c.png"));
}

TEST_CASE("a mask that cannot be read is named with its picture, and the reason") {
  const Pictures folder;
  folder.picture("a.png");
  fs::create_directories(folder / "masks");
  const std::string title = "the mask " + folder.path_of("masks/a.png") + " of " + folder.path_of("photos/a.png");
  const auto check = [&](const std::string& why, const std::string& hint) {
    const Error error = folder.refusal();
    CHECK(error.message() == title + " cannot be read");
    CAPTURE(error.detail());
    CHECK(contains(error.detail(), why));
    CAPTURE(error.hint());
    CHECK(contains(error.hint(), hint));
  };
  const std::string save = "grey or palette PNG: Image.fromarray(classes.astype('uint8')).save(path)";
  std::ofstream(folder / "masks/a.png") << "no picture";
  check("it is not a PNG", save);
  std::ofstream(folder / "masks/a.png") << "";
  check("it is empty", save);
  write_png(folder / "masks/a.png", {1, 1, PngColours::rgb, 8}, {1, 2, 3});
  check("it is RGB, and the colours of a pixel do not tell its class", save);
  std::ofstream(folder / "masks/a.png") << kLfsPointer;
  check("Git LFS", "git lfs pull");
  fs::remove(folder / "masks/a.png");
  fs::create_directories(folder / "masks/a.png");
  check("", "");
}

TEST_CASE("broken pictures may be left out, but a broken mask ends the run") {
  const Pictures folder;
  folder.picture("a.png");
  folder.picture("b.png");
  std::ofstream(folder / "photos/b.png") << "broken";
  folder.mask("a.png");
  CHECK(folder.open({}, kWhole, true)->count() == 1);
  std::ofstream(folder / "masks/a.png") << "broken";
  CHECK(error_of([&] { folder.open({}, kWhole, true); }));
}

TEST_CASE("a mask of another size than its picture is refused") {
  const Pictures folder;
  folder.picture("a.png");
  folder.mask("a.png", {4, 5});
  const Error error = folder.refusal();
  CHECK(error.message() == "the mask " + folder.path_of("masks/a.png") + " of " + folder.path_of("photos/a.png") +
                               " has another size than the picture");
  CHECK(error.detail() == "it is 4 high and 5 wide, and the picture 4 high and 6 wide");
  CHECK(contains(error.hint(), "save masks in the size of their pictures"));
  folder.mask("a.png", {6, 4});
  CHECK(contains(folder.refusal().hint(), "'orientation' says whether pictures are turned as EXIF tells"));
}

TEST_CASE("masks in a place that cannot be theirs are refused") {
  const Pictures folder;
  folder.picture("a.png");
  const Error none = folder.refusal();
  CHECK(none.message() == folder.path_of("masks") + " cannot be read as a folder of masks");
  CHECK(none.detail() == "there is no such folder");
  std::ofstream(folder / "file.npy") << "";
  CHECK(folder.refusal({folder / "file.npy"}).detail() == "it is not a folder");
  folder.picture("masks/a.png");
  for (const char* inside : {"photos", "photos/masks", "photos/../photos/masks"}) {
    const Error error = folder.refusal({folder / inside});
    CHECK(contains(error.detail(), "it is in the folder of the pictures, "));
    CHECK(contains(error.hint(), "two folders next to each other"));
  }
}

TEST_CASE("large pictures have their whole masks, also without the first ones") {
  const Pictures folder;
  folder.picture("a.png", 7, 9);
  folder.picture("b.png", 4, 6);
  folder.mask("a.png", {7, 9});
  folder.mask("b.png");
  images::FolderReading reading;
  reading.masks = LabelFile{folder / "masks"};
  const auto open = [&](std::uint64_t first) {
    return images::tiled(images::open_large_pictures(folder / "photos", reading), {{4}, 0.5, {}}, first, 2);
  };
  const auto both = open(0);
  CHECK_FALSE(both->labelled());
  CHECK_FALSE(both->label_layout());
  CHECK(both->classes() == 63);
  images::InputMasks* const masks = images::masks_of(*both);
  REQUIRE(masks != nullptr);
  std::vector<std::int64_t> labels(5);
  masks->read(0, 58, labels);
  CHECK(labels == std::vector<std::int64_t>{58, 59, 60, 61, 62});
  masks->read(1, 2, labels);
  CHECK(labels == std::vector<std::int64_t>{2, 3, 4, 5, 6});
  const auto later = open(1);
  images::masks_of(*later)->read(0, 19, labels);
  CHECK(labels == std::vector<std::int64_t>{19, 20, 21, 22, 23});
  folder.mask("b.png", {2, 2});
  const auto error = error_of([&] { images::masks_of(*open(0)); });
  CHECK(contains(error->message(), "has another size than the picture"));
  CHECK(contains(error_of([&] {
                   masks->read(0, 0, labels);
                   masks->read(1, 2, labels);
                 })->message(),
                 "was changed while it was read"));
  CHECK(images::masks_of(*images::tiled(images::open_large_pictures(folder / "photos", {}), {{4}, 0.5, {}}, 0, 2)) ==
        nullptr);
}

}  // namespace
}  // namespace tutti::test
