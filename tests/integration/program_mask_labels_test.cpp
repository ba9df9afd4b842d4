// Runs whose labels are masks beside the pictures of a folder, and runs over tiles that are compared with masks. The
// figures of the report are compared with a plain computation over what the run wrote.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "images/npy_reader.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/made_png.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

struct Sizes {
  std::uint32_t height;
  std::uint32_t width;
};

/// The label at a place of picture `picture`; 9 does not count.
std::int64_t label_at(std::uint64_t picture, std::uint64_t place) {
  const std::uint64_t number = random_at(20 + picture, place) % 4;
  return number == 3 ? 9 : static_cast<std::int64_t>(number);
}

/// photos/<name>.png and masks/<name>.png.
void write_pictures(const Workplace& place, const std::map<std::string, Sizes>& pictures) {
  std::uint64_t number = 0;
  for (const auto& [name, size] : pictures) {
    const std::size_t places = std::size_t{size.height} * size.width;
    std::vector<std::uint8_t> pixels(places * 3);
    std::vector<std::uint8_t> labels(places);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(random_at(10 + number, i));
    for (std::size_t i = 0; i < places; ++i) labels[i] = static_cast<std::uint8_t>(label_at(number, i));
    write_png(place / ("photos/" + name + ".png"), {size.height, size.width, PngColours::rgb, 8}, pixels);
    write_png(place / ("masks/" + name + ".png"), {size.height, size.width, PngColours::palette, 8}, labels);
    ++number;
  }
}

template <class Value>
std::vector<Value> values_in(const fs::path& file) {
  const images::NpyReader reader(file,
                                 std::is_same_v<Value, float> ? images::NpyType::float32 : images::NpyType::int64);
  std::vector<Value> values(reader.rows() * reader.width());
  reader.read(0, values);
  return values;
}

/// The class with the largest of three values at each place.
std::vector<std::int64_t> classes_in(const std::vector<float>& values) {
  const std::size_t places = values.size() / 3;
  std::vector<std::int64_t> classes(places);
  for (std::size_t place = 0; place < places; ++place)
    for (std::size_t other = 1; other < 3; ++other)
      if (values[other * places + place] > values[static_cast<std::size_t>(classes[place]) * places + place])
        classes[place] = static_cast<std::int64_t>(other);
  return classes;
}

/// Places by label and predicted class.
using MaskCounts = std::array<std::array<std::uint64_t, 3>, 3>;

void count(MaskCounts& counts, std::uint64_t picture, const std::vector<std::int64_t>& classes) {
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (const std::int64_t label = label_at(picture, i); label != 9)
      ++counts[static_cast<std::size_t>(label)][static_cast<std::size_t>(classes[i])];
}

void check_mask_scores(const json::value& scores, const MaskCounts& counts) {
  REQUIRE(scores.is_object());
  CHECK(scores.at("kind") == "masks");
  double sum = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    double either = 0;
    for (std::size_t other = 0; other < 3; ++other) {
      either += static_cast<double>(counts[c][other] + counts[other][c]);
      CHECK(scores.at("confusion_matrix").at(c).at(other) == counts[c][other]);
    }
    const auto both = static_cast<double>(counts[c][c]);
    sum += both / (either - both);
  }
  CHECK(scores.at("mean_iou").to_number<double>() == doctest::Approx(sum / 3));
}

const std::map<std::string, Sizes> kOfOneSize{{"a", {6, 8}}, {"b", {6, 8}}, {"c", {6, 8}}};
const std::map<std::string, Sizes> kOfSeveral{{"a", {11, 14}}, {"north/b", {6, 30}}, {"north/c", {4, 5}}};

const std::string kTwoMembers = R"(
members:
  - {name: a, model: {kind: fake, classes: 3, per_class: [6, 8]}}
  - {name: b, model: {kind: fake, classes: 3, per_class: [6, 8]}}
assignment: cpu
combine: {rule: mean, over: logits}
segment_images: 5
batch_images: 2
save_members: true
)";

const std::string kWholePictures =
    kTwoMembers + "input: {dataset: folder, path: photos, labels: masks, resize: [6, 8], ignore_index: 9}\n";
const std::string kTiledPictures =
    kTwoMembers + "input: {dataset: folder, path: photos, labels: masks, tiles: {size: [6, 8]}, ignore_index: 9}\n";

TEST_CASE("the predictions of a folder's pictures are compared with the PNGs that are their masks") {
  const Workplace place(kWholePictures);
  write_pictures(place, kOfOneSize);
  const Finished run(place, {"run", "e.yaml", "output=r", "masks=png"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK(contains(run.out(), "member    device       mIoU     pixels   seconds   images/s"));
  const json::value report = place.report("r");
  const auto check = [&](const std::string& file, const json::value& scores) {
    const std::vector<float> values = values_in<float>(place / file);
    MaskCounts counts{};
    for (std::uint64_t picture = 0; picture < 3; ++picture) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(picture * 144);
      count(counts, picture, classes_in({begin, begin + 144}));
    }
    check_mask_scores(scores, counts);
  };
  check("r/predictions.npy", report.at_pointer("/ensemble/scores"));
  check("r/members/a.npy", report.at_pointer("/members/0/scores"));
  check("r/members/b.npy", report.at_pointer("/members/1/scores"));
  CHECK(place.has("r/masks/a.png"));
}

TEST_CASE("masks that do not fit their pictures, or the members, end a run before it predicts") {
  const Workplace place(kWholePictures);
  write_pictures(place, kOfOneSize);
  const Finished classes(place, {"run", "e.yaml", "-q", "output=r", "input.ignore_index=null"});
  CHECK(classes.code == 2);
  CHECK(contains(classes.err(), "masks cannot be compared with the predictions"));
  CHECK(contains(classes.err(), "they have 10 classes, but 'a' predicts 3"));
  CHECK(contains(classes.err(), "if 9 marks places to leave out, set 'ignore_index: 9'"));
  const Finished size(place, {"run", "e.yaml", "-q", "output=r", "input.resize=[8, 8]"});
  CHECK(size.code == 2);
  CHECK(contains(size.err(), "the label of an image is 8x8, but 'a' predicts 3x6x8, which needs labels of 6x8"));
  const Finished training(place, {"train", "e.yaml", "-q"});
  CHECK(training.code == 2);
  const Finished evaluated(place, {"evaluate", "e.yaml", "output=e"});
  CHECK(evaluated.code == 0);  // it has the same labels
  CHECK(contains(evaluated.out(), "mIoU"));
  fs::remove(place / "masks/b.png");
  const Finished none(place, {"plan", "e.yaml"});
  CHECK(none.code == 2);
  CHECK(contains(none.err(), "photos/b.png has no mask"));
  CHECK(contains(none.err(), "there is no file masks/b.png"));
  CHECK_FALSE(place.has("r"));
}

TEST_CASE("no command writes over the masks that are its labels, or removes them") {
  const Workplace place(kWholePictures);
  write_pictures(place, kOfOneSize);
  const std::string before = place.read("masks/a.png");
  const Finished over(place, {"run", "e.yaml", "-q", "output=.", "masks=png"});
  CHECK(over.code == 2);
  CHECK(contains(over.err(), "the masks of this run would be written over those of 'labels'"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=."}).code == 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=."}).code == 0);
  CHECK(place.read("masks/a.png") == before);
}

/// Compares the report of `folder` with the files of all pictures.
void check_scores_of_tiles(const Workplace& place, const std::string& folder) {
  const json::value report = place.report(folder);
  const auto check = [&](const std::string& files, const json::value& scores) {
    MaskCounts counts{};
    std::uint64_t picture = 0;
    for (const auto& [name, size] : kOfSeveral)
      count(counts, picture++, classes_in(values_in<float>(place / (folder + files + name + ".npy"))));
    check_mask_scores(scores, counts);
  };
  check("/predictions/", report.at_pointer("/ensemble/scores"));
  check("/members/a/", report.at_pointer("/members/0/scores"));
  check("/members/b/", report.at_pointer("/members/1/scores"));
}

TEST_CASE("pictures of several sizes that are cut into tiles are compared with their masks once they are blended") {
  const Workplace place(kTiledPictures);
  write_pictures(place, kOfSeveral);
  const Finished run(place, {"run", "e.yaml", "output=r"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK(contains(run.out(), "member    device       mIoU     pixels   seconds   images/s"));
  check_scores_of_tiles(place, "r");
  // The scores need no files of the members.
  const Finished fewer(place, {"run", "e.yaml", "-q", "output=fewer", "save_members=false"});
  REQUIRE(fewer.code == 0);
  CHECK_FALSE(place.has("fewer/members"));
  for (const char* scores : {"/ensemble/scores", "/members/0/scores", "/members/1/scores"})
    CHECK(place.report("fewer").at_pointer(scores) == place.report("r").at_pointer(scores));
  const Finished none(place, {"run", "e.yaml", "-q", "output=none", "combine.rule=none"});
  REQUIRE(none.code == 0);
  CHECK(place.report("none").at_pointer("/ensemble/scores").is_null());
  CHECK(place.report("none").at_pointer("/members/1/scores") == place.report("r").at_pointer("/members/1/scores"));
}

TEST_CASE("a resumed run over tiles has the scores of an undisturbed one") {
  const Workplace place(kTiledPictures);
  write_pictures(place, kOfSeveral);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                           "save_members=false", "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 8}]"})
              .code == 1);
  REQUIRE(place.has("cut/journal"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "save_members=false", "--resume"}).code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  for (const char* scores : {"/ensemble/scores", "/members/0/scores", "/members/1/scores"})
    CHECK(place.report("cut").at_pointer(scores) == place.report("whole").at_pointer(scores));
}

TEST_CASE("arrays that are cut into tiles are compared with an array of masks") {
  const Workplace place(
      kTwoMembers + "input: {dataset: npy, images: x.npy, labels: y.npy, tiles: {size: [6, 8]}, ignore_index: 9}\n");
  std::vector<float> pixels(std::size_t{2} * 3 * 13 * 17);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(5, i));
  write_array(place / "x.npy", "<f4", "(2, 3, 13, 17)", pixels);
  std::vector<std::uint8_t> labels(std::size_t{2} * 13 * 17);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(label_at(i / 221, i % 221));
  write_array(place / "y.npy", "|u1", "(2, 1, 13, 17)", labels);
  const Finished run(place, {"run", "e.yaml", "-q", "output=r"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  const std::vector<float> values = values_in<float>(place / "r/predictions.npy");
  MaskCounts counts{};
  for (std::uint64_t input = 0; input < 2; ++input) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(input * 663);
    count(counts, input, classes_in({begin, begin + 663}));
  }
  check_mask_scores(place.report("r").at_pointer("/ensemble/scores"), counts);
  const Finished plan(place, {"plan", "e.yaml", "save_members=false"});
  CHECK(contains(plan.out(), "blending of tiles: a band of 102 places x 3 values, 3 times\n"));
  const Finished classes(place, {"run", "e.yaml", "-q", "output=no", "input.ignore_index=null"});
  CHECK(classes.code == 2);
  CHECK(contains(classes.err(), "y.npy cannot be compared with the predictions"));
  CHECK(contains(classes.err(), "they have 10 classes, but 'a' predicts 3"));
  write_array(place / "y.npy", "|u1", "(2, 13, 16)", labels);
  const Finished size(place, {"run", "e.yaml", "-q", "output=no"});
  CHECK(size.code == 2);
  CHECK(contains(size.err(), "y.npy cannot be used as masks of large inputs"));
  CHECK(contains(size.err(), "its masks are 13x16, and the inputs 13x17"));
  write_array(place / "y.npy", "|u1", "(2,)", labels);
  CHECK(contains(Finished(place, {"run", "e.yaml", "-q", "output=no"}).err(),
                 "it has one label for each input, which is 13x17"));
  CHECK_FALSE(place.has("no"));
}

}  // namespace
}  // namespace tutti::test
